//! Opens connections: to one server, to the master that sentinels name, to a cluster.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2};
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind,
    IntoConnectionInfo, RedisError, RedisResult, TlsCertificates, TlsMode,
};
use secrecy::ExposeSecret;

use super::options::{Options, Place};

/// Bound on TCP and TLS of one connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// Commands on their way at a time: an absence must not pile up requests without end.
const IN_FLIGHT: usize = 1024;
/// How often a cluster's client follows a moved slot or tries a node again before it gives the error back.
const CLUSTER_TRIES: u32 = 4;
/// Pauses between those, milliseconds: together about as long as an election takes (cluster-node-timeout
/// apart).
const CLUSTER_PAUSES: (u64, u64) = (50, 1_000);

/// An open connection. Clones share it.
#[derive(Clone)]
pub(super) enum Line {
    /// To one server: to that process, as long as it lasts.
    Server(MultiplexedConnection, Arc<str>),
    /// To all nodes of a cluster.
    Cluster(ClusterConnection),
}

impl Line {
    /// The run of the server at its end; `?` where that may be any node: a script then asks the one that it is on.
    pub(super) fn run(&self) -> Arc<str> {
        match self {
            Self::Server(_, run) => Arc::clone(run),
            Self::Cluster(_) => Arc::from("?"),
        }
    }
}

/// Opens a connection as the options say.
pub(super) async fn open(options: &Options) -> RedisResult<Line> {
    let info = options.url.expose_secret().into_connection_info()?.set_tcp_settings(tcp());
    match &options.place {
        Place::Single => known(server(client(options, info)?, options).await?).await,
        Place::Sentinel { .. } => known(master(options, info).await?).await,
        Place::Cluster { nodes } => cluster(options, &info, nodes).await.map(Line::Cluster),
    }
}

/// Which run of which server it leads to.
async fn known(mut connection: MultiplexedConnection) -> RedisResult<Line> {
    let info: redis::InfoDict = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    let run: Option<String> = info.get("run_id");
    let run = run.ok_or_else(|| RedisError::from((ErrorKind::Parse, "INFO without run_id")))?;
    Ok(Line::Server(connection, Arc::from(run)))
}

/// Finds a dead peer within about 7 s: without user timeout and keepalive a client never leaves a
/// connection that died silently (measured: still failing after 90 s).
fn tcp() -> TcpSettings {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(1))
        .with_retries(3);
    TcpSettings::default().set_nodelay(true).set_user_timeout(Duration::from_secs(5)).set_keepalive(keepalive)
}

fn client(options: &Options, info: ConnectionInfo) -> RedisResult<Client> {
    match certificates(options)? {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

async fn server(client: Client, options: &Options) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_LIMIT))
        .set_response_timeout(Some(options.response_timeout))
        .set_concurrency_limit(IN_FLIGHT);
    client.get_multiplexed_async_connection_with_config(&config).await
}

async fn master(options: &Options, info: ConnectionInfo) -> RedisResult<MultiplexedConnection> {
    let Place::Sentinel { master, nodes, username, password } = &options.place else {
        return Err(misuse("no sentinels"));
    };
    let encrypted = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let addresses = nodes.iter().map(|node| address(node, encrypted)).collect::<RedisResult<Vec<_>>>()?;
    let redis = info.redis_settings();
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
        .set_client_to_redis_db(info.redis_settings().db())
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_sentinel_tcp_settings(tcp());
    if let Some(username) = redis.username() {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = redis.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(username) = username {
        builder = builder.set_client_to_sentinel_username(username);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_sentinel_password(password.expose_secret());
    }
    if encrypted {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        if let Some(certificates) = certificates(options)? {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
    }
    server(builder.build()?.async_get_client().await?, options).await
}

async fn cluster(
    options: &Options,
    info: &ConnectionInfo,
    nodes: &[String],
) -> RedisResult<ClusterConnection> {
    let encrypted = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    let nodes = nodes.iter().map(|node| Ok(info.clone().set_addr(address(node, encrypted)?)));
    let mut builder = ClusterClientBuilder::new(nodes.collect::<RedisResult<Vec<_>>>()?)
        .retries(CLUSTER_TRIES)
        .min_retry_wait(CLUSTER_PAUSES.0)
        .max_retry_wait(CLUSTER_PAUSES.1)
        .connection_timeout(CONNECT_LIMIT)
        .response_timeout(options.response_timeout)
        .connection_concurrency_limit(IN_FLIGHT)
        .tcp_settings(tcp());
    if encrypted {
        builder = builder.tls(TlsMode::Secure);
        if let Some(certificates) = certificates(options)? {
            builder = builder.certs(certificates);
        }
    }
    builder.build()?.get_async_connection().await
}

fn address(node: &str, encrypted: bool) -> RedisResult<ConnectionAddr> {
    let (host, port) = node.rsplit_once(':').ok_or_else(|| misuse("a node is host:port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = port.parse().map_err(|_| misuse("a node's port is a number"))?;
    Ok(if encrypted {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    })
}

/// The certificate files of the options; none if they name none.
pub(super) fn certificates(options: &Options) -> RedisResult<Option<TlsCertificates>> {
    let tls = &options.tls;
    let read = |path: &Path| std::fs::read(path).map_err(RedisError::from);
    let root_cert = tls.ca_file.as_deref().map(read).transpose()?;
    let client_tls = match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        _ => None,
    };
    Ok((root_cert.is_some() || client_tls.is_some()).then_some(TlsCertificates { client_tls, root_cert }))
}

fn misuse(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::InvalidClientConfig, what))
}
