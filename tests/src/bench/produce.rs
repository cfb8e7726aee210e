//! The producer: publishes case events as fast as they are confirmed, or at a fixed rate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::Args;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant, sleep_until};

use super::amqp::{Outlet, WINDOW, connect};
use super::events::{Event, Kind};
use super::process::hop;

/// Unconfirmed messages at a fixed rate: more than can pile up in a run, so that the window never delays
/// a publish behind its time.
const OPEN_WINDOW: usize = 100_000;

/// What to publish.
#[derive(Debug, Clone, Args)]
pub(super) struct Produce {
    /// Virtual host to publish to.
    #[arg(long)]
    pub(super) amqp: String,
    /// Topic exchange.
    #[arg(long)]
    pub(super) exchange: String,
    /// Ente of the events.
    #[arg(long)]
    pub(super) ente: String,
    /// Which event.
    #[arg(long)]
    pub(super) kind: Kind,
    /// Number of the first event.
    #[arg(long, default_value_t = 0)]
    pub(super) first: u64,
    /// How many events.
    #[arg(long)]
    pub(super) n: u64,
    /// Events a second; without it as fast as they are confirmed.
    #[arg(long)]
    pub(super) rate: Option<f64>,
}

/// Publishes once told to; says `started <Unix milliseconds>` and, when all is confirmed, `done`.
pub(super) async fn run(produce: Produce) -> anyhow::Result<()> {
    let connection = connect(&produce.amqp).await?;
    let outlet = Outlet::open(&connection, produce.rate.map_or(WINDOW, |_| OPEN_WINDOW)).await?;
    let now = DateTime::<Utc>::from(SystemTime::now());
    let numbers = produce.first..produce.first + produce.n;
    let events: Vec<(String, Vec<u8>)> = numbers
        .map(|number| {
            let event = Event::new(produce.kind, &produce.ente, number, now);
            Ok((event.routing_key(), serde_json::to_vec(&event)?))
        })
        .collect::<serde_json::Result<_>>()?;
    hop::ready()?;
    hop::told_to_go().await?;
    hop::say(&format!("started {:.3}", unix_ms()?))?;
    match produce.rate {
        None => {
            let sends = events.iter().map(|(key, body)| outlet.send(&produce.exchange, key, body));
            stream::iter(sends).buffer_unordered(WINDOW).try_collect::<()>().await?;
        }
        Some(rate) => at_rate(&outlet, &produce.exchange, &events, rate).await?,
    }
    hop::say("done")?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

/// Each event at its own time, whatever became of those before.
async fn at_rate(
    outlet: &Outlet,
    exchange: &str,
    events: &[(String, Vec<u8>)],
    rate: f64,
) -> anyhow::Result<()> {
    anyhow::ensure!(rate > 0.0 && rate.is_finite(), "--rate: must be more than 0, got {rate}");
    let start = Instant::now();
    let mut in_flight = FuturesUnordered::new();
    for (place, (key, body)) in (0_u32..).zip(events) {
        let due = start + Duration::from_secs_f64(f64::from(place) / rate);
        loop {
            tokio::select! {
                biased;
                () = sleep_until(due) => break,
                Some(sent) = in_flight.next() => sent?,
            }
        }
        in_flight.push(outlet.send(exchange, key, body));
    }
    in_flight.try_collect::<()>().await
}

fn unix_ms() -> anyhow::Result<f64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(since.as_secs_f64() * 1000.0)
}
