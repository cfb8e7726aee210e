//! Single Redis servers for what one broker pair can't show: Sentinel, Cluster, TLS, access lists.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::launch::{Launch, LocalServer};
use super::network::Network;
use super::ports::free_port;
use super::redis_server;
use super::watchdog::{Charge, Watchdog};

/// How long a server may take until it listens: milliseconds on an idle machine.
const START: Duration = Duration::from_secs(30);

/// Private Redis servers of this machine's programs, each in a folder of its own. They end with this value.
pub struct Solos {
    servers: Vec<LocalServer>,
    ports: Vec<u16>,
    folder: TempDir,
    watchdog: Arc<Watchdog>,
}

impl Solos {
    /// None yet.
    ///
    /// # Errors
    /// No temporary folder, or no shell for the watchdog.
    pub fn new() -> anyhow::Result<Self> {
        let watchdog = Arc::new(Watchdog::start()?);
        let folder = tempfile::Builder::new().prefix("promemoria-redis-").tempdir()?;
        let path = folder.path().to_str().context("the temporary folder's name is not UTF-8")?;
        watchdog.guard(&Charge::Folder(path))?;
        Ok(Self { servers: Vec::new(), ports: Vec::new(), folder, watchdog })
    }

    /// A network for the servers, with so many hosts.
    ///
    /// # Errors
    /// See [`Network::is_possible`].
    pub fn network(&self, hosts: u8) -> anyhow::Result<Network> {
        Network::of(hosts, &self.watchdog)
    }

    /// Where files for the servers may lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a server with these arguments, on a port of loopback that it returns once it listens there.
    /// `port` names the argument that takes the port: `--port`, or `--tls-port`.
    ///
    /// # Errors
    /// There is no such program, or it ends by itself.
    pub async fn start(&mut self, port_argument: &str, arguments: &[&str]) -> anyhow::Result<u16> {
        self.start_on(None, port_argument, arguments).await
    }

    /// The same on a host of a network, where it listens on the host's address.
    ///
    /// # Errors
    /// As [`Solos::start`].
    pub async fn start_on(
        &mut self,
        place: Option<(&Network, usize)>,
        port_argument: &str,
        arguments: &[&str],
    ) -> anyhow::Result<u16> {
        let host = place.map_or(std::net::Ipv4Addr::LOCALHOST, |(network, host)| network.address(host));
        let host = host.to_string();
        let (port, folder) = (free_port()?, self.folder.path().join(self.servers.len().to_string()));
        std::fs::create_dir_all(&folder)?;
        let program = redis_server::find().context("neither redis-server nor valkey-server is on PATH")?;
        let mut all = arguments.to_vec();
        let (number, dir) = (port.to_string(), folder.display().to_string());
        all.extend([port_argument, &number, "--bind", &host, "--dir", &dir]);
        let launch = Launch {
            within: place.map(|(network, host)| network.on(host)).unwrap_or_default(),
            program,
            arguments: all.into_iter().map(str::to_owned).collect(),
            environment: Vec::new(),
            log: folder.join("server.log"),
        };
        let mut server = LocalServer::start_new(launch, &self.watchdog)?;
        listens(&host, port, &mut server).await?;
        self.servers.push(server);
        self.ports.push(port);
        Ok(port)
    }

    /// Ends the server on that port as a crash does.
    ///
    /// # Errors
    /// It is none of ours, or survives.
    pub async fn kill(&mut self, port: u16) -> anyhow::Result<()> {
        self.server(port)?.kill().await
    }

    /// Freezes the server on that port: connections stay open, nothing answers.
    ///
    /// # Errors
    /// It is none of ours, or does not run.
    pub fn pause(&mut self, port: u16) -> anyhow::Result<()> {
        self.server(port)?.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// As [`Solos::pause`].
    pub fn resume(&mut self, port: u16) -> anyhow::Result<()> {
        self.server(port)?.signal(Signal::CONT)
    }

    fn server(&mut self, port: u16) -> anyhow::Result<&mut LocalServer> {
        let place = self.ports.iter().position(|known| *known == port).context("no server on that port")?;
        Ok(&mut self.servers[place])
    }
}

async fn listens(host: &str, port: u16, server: &mut LocalServer) -> anyhow::Result<()> {
    let deadline = Instant::now() + START;
    while let Err(error) = TcpStream::connect((host, port)).await {
        let ended = server.failure()?;
        let log = server.launch.log_tail(10);
        anyhow::ensure!(ended.is_none() && Instant::now() < deadline, "redis: {error}; {ended:?}\n{log}");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
