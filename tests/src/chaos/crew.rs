//! The fleet's processes in a trial: one or more of each service, each with its own environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Resource, Signal};
use tempfile::TempDir;
use tokio::time::Instant;

use super::ground::Ground;
use crate::fleet::{Enti, Ports, Process, SERVICES, access, settings};

/// How long a process may take to be ready or to end, on a machine that compiles at the same time.
pub(super) const STEP: Duration = Duration::from_mins(2);

/// How much of the end of a log is shown.
const LAST_LINES: usize = 8;

/// Variables of a process's environment.
pub(super) type Environment = Vec<(String, String)>;

/// The processes.
pub(super) struct Crew {
    ground: Ground,
    /// The first of each service, and the sandbox.
    pub(super) ports: Ports,
    sandbox: Option<Process>,
    members: Vec<Member>,
    everybody: Environment,
    /// The services sign in as themselves, with the permissions of `deploy/`.
    own_users: bool,
    /// Bytes of address space that each process of a service has; none is all there is.
    address_space: Option<u64>,
    dir: TempDir,
}

struct Member {
    service: &'static str,
    port: u16,
    process: Process,
}

impl Crew {
    /// Starts the sandbox, and no service yet. `everybody` is in the environment of every service.
    pub(super) async fn muster(ground: &Ground, enti: &Enti, everybody: Environment) -> anyhow::Result<Self> {
        Self::muster_on(ground, enti, everybody, None).await
    }

    /// The same with a sandbox on that port.
    pub(super) async fn muster_on(
        ground: &Ground,
        enti: &Enti,
        everybody: Environment,
        io_port: Option<u16>,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("promemoria-chaos").tempdir()?;
        let mut ports = Ports::free()?;
        ports.sandbox = io_port.unwrap_or(ports.sandbox);
        settings::write(dir.path(), (&ground.amqp_url, &ground.redis_url), ports, enti)?;
        let ground = ground.clone();
        let (members, own_users) = (Vec::new(), false);
        let mut crew =
            Self { ground, ports, sandbox: None, members, everybody, own_users, address_space: None, dir };
        crew.start_io().await?;
        Ok(crew)
    }

    /// Starts a process of a service; it need not be ready yet. A second one listens elsewhere.
    pub(super) fn enlist(&mut self, service: &'static str, own: &[(&str, &str)]) -> anyhow::Result<()> {
        let is_first = self.members.iter().all(|member| member.service != service);
        let port = if is_first { self.ports.of(service) } else { Ports::free()?.scheduler };
        let mut environment = self.everybody.clone();
        if self.own_users {
            environment.extend(access::variables((&self.ground.amqp_url, &self.ground.redis_url), service));
        }
        environment.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let bind = format!("PROMEMORIA__{}__BIND", service.to_uppercase());
        environment.push((bind, format!("127.0.0.1:{port}")));
        let config = self.config();
        // One log for all processes of a service.
        let log = self.dir.path().join(format!("{service}.log"));
        let process = Process::start_with(&self.ground.binaries, service, &config, &log, &environment)?;
        if let Some(bytes) = self.address_space {
            process.limit(Resource::As, bytes)?;
        }
        self.members.push(Member { service, port, process });
        Ok(())
    }

    /// Has every process that starts from now on sign in as its own user, which must be there.
    pub(super) fn sign_in_as_themselves(&mut self) {
        self.own_users = true;
    }

    /// Bounds the address space of every process that starts from now on.
    pub(super) fn confine(&mut self, bytes: u64) {
        self.address_space = Some(bytes);
    }

    /// Adds a variable to the environment of every process that starts from now on.
    pub(super) fn tell_all(&mut self, name: &str, value: String) {
        self.everybody.push((name.to_owned(), value));
    }

    /// Waits until every process is ready.
    pub(super) async fn wait_ready(&mut self) -> anyhow::Result<()> {
        for member in &mut self.members {
            let ready = member.process.wait_ready(member.port, STEP).await;
            ready.with_context(|| format!("{} is not ready", member.service))?;
        }
        Ok(())
    }

