//! Floor, fleet and sandbox as processes, on a fresh virtual host and an empty Redis for every run.

mod fleet;
mod sandbox;
mod venue;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

pub(super) use fleet::{ENTE, ONE_TIMER_ENTE, PREFIX, QUOTA, QUOTA_DISPATCHERS, RENDER_QUEUE, due_key};
pub(super) use sandbox::Sandbox;
pub(super) use venue::{Venue, waiting};

use super::process::Worker;
use super::redis_info::RedisInfo;
use crate::brokers::{Brokers, Options, Source};
use crate::fleet::Binaries;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The thin relay.
    Floor,
    /// The real services.
    Fleet,
}

impl Side {
    /// For the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Fleet => "fleet",
        }
    }

    /// The exchange that takes events.
    pub(super) fn events_exchange(self) -> &'static str {
        match self {
            Self::Floor => super::floor::topology::EVENTS,
            Self::Fleet => fleet::EVENTS_EXCHANGE,
        }
    }
}

/// How much of a side runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All three hops.
    Whole,
    /// All three hops, with several dispatchers and all enti on one account of limited calls.
    Limited,
    /// The first alone: what is due piles up on the second's queue.
    FirstHop,
}

/// Private brokers and the programs.
pub(super) struct Ground {
    pub(super) brokers: Brokers,
    folder: TempDir,
    programs: Binaries,
}

impl Ground {
    /// Builds the programs, in the profile of this one, and starts the brokers.
    pub(super) async fn prepare() -> anyhow::Result<Self> {
        let programs = Binaries::build(!cfg!(debug_assertions))?;
        let folder = tempfile::Builder::new().prefix("promemoria-bench-").tempdir()?;
        // Not containers: their published ports go through a proxy that copies every byte on the same cores.
        let brokers = Brokers::start(&Options::default().with_source(Source::Local)).await?;
        Ok(Self { brokers, folder, programs })
    }

    /// Gives Redis nearly all of a processor whenever it wants one, by the kernel's ordinary scheduling: a
    /// script then takes the time that it works, without what a full machine puts in between. Real-time
    /// scheduling would not do: the kernel stops such a process for 50 ms in each second that it fills.
    pub(super) async fn put_redis_first(&self) -> anyhow::Result<()> {
        let process = RedisInfo::connect(self.brokers.redis_url()).await?.number("process_id").await?;
        let mut renice = Command::new("renice");
        let status = renice.args(["-n", "-20", "-p"]).arg(process.to_string()).status().await?;
        anyhow::ensure!(status.success(), "renice: {status}; --redis-first needs root");
        // Where the kernel weighs sessions before processes, this is the session's weight.
        let session = format!("/proc/{process}/autogroup");
        if Path::new(&session).exists() {
            fs::write(&session, "-20").with_context(|| format!("cannot write {session}"))?;
        }
        Ok(())
    }

    /// The folder of the run's files.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A program of the fleet.
    pub(super) fn program(&self, name: &str) -> Command {
        self.programs.command(name).into()
    }

    /// This program again, with a subcommand.
    pub(super) fn subcommand(name: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(name);
        Ok(command)
    }
}

/// The processes of one side, ready.
pub(super) struct Running {
    /// In the order of the hops.
    pub(super) workers: Vec<Worker>,
    /// From start to ready, milliseconds, in the same order.
    pub(super) ready_ms: Vec<f64>,
}

impl Running {
    /// Starts a side on a venue.
    pub(super) async fn start(
        ground: &Ground,
        venue: &Venue,
        sandbox: Option<&Sandbox>,
        extent: Extent,
    ) -> anyhow::Result<Self> {
        match venue.side {
            Side::Floor => floor_processes(ground, venue, sandbox, extent).await,
            Side::Fleet => fleet::start(ground, venue, sandbox, extent).await,
        }
    }

    /// Fails if one of them ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.workers.iter_mut().try_for_each(Worker::check)
    }

    /// Ends all of them.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        for worker in self.workers {
            worker.stop().await?;
        }
        Ok(())
    }
}

async fn floor_processes(
    ground: &Ground,
    venue: &Venue,
    sandbox: Option<&Sandbox>,
    extent: Extent,
) -> anyhow::Result<Running> {
    let mut commands =
        vec![("scheduler", "floor-intake", vec!["--amqp", &venue.amqp, "--redis", &venue.redis])];
    let api = sandbox.map(Sandbox::api).unwrap_or_default();
    if extent == Extent::Whole {
        commands.push(("renderer", "floor-render", vec!["--amqp", &venue.amqp]));
        let brokers = ["--amqp", &venue.amqp, "--redis", &venue.redis];
        let dispatch = [&brokers[..], &["--api", &api, "--key", sandbox::KEYS[0]]].concat();
        commands.push(("dispatcher", "floor-dispatch", dispatch));
    }
    let mut running = Running { workers: Vec::new(), ready_ms: Vec::new() };
    for (name, subcommand, arguments) in commands {
        let mut command = Ground::subcommand(subcommand)?;
        command.args(arguments);
        let started = Instant::now();
        let mut worker = Worker::start(name, command, ground.folder())?;
        worker.wait_ready().await?;
        running.ready_ms.push(started.elapsed().as_secs_f64() * 1e3);
        running.workers.push(worker);
    }
    Ok(running)
}

/// Waits until `ready` says so; fails at `limit` without progress, and shows where it stood.
pub(super) async fn wait_until(
    running: &mut Running,
    glance: Duration,
    limit: Duration,
    mut progress: impl AsyncFnMut() -> anyhow::Result<Progress>,
) -> anyhow::Result<()> {
    let (mut best, mut since) = (0, Instant::now());
    loop {
        let now = progress().await?;
        if now.count >= now.of {
            return Ok(());
        }
        if now.count > best {
            (best, since) = (now.count, Instant::now());
        }
        running.check()?;
        if since.elapsed() > limit {
            let tails: Vec<String> =
                running.workers.iter().map(|worker| format!("{}: {}", worker.name, worker.tail())).collect();
            anyhow::bail!(
                "{} of {} after {} s without one more; logs end:\n{}",
                now.count,
                now.of,
                limit.as_secs(),
                tails.join("\n")
            );
        }
        sleep(glance).await;
    }
}

/// How far something has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// There.
    pub(super) count: u64,
    /// Wanted.
    pub(super) of: u64,
}
