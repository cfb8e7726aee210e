//! F20 to F34 without those of `cluster`, `alarm` and `delivery`: RabbitMQ away, dead, mute, and changed under the
//! fleet's feet.

use std::time::Duration;

use anyhow::ensure;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::Instant;

use super::life::lasts;
use crate::brokers::Server;
use crate::chaos::bounds::Measure;
use crate::chaos::checker::Bounds;
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::proxy::{Cable, Flow};
use crate::chaos::result::Report;
use crate::chaos::trial::{Setup, Trial};
use crate::fleet::SERVICES;

/// The rows.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(in crate::chaos) fn rows() -> Vec<Row> {
    let alone = (Needs::Alone, false);
    let lane = (Needs::Lane, false);
    vec![
        Row::runs(
            "F20",
            ["the broker stops and starts", "stop_app for 5 s and for 40 s", "goes on by itself"],
            alone,
            stops,
        ),
        Row::runs(
            "F21",
            [
                "the broker dies during confirms",
                "kill -9 and restart while 500 events are published",
                "each message once",
            ],
            (Needs::Alone, true),
            dies,
        ),
        Row::runs(
            "F27",
            [
                "the network to the broker swallows everything",
                "a cable that delivers nothing, without a reset",
                "found, not ready; stale deliveries are not sent",
            ],
            lane,
            swallowed,
        ),
        Row::quick(
            "F28",
            [
                "a channel error",
                "the exchange promemoria.work is deleted under the fleet; the scheduler's permission to write is taken away",
                "rebuilt, or not ready: never up and mute",
            ],
            exchange_deleted,
        ),
        Row::quick(
            "F29",
            [
                "a consumed queue is deleted",
                "promemoria.dispatch is deleted under the dispatcher, with what it holds",
                "subscribed again; each message once",
            ],
            queue_deleted,
        ),
        Row::quick(
            "F32",
            [
                "a binding is missing",
                "the render queue is unbound, then 20 events come",
                "bound again where amqp.declare is on; none lost",
            ],
            unbound,
        ),
        Row::quick(
            "F33",
            [
                "the dead letters have nowhere to go",
                "promemoria.dead deleted; a bad event comes, and good ones",
                "the good flow; the bad one is kept until it can be buried",
            ],
            nowhere_to_bury,
        ),
        Row::runs(
            "F34",
            [
                "a grey network",
                "for 2 min (whole: 10) 200 ms latency, 10 kB/s and one piece in a hundred late by a retransmission to broker, Redis and IO, 5 events every 10 s",
                "no false death, no copy; afterwards as before",
            ],
            lane,
            grey,
        ),
    ]
}

async fn stops(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    trial.publish(20).await?;
    let mut took = Vec::new();
    for seconds in [5, 40] {
        ground.stop_broker_for(Duration::from_secs(seconds)).await?;
        trial.mended();
        trial.publish(20).await?;
        took.push(trial.settle().await?);
    }
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(format!("all over {:.1} s after 5 s away, {:.1} s after 40 s", took[0], took[1]), report))
}

async fn dies(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    // RabbitMQ 3.10 may lose a quorum queue that was declared shortly before it is killed: in production the
    // queues are old, and after an orderly restart these are too.
    ground.brokers.restart(Server::RabbitMq).await?;
    trial.publish(20).await?;
    trial.settle().await?;
    let death = ground.kill_for(Server::RabbitMq, Duration::ZERO);
    let (published, back) = tokio::join!(trial.publish(500), death);
    published?;
    trial.mended_at(back?);
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(format!("all over {took:.1} s after it was back"), report))
}

async fn swallowed(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default().through("amqp")).await?;
    trial.publish(20).await?;
    trial.cable("amqp")?.set(Cable::Hold);
    let begun = Instant::now();
    trial.publish(20).await?;
    for service in SERVICES {
        trial.wait_readiness(service, false).await?;
    }
    let found = begun.elapsed();
    ground.stopwatch.hold(Measure::Found, found)?;
    let found = found.as_secs_f64();
    trial.cable("amqp")?.mend();
    trial.mended();
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(format!("found after {found:.1} s; all over {took:.1} s after it was mended"), report))
}