    /// Waits until every process answers, ready or not.
    pub(super) async fn wait_begun(&mut self) -> anyhow::Result<()> {
        for member in &mut self.members {
            let begun = member.process.wait_begun(member.port, STEP).await;
            begun.with_context(|| format!("{} did not begin", member.service))?;
        }
        Ok(())
    }

    /// Waits until the process that was started last is ready, whatever the others are.
    pub(super) async fn wait_newest_ready(&mut self) -> anyhow::Result<()> {
        let newest = self.members.last_mut().context("nobody runs")?;
        newest.process.wait_ready(newest.port, STEP).await
    }

    /// The exit code of the process that was started last, once it has ended by itself.
    pub(super) async fn newest_ended(&mut self) -> anyhow::Result<Option<i32>> {
        let mut newest = self.members.pop().context("nobody runs")?;
        Ok(newest.process.ended(STEP).await?.code())
    }

    /// Waits until a process of the service came to the crash point it was given, and is gone.
    pub(super) async fn wait_crashed(&mut self, service: &str) -> anyhow::Result<()> {
        let mut member = self.dismiss(service)?;
        let status = member.process.ended(STEP).await?;
        anyhow::ensure!(status.code().is_none(), "{service} ended by itself with {status}");
        anyhow::ensure!(self.log_of(service).contains("crash point "), "{service} came to no crash point");
        Ok(())
    }

    /// Waits until a process of the service has ended by itself; returns its exit code and the service's log.
    pub(super) async fn wait_refused(&mut self, service: &str) -> anyhow::Result<(Option<i32>, String)> {
        let mut member = self.dismiss(service)?;
        let status = member.process.ended(STEP).await?;
        Ok((status.code(), self.log_of(service)))
    }

    /// SIGKILL to the oldest process of a service.
    pub(super) async fn kill(&mut self, service: &str) -> anyhow::Result<()> {
        self.dismiss(service)?.process.kill().await
    }

