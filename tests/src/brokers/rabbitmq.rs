//! A private RabbitMQ node from this machine's programs, for root and for an ordinary user.
//!
//! Its Erlang port mapper, cookie, database, log, plugins file and ports are its own, so that it neither
//! joins nor disturbs a node that the machine runs. Three of them make a `cluster`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::launch::{Launch, LocalServer, find_program};
use super::ports::free_port;
use super::watchdog::Watchdog;

/// Debian's wrappers in /usr/sbin change to the user `rabbitmq`, who cannot read our folder: the scripts
/// behind them are here.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";

/// The port mapper is a small program and listens within milliseconds; the rest is for a busy machine.
const MAPPER_START: Duration = Duration::from_secs(20);

/// The programs that a node needs.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) server: PathBuf,
    pub(super) control: PathBuf,
    pub(super) port_mapper: PathBuf,
}

/// Where a node is and what it is called.
pub(super) struct Site<'a> {
    /// `promemoria@localhost`.
    pub(super) name: &'a str,
    /// The address it listens on.
    pub(super) host: &'a str,
    /// The port of its Erlang port mapper, there.
    pub(super) mapper_port: u16,
    /// What command lines begin with to run there.
    pub(super) within: &'a [String],
}

impl Programs {
    /// Finds them, or names the one that is missing.
    pub(super) fn find() -> Result<Self, String> {
        let find = |name: &str| {
            find_program(name, &[SCRIPTS]).ok_or_else(|| format!("{name} is not in {SCRIPTS} nor on PATH"))
        };
        Ok(Self {
            server: find("rabbitmq-server")?,
            control: find("rabbitmqctl")?,
            port_mapper: find("epmd")?,
        })
    }
}

/// The node with its port mapper.
pub(super) struct Node {
    /// The broker.
    pub(super) server: LocalServer,
    port_mapper: LocalServer,
    control: PathBuf,
}

impl Node {
    /// Starts both with all their files in `folder`; AMQP is served on `127.0.0.1:port`;
    /// `more` goes to the end of its configuration.
    pub(super) async fn start(
        programs: Programs,
        folder: &Path,
        port: u16,
        more: &str,
        watchdog: &Arc<Watchdog>,
    ) -> anyhow::Result<Self> {
        let mapper_port = free_port()?;
        let site = Site { name: "promemoria@localhost", host: "127.0.0.1", mapper_port, within: &[] };
        let server = server(&programs, folder, &site, &format!("{}{more}", configuration(&site, port)))?;
        let port_mapper = port_mapper(&programs, folder, &site, watchdog).await?;
        Ok(Self { port_mapper, server: LocalServer::start_new(server, watchdog)?, control: programs.control })
    }

    /// Runs `rabbitmqctl` against this node.
    pub(super) async fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        control(&self.server.launch, &self.control, arguments).await.map(drop)
    }

    /// Ends the broker, then its port mapper.
    pub(super) async fn shutdown(&mut self) -> anyhow::Result<()> {
        self.server.stop().await?;
        self.port_mapper.stop().await
    }

    /// The ids of all processes of the node.
    pub(super) fn pids(&self) -> Vec<u32> {
        [self.server.pids(), self.port_mapper.pids()].concat()
    }
}

/// How a node is started, with its files laid out in `folder`.
pub(super) fn server(
    programs: &Programs,
    folder: &Path,
    site: &Site<'_>,
    configuration: &str,
) -> anyhow::Result<Launch> {
    let environment = write_files(folder, site).context("cannot lay out RabbitMQ's folder")?;
    fs::write(folder.join("rabbitmq.conf"), configuration)?;
    Ok(Launch {
        within: site.within.to_vec(),
        program: programs.server.clone(),
        arguments: Vec::new(),
        environment,
        log: folder.join("server.log"),
    })
}

/// Starts a port mapper and waits until it listens: a node that finds none gives up, since none may start
/// one of its own, see `write_files`.
pub(super) async fn port_mapper(
    programs: &Programs,
    folder: &Path,
    site: &Site<'_>,
    watchdog: &Arc<Watchdog>,
) -> anyhow::Result<LocalServer> {
    let port = site.mapper_port.to_string();
    let launch = Launch {
        within: site.within.to_vec(),
        program: programs.port_mapper.clone(),
        arguments: ["-address", site.host, "-port", &port].map(str::to_owned).to_vec(),
        environment: Vec::new(),
        log: folder.join("epmd.log"),
    };
    let mapper = LocalServer::start_new(launch, watchdog)?;
    accepts_connections(site.host, site.mapper_port).await.context("Erlang's port mapper")?;
    Ok(mapper)
}

/// Runs `rabbitmqctl` with a node's environment; returns what it prints.
pub(super) async fn control(node: &Launch, program: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = tokio::process::Command::from(node.command(program));
    let output = command.args(arguments).output().await.context("cannot run rabbitmqctl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "rabbitmqctl {}: {}", arguments[0], said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Waits until something listens on the port.
async fn accepts_connections(host: &str, port: u16) -> anyhow::Result<()> {
    let deadline = Instant::now() + MAPPER_START;
    while let Err(error) = TcpStream::connect((host, port)).await {
        anyhow::ensure!(Instant::now() < deadline, "nothing listens on {host}:{port}: {error}");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Lays out the node's folder and returns the environment that points to it.
fn write_files(folder: &Path, site: &Site<'_>) -> anyhow::Result<Vec<(&'static str, String)>> {
    for name in ["home", "database", "log", "plugins"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::write(folder.join("environment"), "")?;
    fs::write(folder.join("enabled_plugins"), "[].\n")?;
    let inside = |name: &str| folder.join(name).display().to_string();
    let interface = format!("-kernel inet_dist_use_interface {{{}}}", site.host.replace('.', ","));
    // A name whose host is an address is a long one.
    let is_long = site.name.contains('.').to_string();
    Ok(vec![
        ("HOME", inside("home")),
        ("ERL_EPMD_ADDRESS", site.host.to_owned()),
        ("ERL_EPMD_PORT", site.mapper_port.to_string()),
        // By default every Erlang program, `rabbitmqctl` too, starts a missing port mapper as a daemon that
        // nobody would end.
        ("ERL_FLAGS", "-start_epmd false".to_owned()),
        // `rabbitmqctl` runs in the caller's folder and would leave a dump there when its node is gone.
        ("ERL_CRASH_DUMP_SECONDS", "0".to_owned()),
        ("RABBITMQ_NODENAME", site.name.to_owned()),
        ("RABBITMQ_USE_LONGNAME", is_long),
        ("RABBITMQ_DIST_PORT", free_port()?.to_string()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", interface),
        ("RABBITMQ_CONF_ENV_FILE", inside("environment")),
        ("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", inside("advanced.config")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", inside("enabled_plugins")),
        ("RABBITMQ_PLUGINS_EXPAND_DIR", inside("plugins")),
        ("RABBITMQ_MNESIA_BASE", inside("database")),
        ("RABBITMQ_LOG_BASE", inside("log")),
        ("RABBITMQ_PID_FILE", inside("pid")),
    ])
}

/// `log.console`: the output is our log file. The free space limit is RabbitMQ's own default of 50 MB,
/// written down because some distributions raise it.
pub(super) fn configuration(site: &Site<'_>, port: u16) -> String {
    let host = site.host;
    format!(
        "listeners.tcp.local = {host}:{port}\n\
         loopback_users.guest = true\n\
         log.console = true\n\
         log.console.level = info\n\
         log.file = false\n\
         disk_free_limit.absolute = 50MB\n"
    )
}
