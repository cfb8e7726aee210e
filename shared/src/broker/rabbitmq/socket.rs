//! From a URL to an open AMQP connection: address, TLS, time limits.

use std::{
    io,
    net::{IpAddr, Shutdown, SocketAddr, TcpStream},
    os::fd::AsFd,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lapin::{
    Connection, ConnectionProperties,
    tcp::{AsyncTcpStream, RustlsConnector, RustlsConnectorConfig},
    uri::{AMQPScheme, AMQPUri},
};
use rand::Rng;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use secrecy::ExposeSecret;
use tokio::{net::lookup_host, time::timeout};

use crate::broker::{BrokerError, Cause, Options, Tls};

/// AMQP heartbeat in seconds. A peer is given up after two of them, so a silent network cut is found
/// within 20 s; RabbitMQ advises 5 to 20 and would otherwise impose 60
/// (<https://www.rabbitmq.com/docs/heartbeats>).
const HEARTBEAT_SECONDS: u16 = 10;
/// Longest AMQP frame in bytes; a longer body travels in several. lapin keeps 32 frames for each direction of
/// each of the two connections: of RabbitMQ's own 128 KiB that is 16 MiB a process, idle or not, of these 4.
/// RabbitMQ takes 8 KiB and more (<https://www.rabbitmq.com/docs/configure>).
const FRAME_MAX: u32 = 32 * 1024;
/// Bound on reaching the broker (name, TCP, TLS) and, again, on its handshake.
const CONNECT_LIMIT: Duration = Duration::from_secs(8);

/// The checked addresses of a broker: one node or more.
pub(super) struct Endpoint {
    uris: Vec<AMQPUri>,
    tls: Option<Tls>,
    /// The node to try next. It moves on when a node fails and stays while one serves.
    next: AtomicUsize,
}

/// A second handle on a connection's socket. lapin leaves a thread behind on a connection that is given
/// up half-way; cutting the socket ends it. Dropped, it cuts.
pub(super) struct Tether(TcpStream);

impl Tether {
    pub(super) fn cut(&self) {
        if let Err(error) = self.0.shutdown(Shutdown::Both) {
            tracing::trace!(%error, "socket already closed");
        }
    }

    fn hold(stream: &impl AsFd) -> io::Result<Self> {
        Ok(Self(TcpStream::from(stream.as_fd().try_clone_to_owned()?)))
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Endpoint {
    /// Reads the address. Errors never repeat it: it may hold a password.
    pub(super) fn new(options: &Options) -> Result<Self, BrokerError> {
        const URL: &str = "amqp.url";
        let text = options.url.expose_secret();
        let url = url::Url::parse(text).map_err(|error| BrokerError::invalid(URL, error.to_string()))?;
        let mut uri: AMQPUri =
            text.parse().map_err(|_| BrokerError::invalid(URL, "not an amqp:// or amqps:// address"))?;
        // The parser takes an IPv6 address for no host at all and would go to localhost.
        if let Some(url::Host::Ipv6(address)) = url.host() {
            uri.authority.host = address.to_string();
        }
        uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
        uri.query.frame_max = Some(FRAME_MAX);
        let encrypted = uri.scheme == AMQPScheme::AMQPS;
        let mut uris = vec![uri];
        for node in &options.nodes {
            let uri = at_node(&uris[0], node)
                .ok_or_else(|| BrokerError::invalid("amqp.nodes", format!("{node} is not host:port")))?;
            uris.push(uri);
        }
        let leaves = uris.iter().any(|uri| !is_loopback(&uri.authority.host));
        if !encrypted && !options.allow_plaintext && leaves {
            let reason = "plain-text AMQP leaves this machine: use amqps:// or set amqp.allow_plaintext";
            return Err(BrokerError::invalid(URL, reason));
        }
        let tls = encrypted.then(|| options.tls.clone());
        if let Some(tls) = &tls {
            // Faults in certificate files are told at start, not at the first attempt to connect.
            connector(tls)?;
        }
        // Replicas that start together spread over the nodes.
        let next = AtomicUsize::new(rand::rng().random_range(0..uris.len()));
        Ok(Self { uris, tls, next })
    }

    /// Opens a connection to the node whose turn it is; its name is what the broker shows. A node that
    /// fails, or that refuses, gives its turn to the next.
    pub(super) async fn open(&self, name: &str) -> Result<(Connection, Tether), Cause> {
        let turn = self.next.load(Ordering::Relaxed);
        let opened = self.open_at(&self.uris[turn % self.uris.len()], name).await;
        if opened.is_err() {
            self.give_up(turn);
        }
        opened
    }

    /// The next connection goes to another node than that of this turn.
    fn give_up(&self, turn: usize) {
        // Another connection may have moved on already.
        let next = turn.wrapping_add(1);
        let _moved = self.next.compare_exchange(turn, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    async fn open_at(&self, uri: &AMQPUri, name: &str) -> Result<(Connection, Tether), Cause> {
        let tls = self.tls.as_ref().map(connector).transpose()?;
        let runtime = lapin::runtime::default_runtime()?;
        let (host, port) = (uri.authority.host.as_str(), uri.authority.port);
        let reaching = async {
            // Not by lapin, which panics if the runtime ends while a name is looked up.
            let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
            let stream = AsyncTcpStream::connect(&runtime, addresses).await?;
            let AsyncTcpStream::Plain(socket) = &stream else { return Err(nothing_to_open().into()) };
            let tether = Tether::hold(socket.get_ref())?;
            let stream = match &tls {
                Some(tls) => stream.into_rustls(tls, host).await?,
                None => stream,
            };
            Ok::<_, Cause>((Mutex::new(Some(stream)), tether))
        };
        // Before lapin's thread begins, which may outlive the runtime: a timer would panic there.
        let (stream, tether) = timeout(CONNECT_LIMIT, reaching).await??;
        let opening = Connection::connector(
            uri.clone(),
            runtime,
            // Called once: lapin is not asked to connect again.
            async move |_, _| {
                let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
                Ok(stream.ok_or_else(nothing_to_open)?)
            },
            ConnectionProperties::default().with_connection_name(name.into()),
        );
        let connection = timeout(CONNECT_LIMIT, opening).await??;
        Ok((connection, tether))
    }
}

fn nothing_to_open() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

/// The same address at another node.
fn at_node(uri: &AMQPUri, node: &str) -> Option<AMQPUri> {
    let (host, port) = node.rsplit_once(':')?;
    let mut uri = uri.clone();
    host.trim_start_matches('[').trim_end_matches(']').clone_into(&mut uri.authority.host);
    uri.authority.port = port.parse().ok()?;
    (!uri.authority.host.is_empty()).then_some(uri)
}

/// Certificates as configured; rustls with its `ring` provider.
fn connector(tls: &Tls) -> Result<RustlsConnector, BrokerError> {
    let config = match &tls.ca_file {
        Some(path) => {
            let mut config = RustlsConnectorConfig::default();
            config.add_parsable_certificates(certificates("amqp.tls.ca_file", path)?);
            config
        }
        None => RustlsConnectorConfig::new_with_native_certs()
            .map_err(|error| BrokerError::invalid("amqp.tls.ca_file", error.to_string()))?,
    };
    let connector = match (&tls.cert_file, &tls.key_file) {
        (Some(chain), Some(key)) => {
            let chain = certificates("amqp.tls.cert_file", chain)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| BrokerError::invalid("amqp.tls.key_file", error.to_string()))?;
            config.connector_with_single_cert(chain, key)
        }
        _ => config.connector_with_no_client_auth(),
    };
    connector.map_err(|error| BrokerError::invalid("amqp.tls", error.to_string()))
}

fn certificates(field: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, BrokerError> {
    let invalid = |error: rustls::pki_types::pem::Error| BrokerError::invalid(field, error.to_string());
    let found = CertificateDer::pem_file_iter(path).map_err(invalid)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
    if found.is_empty() {
        return Err(BrokerError::invalid(field, "holds no certificate"));
    }
    Ok(found)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Endpoint, BrokerError> {
        Endpoint::new(&Options { url: url.into(), ..Options::default() })
    }

    fn refusal(url: &str) -> String {
        match endpoint(url) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn plain_text_is_for_this_machine_only() {
        for url in ["amqp://127.0.0.1:5672/%2f", "amqp://localhost/", "amqp://[::1]:5672/%2f"] {
            assert!(endpoint(url).is_ok(), "{url}");
        }
        for url in ["amqp://broker:5672/%2f", "amqp://10.1.2.3/", "amqp://[2001:db8::1]/"] {
            assert!(refusal(url).contains("allow_plaintext"), "{url}");
        }
        let allowed = Options { url: "amqp://broker/".into(), allow_plaintext: true, ..Options::default() };
        assert!(Endpoint::new(&allowed).is_ok());
    }

    #[test]
    fn a_refused_address_is_not_repeated() {
        for url in [
            "amqp://user:hunter2@broker/",
            "http://user:hunter2@h/",
            "amqp:user:hunter2",
            "amqp://user:hunter2@h:99999/",
        ] {
            let text = refusal(url);
            assert!(text.starts_with("amqp.url: ") && !text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn the_heartbeat_is_ours_whatever_the_address_says() {
        let endpoint = endpoint("amqp://127.0.0.1/%2f?heartbeat=600").unwrap();
        assert_eq!(endpoint.uris[0].query.heartbeat, Some(HEARTBEAT_SECONDS));
    }

    #[test]
    fn an_ipv6_host_is_kept() {
        assert_eq!(endpoint("amqp://[::1]:5672/%2f").unwrap().uris[0].authority.host, "::1");
    }

    #[test]
    fn the_nodes_take_turns_with_one_user() {
        let nodes = vec!["127.0.0.2:5673".to_owned(), "[::1]:5674".to_owned()];
        let url = "amqp://u:p@127.0.0.1/v".into();
        let endpoint = Endpoint::new(&Options { url, nodes, ..Options::default() }).unwrap();
        let at = |turn: usize| {
            let uri = &endpoint.uris[turn];
            (uri.authority.host.as_str(), uri.authority.port, uri.authority.userinfo.username.as_str())
        };
        assert_eq!(
            (at(0), at(1), at(2)),
            (("127.0.0.1", 5672, "u"), ("127.0.0.2", 5673, "u"), ("::1", 5674, "u"))
        );
        let turn = endpoint.next.load(Ordering::Relaxed);
        endpoint.give_up(turn);
        endpoint.give_up(turn);
        assert_eq!(endpoint.next.load(Ordering::Relaxed), turn + 1, "one failure moves on once");
        let far = Options { nodes: vec!["broker:5672".to_owned()], ..Options::default() };
        assert!(Endpoint::new(&far).err().is_some_and(|it| it.to_string().contains("allow_plaintext")));
    }

    #[test]
    fn a_file_without_a_certificate_is_refused_by_name() {
        let empty = tempfile::NamedTempFile::new().unwrap();
        let tls = Tls { ca_file: Some(empty.path().to_owned()), ..Tls::default() };
        let options = Options { url: "amqps://broker/%2f".into(), tls, ..Options::default() };
        let refused = Endpoint::new(&options);
        assert!(matches!(refused, Err(BrokerError::Invalid { field: "amqp.tls.ca_file", .. })));
    }
}
