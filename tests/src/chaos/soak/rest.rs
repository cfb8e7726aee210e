//! What must hold whenever everything is over, so that what a fault breaks is found beside it.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

use crate::chaos::checker::{self, Bounds};
use crate::chaos::stored::Stored;
use crate::chaos::trial::Trial;

/// No outcome for so long: nothing more comes of what was there. A late answer may close a doubt still.
const SILENCE: Duration = Duration::from_millis(500);
/// How long told and stored may differ when both are at rest.
const AGREES: Duration = Duration::from_secs(30);
/// Between two comparisons.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Waits until every event came to its end and every process is ready, and holds the invariants; returns how long
/// recovery took.
pub(super) async fn rest(trial: &mut Trial, bounds: Bounds) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    trial.settle().await?;
    let took = begun.elapsed();
    trial.crew.wait_ready().await.context("I5: it does not come back")?;
    // What hit nothing by now is gone before the doubts are counted.
    trial.crew.clear_faults().await?;
    let deadline = Instant::now() + AGREES;
    loop {
        trial.listen(SILENCE).await?;
        match holds(trial, bounds).await {
            Err(_) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
            ended => return ended.map(|()| took),
        }
    }
}

async fn holds(trial: &Trial, bounds: Bounds) -> anyhow::Result<()> {
    let stored = Stored::count(&trial.ground).await?;
    let made = trial.crew.sandbox_count().await?;
    checker::at_rest(&trial.book, &stored, made, bounds)
}
