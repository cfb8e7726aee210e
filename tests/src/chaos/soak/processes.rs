//! Faults of the fleet's processes. Each leaves one process of every service.

use rustix::process::Signal;

use super::fault::Roll;
use super::inject::{DURING, during};
use crate::chaos::trial::Trial;

pub(super) async fn kill(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    trial.crew.kill(roll.service).await?;
    trial.crew.enlist(roll.service, &[])
}

pub(super) async fn replace(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    trial.wait_readiness(roll.service, true).await?;
    trial.crew.enlist(roll.service, &[])?;
    trial.crew.wait_newest_ready().await?;
    trial.crew.terminate(roll.service).await.map(drop)
}

pub(super) async fn freeze(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    trial.crew.signal(roll.service, Signal::STOP)?;
    let passed = during(trial, roll.lasts).await;
    trial.crew.signal(roll.service, Signal::CONT)?;
    passed
}

/// A process that comes to the point takes the place of the one that runs, and another the place of that.
pub(super) async fn crash(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    armed(trial, roll, &roll.point).await?;
    trial.publish(DURING).await?;
    trial.crew.wait_crashed(roll.service).await?;
    trial.crew.enlist(roll.service, &[])
}

pub(super) async fn panic(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    armed(trial, roll, &format!("{}:panic", roll.point)).await?;
    trial.publish(DURING).await.map(drop)
}

/// Puts a process with this crash point in the place of the one that runs.
async fn armed(trial: &mut Trial, roll: &Roll, point: &str) -> anyhow::Result<()> {
    // One that only begins would end by the signal itself, and not in order.
    trial.wait_readiness(roll.service, true).await?;
    trial.crew.enlist(roll.service, &[("PROMEMORIA_CRASH_POINT", point)])?;
    trial.crew.terminate(roll.service).await.map(drop)
}
