//! Messages a second from the first event to the last message at IO, the producer beside it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::time::sleep;

use super::cost::{Cost, Look};
use super::figure;
use crate::bench::events::Kind;
use crate::bench::process::Worker;
use crate::bench::redis_info::RedisInfo;
use crate::bench::system::{ENTE, Extent, Ground, Progress, Running, Sandbox, Side, Venue, wait_until};

/// Between two counts: an end is known to this.
const GLANCE: Duration = Duration::from_millis(10);
/// How long a run may go without one more message. Above the lease of 30 s: what got lost would come back.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long duplicates have to show after the last message.
const AFTER: Duration = Duration::from_secs(2);
/// From ready to the look at the idle memory.
const REST: Duration = Duration::from_millis(500);

/// One run.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Relay {
    /// Messages a second.
    pub(in crate::bench) rate: f64,
    /// CPU.
    pub(in crate::bench) cost: Cost,
    /// Each service: name, milliseconds from start to ready, MiB idle, MiB after the run.
    pub(in crate::bench) services: Vec<(&'static str, f64, f64, f64)>,
    /// Scripts of Redis a message.
    pub(in crate::bench) scripts: f64,
    /// Longest script, milliseconds.
    pub(in crate::bench) slowest_script_ms: f64,
}

/// Runs one side once over `n` messages.
pub(in crate::bench) async fn relay(ground: &Ground, side: Side, n: u64) -> anyhow::Result<Relay> {
    let venue = Venue::clear(ground, side).await?;
    let sandbox = Sandbox::start(ground, n).await?;
    let mut running = Running::start(ground, &venue, Some(&sandbox), Extent::Whole).await?;
    let mut producer =
        producer(ground, &venue, Load { n, kind: Kind::Immediate, ente: ENTE, rate: None }).await?;
    sleep(REST).await;
    let idle: Vec<f64> = running.workers.iter().map(Worker::resident_mib).collect();
    let before = look(ground, &running, &sandbox, &producer).await?;
    producer.go().await?;
    let started = started_ms(&mut producer).await?;
    wait_until(&mut running, GLANCE, PATIENCE, async || {
        Ok(Progress { count: sandbox.counts().await?.unique, of: n })
    })
    .await?;
    let ended = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3;
    let cost = before.until(&look(ground, &running, &sandbox, &producer).await?, n);
    producer.hear("done", PATIENCE).await?;
    sleep(AFTER).await;
    sandbox.ensure_exactly(n).await?;
    let services = running.workers.iter().zip(&running.ready_ms).zip(idle);
    let services = services.map(|((worker, ready), idle)| (worker.name, *ready, idle, worker.resident_mib()));
    let services = services.collect();
    let mut redis = RedisInfo::connect(&venue.redis).await?;
    let (_, scripts) = redis.scripts().await?;
    let slowest_script_ms = redis.slowest_script_ms().await?;
    producer.stop().await?;
    running.stop().await?;
    sandbox.worker.stop().await?;
    venue.leave().await?;
    let rate = figure(n) / (ended - started) * 1e3;
    Ok(Relay { rate, cost, services, scripts: figure(scripts) / figure(n), slowest_script_ms })
}

/// What a producer publishes.
pub(super) struct Load<'a> {
    pub(super) n: u64,
    pub(super) kind: Kind,
    pub(super) ente: &'a str,
    /// Events a second; none: as fast as it goes.
    pub(super) rate: Option<f64>,
}

/// Starts a producer that waits to be told.
pub(super) async fn producer(ground: &Ground, venue: &Venue, load: Load<'_>) -> anyhow::Result<Worker> {
    let mut command = Ground::subcommand("produce")?;
    command.args(["--amqp", &venue.amqp, "--exchange", venue.side.events_exchange(), "--ente", load.ente]);
    let kind = match load.kind {
        Kind::Immediate => "immediate",
        Kind::Timers => "timers",
    };
    command.args(["--kind", kind, "--n", &load.n.to_string()]);
    if let Some(rate) = load.rate {
        command.args(["--rate", &rate.to_string()]);
    }
    let mut producer = Worker::start("producer", command, ground.folder())?;
    producer.wait_ready().await?;
    Ok(producer)
}

/// When the first event went, Unix milliseconds.
pub(super) async fn started_ms(producer: &mut Worker) -> anyhow::Result<f64> {
    let started = producer.hear("started ", PATIENCE).await?;
    started.parse().with_context(|| format!("the producer says it started at \"{started}\""))
}

async fn look(
    ground: &Ground,
    running: &Running,
    sandbox: &Sandbox,
    producer: &Worker,
) -> anyhow::Result<Look> {
    let workers: Vec<&Worker> = running.workers.iter().chain([&sandbox.worker, producer]).collect();
    Look::take(ground, &workers).await
}
