//! A server process that is ours, with everything below it.

use std::collections::HashMap;
use std::fs;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal};
use tokio::time::{Instant, sleep};

use super::watchdog::{Charge, Watchdog};

/// How often the state of a process is looked at. There is no event to wait for: most of the processes
/// of a broker are not our children.
const GLANCE: Duration = Duration::from_millis(20);

/// The leader of a process group of its own.
///
/// Its child handle is the standard library's and not tokio's, so that it outlives the runtime of the test
/// that happened to start it.
pub(super) struct OwnedProcess {
    child: Child,
    watchdog: Arc<Watchdog>,
}

impl OwnedProcess {
    /// Takes charge of a child that was started with `process_group(0)`.
    pub(super) fn adopt(mut child: Child, watchdog: Arc<Watchdog>) -> anyhow::Result<Self> {
        if let Err(error) = watchdog.guard(&Charge::Group(child.id())) {
            child.kill().and_then(|()| child.wait()).context("an unguarded process did not end")?;
            return Err(error);
        }
        Ok(Self { child, watchdog })
    }

    /// The leader's process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the leader ended, if it did.
    pub(super) fn exit(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot ask for a process's state")
    }

    /// Sends a signal to the whole group.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        rustix::process::kill_process_group(self.group()?, signal)
            .with_context(|| format!("cannot send {signal:?} to process group {}", self.pid()))
    }

    /// Asks the group to end and waits for every process below it; what is left after `grace` is killed.
    pub(super) async fn stop(mut self, grace: Duration) -> anyhow::Result<()> {
        let family = family_of(self.pid());
        if self.exit()?.is_none() {
            self.signal(Signal::TERM)?;
            // A stopped process acts on the first signal only when it goes on.
            self.signal(Signal::CONT)?;
        }
        if !self.wait_for_end(&family, grace).await? {
            self.finish(&family).await?;
        }
        Ok(())
    }

    /// Ends the group at once, as a crash does.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        let family = family_of(self.pid());
        self.finish(&family).await
    }

    async fn finish(&mut self, family: &[u32]) -> anyhow::Result<()> {
        // The leader may be gone and the group with it.
        drop(self.signal(Signal::KILL));
        for pid in family.iter().copied().filter(|pid| is_alive(*pid)) {
            drop(pid_of(pid).map(|pid| rustix::process::kill_process(pid, Signal::KILL)));
        }
        let ended = self.wait_for_end(family, Duration::from_secs(10)).await?;
        anyhow::ensure!(ended, "processes of group {} survive a kill", self.pid());
        Ok(())
    }

    async fn wait_for_end(&mut self, family: &[u32], grace: Duration) -> anyhow::Result<bool> {
        let deadline = Instant::now() + grace;
        loop {
            // Asking also reaps the leader, which would count as alive otherwise.
            let leader_ended = self.exit()?.is_some();
            if leader_ended && !family.iter().any(|pid| is_alive(*pid)) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(GLANCE).await;
        }
    }

    fn group(&self) -> anyhow::Result<Pid> {
        pid_of(self.pid())
    }
}

/// The last resort, for a fixture that was dropped without a shutdown: no waiting, no asking.
impl Drop for OwnedProcess {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            drop(self.signal(Signal::KILL));
            drop(self.child.wait());
        }
        self.watchdog.release_group(self.child.id());
    }
}

/// The process with all that descend from it, by `/proc`.
pub(super) fn family_of(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if let Some((_, parent)) = state_and_parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut family = vec![root];
    let mut next = 0;
    while let Some(pid) = family.get(next) {
        family.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    family
}

/// Whether the process runs; one that has ended and waits to be reaped by its parent does not.
pub(super) fn is_alive(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// Fields 3 and 4 of `/proc/PID/stat` (proc(5)). The name before them may hold spaces and parentheses.
fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn pid_of(pid: u32) -> anyhow::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).with_context(|| format!("{pid} is no process id"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    fn start(script: &str) -> OwnedProcess {
        let child = Command::new("/bin/sh").args(["-c", script]).process_group(0).spawn().unwrap();
        OwnedProcess::adopt(child, Arc::new(Watchdog::start().unwrap())).unwrap()
    }

    async fn family_of_size(process: &OwnedProcess, size: usize) -> Vec<u32> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let family = family_of(process.pid());
            if family.len() == size {
                return family;
            }
            assert!(Instant::now() < deadline, "the family stays at {family:?}");
            sleep(GLANCE).await;
        }
    }

    #[tokio::test]
    async fn stopping_ends_children_that_left_the_group() {
        let process = start("setsid sleep 600 & sleep 600 & wait");
        let family = family_of_size(&process, 3).await;
        process.stop(Duration::from_millis(200)).await.unwrap();
        assert!(family.iter().all(|pid| !is_alive(*pid)), "{family:?}");
    }

    #[tokio::test]
    async fn a_group_that_ignores_the_request_is_killed() {
        let process = start("trap '' TERM; sleep 600 & while :; do wait; done");
        let family = family_of_size(&process, 2).await;
        process.stop(Duration::from_millis(50)).await.unwrap();
        assert!(family.iter().all(|pid| !is_alive(*pid)), "{family:?}");
    }

    #[tokio::test]
    async fn dropping_kills_the_group() {
        let process = start("sleep 600 & wait");
        let family = family_of_size(&process, 2).await;
        drop(process);
        let deadline = Instant::now() + Duration::from_secs(20);
        while family.iter().any(|pid| is_alive(*pid)) {
            assert!(Instant::now() < deadline, "{family:?}");
            sleep(GLANCE).await;
        }
    }
}
