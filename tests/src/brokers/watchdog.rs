//! Cleans up after a test process that had no time to.
//!
//! A killed process runs no destructor, and neither do statics at exit. So one shell waits on a pipe whose
//! other end is ours: what must not outlive us is written to it line by line, and end of file without the
//! line `done` means that we are gone.

use std::fmt;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;

/// Signals of the terminal are ignored: on Ctrl-C the owner decides, and the pipe tells.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
groups= containers= spaces= folder=
while read -r verb what; do
    case $verb in
    group) groups="$groups $what" ;;
    ended) groups=$(for group in $groups; do [ "$group" = "$what" ] || printf '%s ' "$group"; done) ;;
    container) containers="$containers $what" ;;
    namespace) spaces="$spaces $what" ;;
    folder) folder=$what ;;
    done) exit 0 ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
for container in $containers; do docker rm --force --volumes "$container"; done
for space in $spaces; do ip netns del "$space"; done
if [ -n "$folder" ]; then rm -rf -- "$folder" || { sleep 1; rm -rf -- "$folder"; }; fi
"#;

/// Something that must not outlive this process.
pub(super) enum Charge<'a> {
    /// A process group, by its leader's pid.
    Group(u32),
    /// A container, by its id.
    Container(&'a str),
    /// A network namespace, by its name.
    Namespace(&'a str),
    /// A folder with everything in it.
    Folder(&'a str),
}

impl fmt::Display for Charge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(pid) => write!(f, "group {pid}"),
            Self::Container(id) => write!(f, "container {id}"),
            Self::Namespace(name) => write!(f, "namespace {name}"),
            Self::Folder(path) => write!(f, "folder {path}"),
        }
    }
}

/// The shell at the other end of the pipe.
pub(super) struct Watchdog {
    shell: Mutex<Child>,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Watchdog {
    /// Starts the shell, in a process group of its own.
    pub(super) fn start() -> anyhow::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start /bin/sh as watchdog")?;
        let pipe = shell.stdin.take();
        Ok(Self { shell: Mutex::new(shell), pipe: Mutex::new(pipe) })
    }

    /// From now on the thing ends with this process.
    pub(super) fn guard(&self, charge: &Charge<'_>) -> anyhow::Result<()> {
        self.say(&charge.to_string()).context("the watchdog is gone")
    }

    /// The process group is over: its number may soon be somebody else's.
    pub(super) fn release_group(&self, pid: u32) {
        // A watchdog that is gone kills nobody, which is all that this asks for.
        drop(self.say(&format!("ended {pid}")));
    }

    /// Everything was cleaned up by its owner: the shell ends without doing anything.
    pub(super) fn dismiss(&self) {
        drop(self.say("done"));
        self.hang_up();
    }

    fn say(&self, line: &str) -> std::io::Result<()> {
        match self.pipe.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(pipe) => writeln!(pipe, "{line}"),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn hang_up(&self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.shell.lock().unwrap_or_else(PoisonError::into_inner).wait());
    }
}

/// Without [`Watchdog::dismiss`] the shell does the cleaning, and this waits for it.
impl Drop for Watchdog {
    fn drop(&mut self) {
        self.hang_up();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").process_group(0).spawn().unwrap()
    }

    #[test]
    fn a_closed_pipe_ends_what_was_guarded_and_removes_the_folder() {
        let watchdog = Watchdog::start().unwrap();
        let mut guarded = sleeper();
        let mut released = sleeper();
        let folder = tempfile::tempdir().unwrap().keep();
        watchdog.guard(&Charge::Group(guarded.id())).unwrap();
        watchdog.guard(&Charge::Group(released.id())).unwrap();
        watchdog.guard(&Charge::Folder(folder.to_str().unwrap())).unwrap();
        watchdog.release_group(released.id());
        drop(watchdog);
        // The kill was sent before the shell ended; the kernel may need a moment for the rest.
        let deadline = Instant::now() + Duration::from_secs(20);
        while guarded.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the guarded group is alive");
            std::thread::yield_now();
        }
        assert!(!folder.exists());
        assert!(released.try_wait().unwrap().is_none(), "a released group was killed");
        released.kill().unwrap();
        released.wait().unwrap();
    }

    #[test]
    fn a_dismissed_watchdog_touches_nothing() {
        let watchdog = Watchdog::start().unwrap();
        let mut guarded = sleeper();
        watchdog.guard(&Charge::Group(guarded.id())).unwrap();
        watchdog.dismiss();
        assert!(guarded.try_wait().unwrap().is_none());
        guarded.kill().unwrap();
        guarded.wait().unwrap();
    }
}
