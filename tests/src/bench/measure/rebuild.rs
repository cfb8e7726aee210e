//! A Redis that lost everything, put back from the journal by the command line.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::Instant;

use super::figure;
use super::fire::load_fleet;
use crate::bench::redis_info::RedisInfo;
use crate::bench::system::{ENTE, Extent, Ground, Running, Side, Venue, due_key};

/// Timers of a permit with the usual settings.
const USUAL_TIMERS: u64 = 4;

/// One rebuild, and one more of what is whole.
#[derive(Debug, Clone)]
pub(in crate::bench) struct Rebuild {
    /// Events in the journal; each armed four timers, which are four more lines.
    pub(in crate::bench) events: u64,
    /// Events put back a second, the program's start included.
    pub(in crate::bench) rate: f64,
    /// Events known a second, when it is done again.
    pub(in crate::bench) again: f64,
    /// Longest script, milliseconds.
    pub(in crate::bench) slowest_script_ms: f64,
}

/// Arms about `timers`, empties Redis, and rebuilds it twice.
pub(in crate::bench) async fn rebuild(ground: &Ground, timers: u64) -> anyhow::Result<Rebuild> {
    let events = timers.div_ceil(USUAL_TIMERS);
    let venue = Venue::clear(ground, Side::Fleet).await?;
    let mut running = Running::start(ground, &venue, None, Extent::FirstHop).await?;
    load_fleet(ground, &venue, &mut running, (ENTE, events, events * USUAL_TIMERS)).await?;
    running.stop().await?;
    let mut redis = RedisInfo::connect(&venue.redis).await?;
    redis.clear().await?;
    let rate = run(ground, events, events).await?;
    let found = redis.entries(&due_key(ENTE)).await?;
    ensure!(found == events * USUAL_TIMERS, "{found} timers are armed after the rebuild");
    let slowest_script_ms = redis.slowest_script_ms().await?;
    let again = run(ground, events, 0).await?;
    venue.leave().await?;
    Ok(Rebuild { events, rate, again, slowest_script_ms })
}

/// Runs the command, which must put back so many events; returns events a second.
async fn run(ground: &Ground, events: u64, missing: u64) -> anyhow::Result<f64> {
    let mut command = ground.program("promemoria");
    command.arg("--config").arg(ground.folder().join("fleet.toml")).args(["rebuild", "--json"]);
    let begun = Instant::now();
    let ended = command.stderr(Stdio::inherit()).output().await.context("the command cannot be started")?;
    let seconds = begun.elapsed().as_secs_f64();
    let told: Value = serde_json::from_slice(&ended.stdout).context("the command told nothing")?;
    let put_back = told["enti"][ENTE]["events"].as_u64();
    ensure!(ended.status.success() && put_back == Some(missing), "{told}");
    Ok(figure(events) / seconds)
}
