//! The processes of a run: starting them, what they cost, ending them.

pub(super) mod hop;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Clock ticks a second in `/proc`: `USER_HZ`, 100 on every Linux architecture that we run on (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process may take to say what is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a process may take to end by itself; above the fleet's default of 25 s.
const GRACE: Duration = Duration::from_secs(30);
/// Lines of a log that an error shows.
const TAIL: usize = 10;

/// A process of the benchmark. It ends with this value.
pub(super) struct Worker {
    /// What it is, for the report.
    pub(super) name: &'static str,
    child: Child,
    pid: u32,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Worker {
    /// Starts `command`; its standard error goes to a file in `folder`.
    pub(super) fn start(name: &'static str, mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().context("the process ended at once")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let stdin = child.stdin.take();
        Ok(Self { name, child, pid, stdin, lines: BufReader::new(stdout).lines(), log })
    }

    /// The rest of the next line on its standard output that starts with `start`.
    pub(super) async fn hear(&mut self, start: &str, patience: Duration) -> anyhow::Result<String> {
        let heard = async {
            while let Some(line) = self.lines.next_line().await? {
                if let Some(rest) = line.strip_prefix(start) {
                    return Ok(rest.trim().to_owned());
                }
            }
            anyhow::bail!("it ended")
        };
        let heard = timeout(patience, heard).await.unwrap_or_else(|_| Err(anyhow::anyhow!("time is up")));
        heard
            .with_context(|| format!("{} did not say \"{start}\"; its log ends:\n{}", self.name, self.tail()))
    }

    /// Waits until it is ready to be told.
    pub(super) async fn wait_ready(&mut self) -> anyhow::Result<()> {
        self.hear(hop::READY, PATIENCE).await.map(drop)
    }

    /// Tells it to go on.
    pub(super) async fn go(&mut self) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("nobody listens")?;
        stdin.write_all(b"go\n").await.with_context(|| format!("{} does not listen", self.name))
    }

    /// Fails if it ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                anyhow::bail!("{} ended with {status}; its log ends:\n{}", self.name, self.tail())
            }
        }
    }

    /// The last lines of its log.
    pub(super) fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// CPU time so far, microseconds.
    pub(super) fn cpu_us(&self) -> f64 {
        cpu_us(self.pid)
    }

    /// Resident memory, MiB.
    pub(super) fn resident_mib(&self) -> f64 {
        resident_mib(self.pid)
    }

    /// Asks it to end, and waits.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
            && self.child.try_wait()?.is_none()
        {
            kill_process(pid, Signal::TERM).with_context(|| format!("cannot end {}", self.name))?;
        }
        if timeout(GRACE, self.child.wait()).await.is_err() {
            self.child.kill().await.with_context(|| format!("cannot kill {}", self.name))?;
            anyhow::bail!("{} did not end within {} s", self.name, GRACE.as_secs());
        }
        Ok(())
    }
}

/// CPU time of a process and of its ended children, microseconds; 0 once it is gone.
pub(super) fn cpu_us(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    ticks(&stat) / TICKS_PER_SECOND * 1e6
}

/// utime, stime, cutime and cstime: fields 14 to 17 of proc(5), counted behind the name in brackets.
fn ticks(stat: &str) -> f64 {
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    behind_name.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum()
}

fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = kib.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_a_name_with_blanks_and_brackets() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5";
        assert!((ticks(stat) - 100.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_process_that_is_gone_costs_nothing() {
        assert!(cpu_us(u32::MAX).abs() < f64::EPSILON);
        assert!(resident_mib(u32::MAX).abs() < f64::EPSILON);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_mib(std::process::id()) > 1.0);
    }
}
