//! The quota under fire: a backlog of one ente and now and then a fresh message of another on the same IO
//! account, several real dispatchers, and the calls as the sandbox saw them come.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::fire::load_fleet;
use super::relay::{Load, producer, started_ms};
use super::{figure, quantile};
use crate::bench::events::{Kind, number_in};
use crate::bench::redis_info::RedisInfo;
use crate::bench::system::{
    ENTE, Extent, Ground, ONE_TIMER_ENTE, Progress, QUOTA, QUOTA_DISPATCHERS, Running, Sandbox, Side, Venue,
    due_key, wait_until,
};

/// Fresh messages of the other ente.
const FRESH: u64 = 30;
/// How many of them a second: far below its share.
const FRESH_RATE: f64 = 0.5;
/// The least share of the limit that is used while there is a backlog.
const LEAST_USED: f64 = 0.95;
/// How long another ente's backlog may hold up a fresh message, milliseconds.
const FRESH_WITHIN_MS: f64 = 2_000.0;
/// Between two looks.
const GLANCE: Duration = Duration::from_millis(200);
/// How long it may go without one more fresh message.
const PATIENCE: Duration = Duration::from_mins(1);

/// One run.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Quota {
    /// Dispatchers.
    pub(in crate::bench) dispatchers: usize,
    /// Messages due at once.
    pub(in crate::bench) due: u64,
    /// Calls that the account has in any 5 s.
    pub(in crate::bench) limit: u32,
    /// Most calls in any 5 s, exactly.
    pub(in crate::bench) busiest: u64,
    /// Calls in 5 s on average, from the first to the last, as a share of the limit.
    pub(in crate::bench) used: f64,
    /// From a fresh event to its message at IO, milliseconds: median and longest.
    pub(in crate::bench) fresh_ms: [f64; 2],
}

/// Runs it once with `due` messages due at one instant.
pub(in crate::bench) async fn quota(ground: &Ground, due: u64) -> anyhow::Result<Quota> {
    let venue = Venue::clear(ground, Side::Fleet).await?;
    let sandbox = Sandbox::start(ground, due + FRESH).await?;
    let mut running = Running::start(ground, &venue, Some(&sandbox), Extent::Limited).await?;
    let mut redis = RedisInfo::connect(&venue.redis).await?;
    load_fleet(ground, &venue, &mut running, (ONE_TIMER_ENTE, due, due)).await?;
    redis.make_due(&due_key(ONE_TIMER_ENTE)).await?;
    let began = Instant::now();
    let load = Load { n: FRESH, kind: Kind::Immediate, ente: ENTE, rate: Some(FRESH_RATE) };
    let mut producer = producer(ground, &venue, load).await?;
    producer.go().await?;
    let started = started_ms(&mut producer).await?;
    wait_until(&mut running, GLANCE, PATIENCE, async || {
        Ok(Progress { count: fresh_latencies(&sandbox, started).await?.len() as u64, of: FRESH })
    })
    .await?;
    producer.hear("done", PATIENCE).await?;
    let (calls, fresh) = (sandbox.calls().await?, fresh_latencies(&sandbox, started).await?);
    eprintln!("quota: {} calls in {} s", calls.calls, began.elapsed().as_secs());
    producer.stop().await?;
    running.stop().await?;
    sandbox.worker.stop().await?;
    venue.leave().await?;
    // The last window is cut off where the measurement ends: its calls count, its time does as well.
    let used = figure(calls.calls) * 5_000.0 / figure(calls.span_ms.max(1)) / f64::from(QUOTA);
    let fresh_ms = [quantile(&fresh, 0.5), quantile(&fresh, 1.0)];
    let dispatchers = QUOTA_DISPATCHERS;
    Ok(Quota { dispatchers, due, limit: QUOTA, busiest: calls.busiest, used, fresh_ms })
}

impl Quota {
    /// Holds it against what is promised: never above the limit, at least 95 % of it used, and nobody else's fresh
    /// message later than 2 s.
    ///
    /// # Errors
    /// What was missed, and by how much.
    pub(in crate::bench) fn hold(&self) -> anyhow::Result<()> {
        ensure!(
            self.busiest <= u64::from(self.limit),
            "quota: {} calls in 5 s of {}",
            self.busiest,
            self.limit
        );
        ensure!(self.used >= LEAST_USED, "quota: {:.1} % of the limit used", self.used * 100.0);
        let longest = self.fresh_ms[1];
        ensure!(longest <= FRESH_WITHIN_MS, "quota: a fresh message of another ente waited {longest:.0} ms");
        Ok(())
    }
}

/// Sorted latencies of the fresh messages that came, milliseconds.
async fn fresh_latencies(sandbox: &Sandbox, started: f64) -> anyhow::Result<Vec<f64>> {
    let mut latencies = Vec::new();
    for message in sandbox.messages().await? {
        // Only the fresh ones have a number in their text.
        if let Some(number) = number_in(&message.content.markdown) {
            let meant = started + figure(number) / FRESH_RATE * 1e3;
            latencies.push(figure(u64::try_from(message.at.timestamp_millis())?) - meant);
        }
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}
