//! Faults of Redis.

use super::fault::Roll;
use super::inject::{DURING, during};
use crate::brokers::Server;
use crate::chaos::trial::Trial;

pub(super) async fn kill(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    let ground = trial.ground.clone();
    let (published, back) = tokio::join!(trial.publish(DURING), ground.kill_for(Server::Redis, roll.lasts));
    back.and(published).map(drop)
}

pub(super) async fn freeze(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    let ground = trial.ground.clone();
    let (published, over) = tokio::join!(trial.publish(DURING), ground.freeze_for(Server::Redis, roll.lasts));
    over.and(published).map(drop)
}

pub(super) async fn fill(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    trial.ground.limit_redis(1).await?;
    let passed = during(trial, roll.lasts).await;
    trial.ground.limit_redis(0).await?;
    passed
}
