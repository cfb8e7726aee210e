//! One process of the fleet.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::StatusCode;
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::Binaries;

/// How often an address is asked whether it is ready. There is no event to wait for.
const GLANCE: Duration = Duration::from_millis(50);

/// A process whose output goes to a log file. It dies with this value.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program with `--config config` and these variables, its output appended to `dir/<name>.log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(binaries: &Binaries, name: &str, config: &Path, dir: &Path) -> anyhow::Result<Self> {
        Self::start_with(binaries, name, config, &dir.join(format!("{name}.log")), &[])
    }

    /// The same with variables of the environment and a log of its own.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_with(
        binaries: &Binaries,
        name: &str,
        config: &Path,
        log: &Path,
        environment: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let open = || -> std::io::Result<File> { OpenOptions::new().create(true).append(true).open(log) };
        let child = Command::from(binaries.command(name))
            .arg("--config")
            .arg(config)
            .env_remove("PROMEMORIA_CONFIG")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until `GET /readyz` on that port of loopback answers 200.
    ///
    /// # Errors
    /// Not within `limit`; the end of the log says why.
    pub async fn wait_ready(&mut self, port: u16, limit: Duration) -> anyhow::Result<()> {
        self.wait_for_answer(port, limit, StatusCode::is_success).await
    }

    /// Waits until it answers on that port of loopback, ready or not: before that it has no metrics, and SIGTERM is no
    /// end in order.
    ///
    /// # Errors
    /// Not within `limit`; the end of the log says why.
    pub async fn wait_begun(&mut self, port: u16, limit: Duration) -> anyhow::Result<()> {
        self.wait_for_answer(port, limit, |_| true).await
    }

    async fn wait_for_answer(
        &mut self,
        port: u16,
        limit: Duration,
        is_enough: fn(&StatusCode) -> bool,
    ) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{port}/readyz");
        let client = super::client::http_client()?;
        let end = Instant::now() + limit;
        let mut last = String::from("no answer");
        while Instant::now() < end {
            match client.get(&url).send().await {
                Ok(answer) if is_enough(&answer.status()) => return Ok(()),
                Ok(answer) => last = answer.text().await.unwrap_or_default(),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}\n{}", self.name, self.log_end());
            }
            sleep(GLANCE).await;
        }
        bail!("{} is not ready after {limit:?}: {last}\n{}", self.name, self.log_end())
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let sent = rustix::process::kill_process(self.process()?, signal);
        sent.with_context(|| format!("no signal to {}", self.name))
    }

    /// Bounds what it may have of a resource from now on.
    ///
    /// # Errors
    /// The process is gone, or has more already.
    pub fn limit(&self, resource: Resource, most: u64) -> anyhow::Result<()> {
        let most = Rlimit { current: Some(most), maximum: Some(most) };
        let set = rustix::process::prlimit(Some(self.process()?), resource, most);
        set.map(drop).with_context(|| format!("{} cannot be bounded", self.name))
    }

    fn process(&self) -> anyhow::Result<Pid> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        pid.with_context(|| format!("{} has ended", self.name))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Not within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        match timeout(limit, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} still runs after {limit:?}\n{}", self.name, self.log_end()),
        }
    }

    /// SIGTERM, then waits for the end; returns the exit code.
    ///
    /// # Errors
    /// Not within `limit`: it is killed then.
    pub async fn terminate(mut self, limit: Duration) -> anyhow::Result<Option<i32>> {
        self.signal(Signal::TERM)?;
        if let Ok(status) = timeout(limit, self.child.wait()).await {
            return Ok(status?.code());
        }
        self.child.kill().await?;
        bail!("{} did not end within {limit:?}\n{}", self.name, self.log_end())
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("{} cannot be killed", self.name))
    }

    fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}
