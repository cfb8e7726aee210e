//! The fleet as real processes on private brokers, with the sandbox in the place of IO.
//!
//! `access` makes each service a user of its own, `build` makes the binaries, `process` runs one, `settings` writes what they read, `client` is the
//! integrator: it publishes events and listens to outcomes. [`Fleet`] puts them together.

pub(crate) mod access;
mod build;
pub mod client;
mod process;
pub(crate) mod settings;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

pub use build::{Binaries, project_root};
pub use process::Process;
pub use settings::{ENTI, Enti, HASH_KEY, Ports, read_enti};

use crate::brokers::{Brokers, Options};

/// How long a service may take until it is ready: broker connection, topology and Redis included, on a
/// machine that compiles at the same time.
const READY: Duration = Duration::from_mins(1);

/// The three services, in the order in which work passes them.
pub const SERVICES: [&str; 3] = ["scheduler", "renderer", "dispatcher"];

/// A running fleet.
pub struct Fleet {
    /// The brokers.
    pub brokers: Brokers,
    /// The binaries.
    pub binaries: Binaries,
    /// Where the probes and the sandbox listen.
    pub ports: Ports,
    /// The sandbox.
    pub sandbox: Process,
    services: Vec<(&'static str, Process)>,
    /// Replicas beyond the first.
    others: Vec<Process>,
    dir: TempDir,
    /// The services sign in as themselves, with the permissions of `deploy/`.
    own_users: bool,
}

impl Fleet {
    /// Starts brokers, sandbox and services, and waits until all are ready.
    ///
    /// # Errors
    /// What did not start, with the end of its log.
    pub async fn start(binaries: Binaries, enti: &Enti) -> anyhow::Result<Self> {
        let brokers = Brokers::start(&Options::from_env()?).await?;
        Self::start_on(brokers, binaries, enti).await
    }

    /// The same on brokers that run already.
    ///
    /// # Errors
    /// What did not start, with the end of its log.
    pub async fn start_on(brokers: Brokers, binaries: Binaries, enti: &Enti) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("promemoria-fleet").tempdir()?;
        let ports = Ports::free()?;
        settings::write(dir.path(), (brokers.amqp_url(), brokers.redis_url()), ports, enti)?;
        let config = dir.path().join("fleet.toml");
        let own_users = access::grant(&brokers, "/").await?;
        let mut sandbox = Process::start(&binaries, "sandbox", &config, dir.path())?;
        sandbox.wait_ready(ports.sandbox, READY).await?;
        let (services, others) = (Vec::new(), Vec::new());
        let mut fleet = Self { brokers, binaries, ports, sandbox, services, others, dir, own_users };
        for name in SERVICES {
            fleet.start_service(name)?;
        }
        fleet.wait_ready().await?;
        Ok(fleet)
    }

    /// The folder with the settings and the logs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The settings file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("fleet.toml")
    }

    /// Starts one service that does not run.
    ///
    /// # Errors
    /// The binary cannot be started.
    pub fn start_service(&mut self, name: &'static str) -> anyhow::Result<()> {
        let log = self.dir.path().join(format!("{name}.log"));
        let process = Process::start_with(&self.binaries, name, &self.config(), &log, &self.variables(name))?;
        self.services.push((name, process));
        Ok(())
    }

    /// Makes the users again: a Redis that started anew knows only those of its own file.
    ///
    /// # Errors
    /// A broker refuses it.
    pub async fn grant(&self) -> anyhow::Result<()> {
        access::grant(&self.brokers, "/").await.map(drop)
    }

    /// What a service signs in with.
    fn variables(&self, name: &str) -> Vec<(String, String)> {
        let addresses = (self.brokers.amqp_url(), self.brokers.redis_url());
        if self.own_users { access::variables(addresses, name) } else { Vec::new() }
    }

    /// Starts one more dispatcher beside the first, and waits until it is ready.
    ///
    /// # Errors
    /// It does not start, with the end of its log.
    pub async fn start_another_dispatcher(&mut self) -> anyhow::Result<()> {
        let port = Ports::free()?.dispatcher;
        let mut variables = self.variables("dispatcher");
        variables.push(("PROMEMORIA__DISPATCHER__BIND".to_owned(), format!("127.0.0.1:{port}")));
        let log = self.dir.path().join(format!("dispatcher-{port}.log"));
        let mut process =
            Process::start_with(&self.binaries, "dispatcher", &self.config(), &log, &variables)?;
        process.wait_ready(port, READY).await?;
        self.others.push(process);
        Ok(())
    }

    /// Waits until every service says that it is ready.
    ///
    /// # Errors
    /// The one that is not, with the end of its log.
    pub async fn wait_ready(&mut self) -> anyhow::Result<()> {
        for (name, process) in &mut self.services {
            process
                .wait_ready(self.ports.of(name), READY)
                .await
                .with_context(|| format!("{name} is not ready"))?;
        }
        Ok(())
    }

    /// A running service.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Process> {
        self.services.iter().find(|(known, _)| *known == name).map(|(_, process)| process)
    }

    /// Ends a service as an operator does (SIGTERM); returns its exit code.
    ///
    /// # Errors
    /// It does not run, or does not end within the grace.
    pub async fn terminate(&mut self, name: &str) -> anyhow::Result<Option<i32>> {
        self.take(name)?.terminate(Duration::from_secs(40)).await
    }

    /// Ends a service as a crash does (SIGKILL).
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        self.take(name)?.kill().await
    }

    fn take(&mut self, name: &str) -> anyhow::Result<Process> {
        let place = self.services.iter().position(|(known, _)| *known == name);
        let place = place.with_context(|| format!("{name} does not run"))?;
        Ok(self.services.remove(place).1)
    }

    /// Everything that the processes wrote so far.
    ///
    /// # Errors
    /// A log cannot be read.
    pub fn logs(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        for entry in std::fs::read_dir(self.dir.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "log") {
                text.push_str(&std::fs::read_to_string(&path)?);
            }
        }
        Ok(text)
    }

    /// Ends everything in order; leaves nothing running.
    ///
    /// # Errors
    /// Something did not end.
    pub async fn shutdown(mut self) -> anyhow::Result<()> {
        for process in self.others.drain(..) {
            let code = process.terminate(Duration::from_secs(40)).await?;
            anyhow::ensure!(code == Some(0), "a replica ended with {code:?}");
        }
        for (name, process) in self.services.drain(..) {
            let code = process.terminate(Duration::from_secs(40)).await?;
            anyhow::ensure!(code == Some(0), "{name} ended with {code:?}");
        }
        self.sandbox.terminate(Duration::from_secs(10)).await?;
        self.brokers.shutdown().await
    }
}