    /// SIGTERM to the oldest process of a service, and its end in order; returns how long that took.
    pub(super) async fn terminate(&mut self, service: &str) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let code = self.dismiss(service)?.process.terminate(STEP).await?;
        anyhow::ensure!(code == Some(0), "{service} ended with {code:?} after SIGTERM");
        Ok(begun.elapsed())
    }

    /// Sends a signal to the oldest process of a service.
    pub(super) fn signal(&self, service: &str, signal: Signal) -> anyhow::Result<()> {
        let member = self.members.iter().find(|member| member.service == service);
        member.with_context(|| format!("no {service} runs"))?.process.signal(signal)
    }

    /// Whether the oldest process of a service came to its crash point and is stopped there.
    pub(super) fn is_frozen(&self, service: &str) -> bool {
        let pid = self.members.iter().find(|member| member.service == service).and_then(|m| m.process.pid());
        let stat = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
        // The state stands after the name (proc(5)); `T` is stopped.
        let is_stopped =
            stat.is_some_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, s)| s.starts_with('T')));
        is_stopped && self.log_of(service).contains("crash point ")
    }

    /// What `GET path` of the oldest process of a service answers: status and text.
    pub(super) async fn get(&self, service: &str, path: &str) -> anyhow::Result<(u16, String)> {
        let member = self.members.iter().find(|member| member.service == service);
        let port = member.with_context(|| format!("no {service} runs"))?.port;
        let url = format!("http://127.0.0.1:{port}{path}");
        let answer = crate::fleet::client::http_client()?.get(url).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Ends the sandbox: connections to IO are refused from now on, and what it kept is gone.
    pub(super) async fn lose_io(&mut self) -> anyhow::Result<()> {
        match self.sandbox.take() {
            Some(sandbox) => sandbox.kill().await,
            None => Ok(()),
        }
    }

    /// Starts the sandbox again, empty.
    pub(super) async fn start_io(&mut self) -> anyhow::Result<()> {
        let config = self.config();
        let mut sandbox = Process::start(&self.ground.binaries, "sandbox", &config, self.dir.path())?;
        sandbox.wait_ready(self.ports.sandbox, STEP).await?;
        self.sandbox = Some(sandbox);
        Ok(())
    }

    /// Disarms every fault of the sandbox.
    pub(super) async fn clear_faults(&self) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}/sandbox/faults", self.ports.sandbox);
        crate::fleet::client::http_client()?.delete(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// How many different messages the sandbox was sent, and how many copies of them.
    pub(super) async fn sandbox_count(&self) -> anyhow::Result<(usize, usize)> {
        let url = format!("http://127.0.0.1:{}/sandbox/count", self.ports.sandbox);
        let count: serde_json::Value =
            crate::fleet::client::http_client()?.get(url).send().await?.error_for_status()?.json().await?;
        let number = |name: &str| count[name].as_u64().and_then(|number| usize::try_from(number).ok());
        Ok((number("unique").context("a count")?, number("duplicates").context("a count")?))
    }

    /// The settings file of all.
    pub(super) fn config(&self) -> std::path::PathBuf {
        self.dir.path().join("fleet.toml")
    }

    /// The folder of the enti.
    pub(super) fn enti_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("enti")
    }

    /// The metrics of every process.
    pub(super) async fn metrics(&self) -> anyhow::Result<String> {
        let mut all = String::new();
        for service in SERVICES {
            all.extend(self.metrics_of(service).await?);
        }
        Ok(all)
    }

    /// What each process of a service answers to `GET /metrics`, the oldest first.
    pub(super) async fn metrics_of(&self, service: &str) -> anyhow::Result<Vec<String>> {
        let client = crate::fleet::client::http_client()?;
        let mut all = Vec::new();
        for member in self.members.iter().filter(|member| member.service == service) {
            let url = format!("http://127.0.0.1:{}/metrics", member.port);
            all.push(client.get(url).send().await?.text().await?);
        }
        Ok(all)
    }

    /// Resident memory (KiB) and open files of each process that runs.
    pub(super) fn sizes(&self) -> Vec<(&'static str, u64, usize)> {
        let size = |member: &Member| {
            let place = Path::new("/proc").join(member.process.pid()?.to_string());
            let status = std::fs::read_to_string(place.join("status")).ok()?;
            let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            let kib = resident.split_whitespace().next()?.parse().ok()?;
            Some((member.service, kib, std::fs::read_dir(place.join("fd")).ok()?.count()))
        };
        self.members.iter().filter_map(size).collect()
    }

    /// Everything that one service wrote.
    pub(super) fn log_of(&self, service: &str) -> String {
        // A service that never ran has no log.
        std::fs::read_to_string(self.dir.path().join(format!("{service}.log"))).unwrap_or_default()
    }

    /// Has the logs stay when this value goes; returns their folder.
    pub(super) fn keep_logs(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    /// What each service warned of last; its last lines whatever they are if it warned of nothing.
    pub(super) fn last_words(&self) -> String {
        let is_loud = |line: &&str| ["\"WARN\"", "\"ERROR\""].iter().any(|level| line.contains(level));
        let of = |service: &&str| {
            let log = self.log_of(service);
            let loud: Vec<&str> = log.lines().filter(is_loud).collect();
            let said = if loud.is_empty() { log.lines().collect() } else { loud };
            format!("{service}:\n{}\n", said[said.len().saturating_sub(LAST_LINES)..].join("\n"))
        };
        SERVICES.iter().map(of).collect()
    }

    /// Everything that the services wrote, the sandbox left out: it stands for IO.
    pub(super) fn logs(&self) -> String {
        SERVICES.iter().map(|service| self.log_of(service)).collect()
    }

    /// Ends every process; services that do not end in order are an error. What they wrote stays.
    pub(super) async fn stand_down(&mut self) -> anyhow::Result<()> {
        let ends = self.members.drain(..).map(async |member| {
            let code = member.process.terminate(STEP).await?;
            anyhow::ensure!(code == Some(0), "{} ended with {code:?}", member.service);
            Ok(())
        });
        let ends = futures_util::future::join_all(ends).await;
        self.lose_io().await?;
        ends.into_iter().collect()
    }

    fn dismiss(&mut self, service: &str) -> anyhow::Result<Member> {
        let place = self.members.iter().position(|member| member.service == service);
        Ok(self.members.remove(place.with_context(|| format!("no {service} runs"))?))
    }
}
