//! Faults of RabbitMQ. While it is away nobody can publish: events are offered until it is back.

use super::fault::Roll;
use super::inject::{DURING, Scene};
use crate::brokers::Server;
use crate::chaos::harm::MEMORY_ALARM;
use crate::chaos::trial::Trial;

/// Events that are on their way to their confirms when the broker dies.
const AT_ITS_DEATH: usize = 40;

pub(super) async fn kill(scene: &mut Scene, roll: &Roll) -> anyhow::Result<()> {
    let ground = scene.trial.ground.clone();
    // RabbitMQ 3.10 may lose a quorum queue that was declared shortly before it is killed.
    if std::mem::take(&mut scene.has_young_queue) {
        ground.brokers.restart(Server::RabbitMq).await?;
    }
    let death = ground.kill_for(Server::RabbitMq, roll.lasts);
    let (published, back) = tokio::join!(scene.trial.publish(AT_ITS_DEATH), death);
    back.and(published).map(drop)
}

pub(super) async fn stop(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    let ground = trial.ground.clone();
    let (published, back) = tokio::join!(trial.publish(DURING), ground.stop_broker_for(roll.lasts));
    back.and(published).map(drop)
}

pub(super) async fn alarm(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    let ground = trial.ground.clone();
    let [limit, alarming, usual] = MEMORY_ALARM;
    ground.brokers.control(&[limit, alarming]).await?;
    let over = async {
        tokio::time::sleep(roll.lasts).await;
        ground.brokers.control(&[limit, usual]).await
    };
    let (published, over) = tokio::join!(trial.publish(DURING), over);
    over.and(published).map(drop)
}

pub(super) async fn delete_queue(scene: &mut Scene) -> anyhow::Result<()> {
    // A consumed queue, as in F29. Deleted when a RabbitMQ 3.10 has just started, it ends the broker's supervisor
    // of dead-lettering, and every consumer gets INTERNAL_ERROR until the node is restarted
    // (rabbitmq-server#16652).
    scene.trial.crew.wait_ready().await?;
    // The fleet declares it again.
    scene.has_young_queue = true;
    scene.trial.ground.delete_queue("promemoria.dispatch").await
}

pub(super) async fn end_connections(trial: &mut Trial, roll: &Roll) -> anyhow::Result<()> {
    trial.wait_readiness(roll.service, true).await?;
    trial.ground.end_connections_of(roll.service).await
}
