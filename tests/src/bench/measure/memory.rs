//! Memory of armed timers in Redis, all keys counted, and the longest script on the way.

use std::time::Duration;

use shared::store::{self, CaseStore};
use tokio::time::{Instant, sleep};

use super::figure;
use super::fire::load_fleet;
use crate::bench::redis_info::RedisInfo;
use crate::bench::system::{ENTE, Extent, Ground, ONE_TIMER_ENTE, PREFIX, Running, Side, Venue, due_key};

/// Timers of a permit with the usual settings: reminders at 90, 60 and 30 days, and the office's O2.
const USUAL_TIMERS: u64 = 4;
/// Entries of one claim; the fleet's default.
const CLAIM: usize = 250;
/// Claims that are measured.
const CLAIMS: usize = 40;
/// How long a claim holds, milliseconds.
const LEASE_MS: i64 = 30_000;
/// A rewrite of the append-only file is waited for this long: its buffers are no part of the data.
const REWRITE: Duration = Duration::from_mins(1);

/// One load.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Memory {
    /// Timers of each case.
    pub(in crate::bench) timers_per_case: u64,
    /// Armed timers.
    pub(in crate::bench) timers: u64,
    /// Bytes a timer.
    pub(in crate::bench) bytes: f64,
    /// Timers armed a second, the whole intake included.
    pub(in crate::bench) rate: f64,
    /// Mean script, microseconds.
    pub(in crate::bench) mean_script_us: f64,
    /// Longest script while they were armed, milliseconds.
    pub(in crate::bench) slowest_script_ms: f64,
    /// Longest claim of [`CLAIM`] entries among all of them, with nothing else at work, milliseconds.
    pub(in crate::bench) slowest_claim_ms: f64,
}

/// Loads about `timers`, first as cases with several each, then as cases with one.
pub(in crate::bench) async fn memory(ground: &Ground, timers: u64) -> anyhow::Result<Vec<Memory>> {
    let several = load(ground, ENTE, (timers.div_ceil(USUAL_TIMERS), USUAL_TIMERS)).await?;
    let one = load(ground, ONE_TIMER_ENTE, (timers, 1)).await?;
    Ok(vec![several, one])
}

async fn load(ground: &Ground, ente: &str, (cases, each): (u64, u64)) -> anyhow::Result<Memory> {
    let venue = Venue::clear(ground, Side::Fleet).await?;
    let mut redis = RedisInfo::connect(&venue.redis).await?;
    let mut running = Running::start(ground, &venue, None, Extent::FirstHop).await?;
    let before = redis.number("used_memory").await?;
    let start = Instant::now();
    load_fleet(ground, &venue, &mut running, (ente, cases, cases * each)).await?;
    let rate = figure(cases * each) / start.elapsed().as_secs_f64();
    settle(&mut redis).await?;
    let used = redis.number("used_memory").await?.saturating_sub(before);
    let timers = redis.entries(&due_key(ente)).await?;
    let (mean_script_us, _) = redis.scripts().await?;
    let slowest_script_ms = redis.slowest_script_ms().await?;
    running.stop().await?;
    let slowest_claim_ms = slowest_claim(&venue, &mut redis, ente).await?;
    venue.leave().await?;
    let bytes = figure(used) / figure(timers);
    Ok(Memory {
        timers_per_case: each,
        timers,
        bytes,
        rate,
        mean_script_us,
        slowest_script_ms,
        slowest_claim_ms,
    })
}

/// Claims some batches as the scheduler does, from a schedule that is wholly due.
async fn slowest_claim(venue: &Venue, redis: &mut RedisInfo, ente: &str) -> anyhow::Result<f64> {
    let options = store::Options {
        url: venue.redis.clone().into(),
        place: store::Place::Single,
        response_timeout: Duration::from_secs(10),
        tls: store::Tls::default(),
        prefix: PREFIX.to_owned(),
    };
    let cases = CaseStore::new(store::Redis::connect(&options).await?);
    redis.make_due(&due_key(ente)).await?;
    redis.forget_slow().await?;
    for _ in 0..CLAIMS {
        cases.claim(ente, CLAIM, LEASE_MS, (usize::MAX >> 1, None)).await?;
    }
    redis.slowest_script_ms().await
}

async fn settle(redis: &mut RedisInfo) -> anyhow::Result<()> {
    let deadline = Instant::now() + REWRITE;
    while redis.number("aof_rewrite_in_progress").await? != 0 {
        anyhow::ensure!(Instant::now() < deadline, "Redis rewrites its file for more than a minute");
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
