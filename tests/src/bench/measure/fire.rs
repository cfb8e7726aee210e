//! Many timers due at one instant: how fast they reach the render queue, confirmed.
//!
//! Both sides are loaded first, the floor by its own script and the fleet by events through its intake; then
//! one command moves every entry of the schedule to the past.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::figure;
use super::relay::{Load, producer};
use crate::bench::amqp::connect;
use crate::bench::events::{Event, Kind};
use crate::bench::floor::{self, Schedule};
use crate::bench::redis_info::RedisInfo;
use crate::bench::system::{
    Extent, Ground, ONE_TIMER_ENTE, Progress, RENDER_QUEUE, Running, Side, Venue, due_key, wait_until,
    waiting,
};

/// Between two counts: an end is known to this.
const GLANCE: Duration = Duration::from_millis(20);
/// How long it may go without one more.
const PATIENCE: Duration = Duration::from_mins(1);
/// Writes of the floor's load in flight.
const LOADING: usize = 512;
/// Due time of the floor's entries until they are made due, Unix milliseconds: the year 2100.
const FAR_MS: i64 = 4_102_444_800_000;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Fire {
    /// Timers a second.
    pub(in crate::bench) rate: f64,
    /// Longest script, milliseconds.
    pub(in crate::bench) slowest_script_ms: f64,
}

/// Runs one side once over `n` timers.
pub(in crate::bench) async fn fire(ground: &Ground, side: Side, n: u64) -> anyhow::Result<Fire> {
    let venue = Venue::clear(ground, side).await?;
    let mut running = Running::start(ground, &venue, None, Extent::FirstHop).await?;
    let mut redis = RedisInfo::connect(&venue.redis).await?;
    let (key, queue) = match side {
        Side::Floor => {
            load_floor(&venue, n).await?;
            (floor::DUE_KEY.to_owned(), floor::topology::RENDER)
        }
        Side::Fleet => {
            load_fleet(ground, &venue, &mut running, (ONE_TIMER_ENTE, n, n)).await?;
            (due_key(ONE_TIMER_ENTE), RENDER_QUEUE)
        }
    };
    let connection = connect(&venue.amqp).await?;
    let channel = connection.create_channel().await?;
    redis.make_due(&key).await?;
    let start = Instant::now();
    wait_until(&mut running, GLANCE, PATIENCE, async || {
        Ok(Progress { count: waiting(&channel, queue).await?, of: n })
    })
    .await?;
    let rate = figure(n) / start.elapsed().as_secs_f64();
    let there = waiting(&channel, queue).await?;
    anyhow::ensure!(there == n, "{there} on the render queue for {n} timers");
    let slowest_script_ms = redis.slowest_script_ms().await?;
    connection.close(200, "measured".into()).await?;
    running.stop().await?;
    venue.leave().await?;
    Ok(Fire { rate, slowest_script_ms })
}

async fn load_floor(venue: &Venue, n: u64) -> anyhow::Result<()> {
    let schedule = Schedule::connect(&venue.redis).await?;
    let now = chrono::DateTime::from(std::time::SystemTime::now());
    let commits = (0..n).map(|number| {
        let event = Event::new(Kind::Timers, ONE_TIMER_ENTE, number, now);
        let schedule = &schedule;
        async move {
            let record = serde_json::to_vec(&event)?;
            schedule.commit(&event.id, &event.subject, &record, Some(FAR_MS)).await
        }
    });
    stream::iter(commits).buffer_unordered(LOADING).try_collect::<()>().await
}

/// Publishes `n` events of an ente and waits until their `timers` are in its schedule.
pub(super) async fn load_fleet(
    ground: &Ground,
    venue: &Venue,
    running: &mut Running,
    (ente, n, timers): (&str, u64, u64),
) -> anyhow::Result<()> {
    let mut redis = RedisInfo::connect(&venue.redis).await?;
    let mut producer = producer(ground, venue, Load { n, kind: Kind::Timers, ente, rate: None }).await?;
    producer.go().await?;
    let key = due_key(ente);
    wait_until(running, GLANCE, PATIENCE, async || {
        Ok(Progress { count: redis.entries(&key).await?, of: timers })
    })
    .await?;
    producer.stop().await
}
