//! Latency at a fixed rate: from the time at which an event was meant to go to its message at IO.

use std::time::Duration;

use super::relay::{Load, producer, started_ms};
use super::{figure, quantile};
use crate::bench::events::{Kind, number_in};
use crate::bench::system::{ENTE, Extent, Ground, Progress, Running, Sandbox, Side, Venue, wait_until};

/// How long the rate is held, seconds.
const SECONDS: f64 = 15.0;
/// Share of the messages that is skipped at the start.
const SKIPPED: f64 = 0.1;
/// How long a run may go without one more message.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two counts.
const GLANCE: Duration = Duration::from_millis(200);

/// One run.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Latency {
    /// Events offered a second.
    pub(in crate::bench) rate: f64,
    /// Median, milliseconds.
    pub(in crate::bench) p50_ms: f64,
    /// 99 of 100 are below, milliseconds.
    pub(in crate::bench) p99_ms: f64,
}

/// Runs one side once at `rate` events a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of some thousands for some seconds"
)]
pub(in crate::bench) async fn latency(ground: &Ground, side: Side, rate: f64) -> anyhow::Result<Latency> {
    let n = (rate * SECONDS).max(100.0) as u64;
    let venue = Venue::clear(ground, side).await?;
    let sandbox = Sandbox::start(ground, n).await?;
    let mut running = Running::start(ground, &venue, Some(&sandbox), Extent::Whole).await?;
    let load = Load { n, kind: Kind::Immediate, ente: ENTE, rate: Some(rate) };
    let mut producer = producer(ground, &venue, load).await?;
    producer.go().await?;
    let started = started_ms(&mut producer).await?;
    wait_until(&mut running, GLANCE, PATIENCE, async || {
        Ok(Progress { count: sandbox.counts().await?.unique, of: n })
    })
    .await?;
    producer.hear("done", PATIENCE).await?;
    sandbox.ensure_exactly(n).await?;
    let latencies = latencies(&sandbox, (started, rate), (figure(n) * SKIPPED) as u64).await?;
    producer.stop().await?;
    running.stop().await?;
    sandbox.worker.stop().await?;
    venue.leave().await?;
    Ok(Latency { rate, p50_ms: quantile(&latencies, 0.5), p99_ms: quantile(&latencies, 0.99) })
}

/// Sorted latencies of the messages from number `first` on, milliseconds; `sent` is the first event's
/// time and the rate.
async fn latencies(sandbox: &Sandbox, sent: (f64, f64), first: u64) -> anyhow::Result<Vec<f64>> {
    let (started, rate) = sent;
    let mut latencies = Vec::new();
    for message in sandbox.messages().await? {
        let number = number_in(&message.content.markdown);
        let number = number.ok_or_else(|| anyhow::anyhow!("a message without its number"))?;
        if number >= first {
            let meant = started + figure(number) / rate * 1e3;
            let received = figure(u64::try_from(message.at.timestamp_millis())?);
            latencies.push(received - meant);
        }
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}