async fn exchange_deleted(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    ground.delete_work_exchange().await?;
    trial.mended();
    trial.publish(20).await?;
    let took = trial.settle().await?;
    trial.close(Bounds::default()).await?;
    let (report, granted) = not_permitted(&ground).await?;
    Ok(Seen::new(
        format!(
            "declared again by the fleet, all over {took:.1} s later; without the permission not ready, all over {granted:.1} s after it was granted"
        ),
        report,
    ))
}

/// The scheduler may no longer publish to the exchange of its work; its connections are new, since the broker asks
/// once in a while only whether a channel still may.
async fn not_permitted(ground: &Ground) -> anyhow::Result<(Report, f64)> {
    let mut trial = Trial::start(ground, Setup::default().own_users()).await?;
    trial.publish(5).await?;
    trial.settle().await?;
    ground.permit_scheduler(false).await?;
    ground.end_connections_of("scheduler").await?;
    trial.publish(20).await?;
    let found = trial.wait_readiness("scheduler", false).await;
    let sent = trial.created().await?;
    ground.permit_scheduler(true).await?;
    found?;
    trial.mended();
    let took = trial.settle().await?;
    trial.wait_readiness("scheduler", true).await?;
    let report = trial.close(Bounds::default()).await?;
    ensure!(sent == 5, "{sent} messages were sent by a scheduler that may not publish");
    Ok((report, took))
}

async fn queue_deleted(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    trial.publish(20).await?;
    ground.delete_queue("promemoria.dispatch").await?;
    trial.mended();
    trial.publish(20).await?;
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(format!("subscribed again; all over {took:.1} s later"), report))
}

async fn unbound(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    ground.unbind_render().await?;
    trial.publish(20).await?;
    trial.mended();
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(
        format!("bound again by the fleet when its work came back; all over {took:.1} s later"),
        report,
    ))
}

async fn nowhere_to_bury(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    ground.delete_queue("promemoria.dead").await?;
    trial.integrator.publish("borgochiaro.domanda.protocollata", b"{").await?;
    trial.publish(20).await?;
    trial.settle().await?;
    // The fleet declares what is missing when it connects.
    trial.crew.enlist("scheduler", &[])?;
    trial.crew.wait_ready().await?;
    let (connection, channel) = ground.amqp().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    trial
        .wait_for("the bad event is buried", async |_: &Trial| {
            let queue =
                channel.queue_declare("promemoria.dead".into(), passive, FieldTable::default()).await?;
            Ok(queue.message_count() == 1)
        })
        .await?;
    connection.close(200, "done".into()).await?;
    let report = trial.close(Bounds::default()).await?;
    ensure!(report.ok == 20, "only {} of 20 good events were sent", report.ok);
    Ok(Seen::new("the good ones were sent meanwhile, the bad one was buried once there was a queue", report))
}

async fn grey(ground: Ground) -> anyhow::Result<Seen> {
    let setup = Setup::default()
        .through("amqp")
        .through("redis")
        .through("io")
        // As in production: a lease of the other rows' 3 s is shorter than this network's way round.
        .with("SCHEDULER__LEASE", "30s");
    let mut trial = Trial::start(&ground, setup).await?;
    for what in ["amqp", "redis", "io"] {
        trial.cable(what)?.set(Cable::Pass(Flow::GREY));
    }
    let before = trial.cable("amqp")?.accepted();
    let rounds = ground.length(12, 60);
    for _ in 0..rounds {
        trial.publish(5).await?;
        lasts(Duration::from_secs(10)).await;
    }
    let again = trial.cable("amqp")?.accepted() - before;
    for what in ["amqp", "redis", "io"] {
        trial.cable(what)?.mend();
    }
    trial.mended();
    let took = trial.settle().await?;
    trial.publish(40).await?;
    trial.mended();
    let afterwards = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    ensure!(again == 0, "{again} connections to the broker were given up as dead");
    Ok(Seen::new(
        format!(
            "{} s; no connection to the broker given up; its {} events all over {took:.1} s after it, 40 more in {afterwards:.1} s",
            rounds * 10,
            rounds * 5
        ),
        report,
    ))
}
