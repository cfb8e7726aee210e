//! A local server program: how to start it, and the process while it runs.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;

use super::process::{OwnedProcess, family_of};
use super::watchdog::Watchdog;

/// How long a server may take to end by itself. RabbitMQ flushes its queues and Redis its append-only file:
/// both take well under a second for a test's data.
const GRACE: Duration = Duration::from_secs(20);

/// Everything that a start needs, kept for the next one.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// What the command line begins with to run somewhere else: `ip netns exec <name>`, or nothing.
    pub(super) within: Vec<String>,
    /// The program, by its full path.
    pub(super) program: PathBuf,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    /// Variables added to this process's environment.
    pub(super) environment: Vec<(&'static str, String)>,
    /// Where the output goes, and the working directory's place.
    pub(super) log: PathBuf,
}

impl Launch {
    /// A command with this environment and without settings meant for somebody else's node.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = match &self.within[..] {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if ["RABBITMQ_", "ERL_", "ERLANG_"].iter().any(|prefix| name_text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    fn spawn(&self) -> anyhow::Result<std::process::Child> {
        let log = self.open_log().with_context(|| format!("cannot open {}", self.log.display()))?;
        let mut command = self.command(&self.program);
        if let Some(folder) = self.log.parent() {
            command.current_dir(folder);
        }
        command.args(&self.arguments).stdout(log.try_clone()?).stderr(log).process_group(0);
        command.spawn().with_context(|| format!("cannot start {}", self.program.display()))
    }

    fn open_log(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).append(true).open(&self.log)
    }

    /// The last lines of the output, for an error.
    pub(super) fn log_tail(&self, lines: usize) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// A server that can be stopped and started again in its own place.
pub(super) struct LocalServer {
    /// How it starts.
    pub(super) launch: Launch,
    watchdog: Arc<Watchdog>,
    running: Option<OwnedProcess>,
}

impl LocalServer {
    /// Starts the program; it need not answer yet.
    pub(super) fn start_new(launch: Launch, watchdog: &Arc<Watchdog>) -> anyhow::Result<Self> {
        let mut server = Self { launch, watchdog: Arc::clone(watchdog), running: None };
        server.start()?;
        Ok(server)
    }

    /// Starts the program again, if it does not run.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        if self.running.is_none() {
            self.running = Some(OwnedProcess::adopt(self.launch.spawn()?, Arc::clone(&self.watchdog))?);
        }
        Ok(())
    }

    /// Asks the program to end and waits for it, if it runs.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        match self.running.take() {
            Some(process) => process.stop(GRACE).await,
            None => Ok(()),
        }
    }

    /// Ends the program as a crash does, if it runs.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        match self.running.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Sends a signal to the program.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.running.as_ref().context("the server is stopped")?.signal(signal)
    }

    /// The ids of its processes: none while it is stopped.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.running.as_ref().map(|process| family_of(process.pid())).unwrap_or_default()
    }

    /// Why it will never answer, if it ended by itself.
    pub(super) fn failure(&mut self) -> anyhow::Result<Option<String>> {
        match self.running.as_mut() {
            Some(process) => Ok(process.exit()?.map(|status| format!("it ended by itself with {status}"))),
            None => Ok(Some("it is stopped".to_owned())),
        }
    }
}

/// The first of the paths, or the program of that name on `PATH`, that is a file.
pub(super) fn find_program(name: &str, places: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // An ordinary user's PATH leaves out the folder where Debian puts servers.
    let on_path = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    places
        .iter()
        .map(PathBuf::from)
        .chain(on_path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
