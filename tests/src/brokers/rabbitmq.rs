//! A private RabbitMQ node from this machine's programs, for root and for an ordinary user.
//!
//! Its Erlang port mapper, cookie, database, log, plugins file and ports are its own, so that it neither
//! joins nor disturbs a node that the machine runs.

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
    server: PathBuf,
    control: PathBuf,
    port_mapper: PathBuf,
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
        let environment = write_files(folder, mapper_port).context("cannot lay out RabbitMQ's folder")?;
        fs::write(folder.join("rabbitmq.conf"), format!("{}{more}", configuration(port)))?;
        let port_mapper = Launch {
            program: programs.port_mapper,
            arguments: ["-address", "127.0.0.1", "-port", &mapper_port.to_string()]
                .map(str::to_owned)
                .to_vec(),
            environment: Vec::new(),
            log: folder.join("epmd.log"),
        };
        let server = Launch {
            program: programs.server,
            arguments: Vec::new(),
            environment,
            log: folder.join("server.log"),
        };
        let port_mapper = LocalServer::start_new(port_mapper, watchdog)?;
        // A node that finds no port mapper gives up: none may start one of its own, see `write_files`.
        accepts_connections(mapper_port).await.context("Erlang's port mapper")?;
        Ok(Self { port_mapper, server: LocalServer::start_new(server, watchdog)?, control: programs.control })
    }

    /// Runs `rabbitmqctl` against this node.
    pub(super) async fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = tokio::process::Command::from(self.server.launch.command(&self.control));
        let output = command.args(arguments).output().await.context("cannot run rabbitmqctl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "rabbitmqctl {}: {}", arguments[0], said.trim());
        Ok(())
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

/// Waits until something listens on the port.
async fn accepts_connections(port: u16) -> anyhow::Result<()> {
    let deadline = Instant::now() + MAPPER_START;
    while let Err(error) = TcpStream::connect(("127.0.0.1", port)).await {
        anyhow::ensure!(Instant::now() < deadline, "nothing listens on 127.0.0.1:{port}: {error}");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Lays out the node's folder and returns the environment that points to it.
fn write_files(folder: &Path, mapper_port: u16) -> anyhow::Result<Vec<(&'static str, String)>> {
    for name in ["home", "database", "log", "plugins"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::write(folder.join("environment"), "")?;
    fs::write(folder.join("enabled_plugins"), "[].\n")?;
    let inside = |name: &str| folder.join(name).display().to_string();
    Ok(vec![
        ("HOME", inside("home")),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("ERL_EPMD_PORT", mapper_port.to_string()),
        // By default every Erlang program, `rabbitmqctl` too, starts a missing port mapper as a daemon that
        // nobody would end.
        ("ERL_FLAGS", "-start_epmd false".to_owned()),
        // `rabbitmqctl` runs in the caller's folder and would leave a dump there when its node is gone.
        ("ERL_CRASH_DUMP_SECONDS", "0".to_owned()),
        ("RABBITMQ_NODENAME", "promemoria@localhost".to_owned()),
        ("RABBITMQ_DIST_PORT", free_port()?.to_string()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}".to_owned()),
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
fn configuration(port: u16) -> String {
    format!(
        "listeners.tcp.local = 127.0.0.1:{port}\n\
         loopback_users.guest = true\n\
         log.console = true\n\
         log.console.level = info\n\
         log.file = false\n\
         disk_free_limit.absolute = 50MB\n"
    )
}
