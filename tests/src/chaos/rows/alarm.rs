//! F25 and F26: an alarm of RabbitMQ, which silences every connection that publishes.

use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;
use tokio::time::Instant;

use super::life::lasts;
use crate::chaos::checker::Bounds;
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::trial::{Setup, Trial};
use crate::fleet::SERVICES;
use crate::fleet::client::metrics;

/// How long the alarm lasts before the fleet is looked at, and for how long new events are offered after that: a
/// minute in all.
const BEFORE_THE_LOOK: Duration = Duration::from_secs(45);
const AFTER_THE_LOOK: Duration = Duration::from_secs(15);
/// Events that were taken before, which come again and wait when the alarm begins, and fresh ones behind them.
const KNOWN: usize = 20;
const FRESH: usize = 5;
/// What a service says of a connection, or a consumer, that it lost.
const LOST: [&str; 3] = ["broker connection lost", "consumer ended", "acknowledgements not sent"];

/// The rows.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    let alone = (Needs::Alone, false);
    vec![
        Row::runs(
            "F25",
            [
                "the broker's memory alarm",
                "set_vm_memory_high_watermark 0.00001 for 60 s, with 20 events that are known and 5 fresh ones in the queue",
                "publishers wait and say so; consumers keep their connections and acknowledge what needs no publish: an event that is known; what is to be told first is kept; nothing lost, goes on by itself",
            ],
            alone,
            |ground| alarm(ground, ["set_vm_memory_high_watermark", "0.00001"], "0.4"),
        ),
        Row::runs(
            "F26",
            [
                "the broker's disk alarm",
                "set_disk_free_limit above the disk's size for 60 s, as F25",
                "as F25",
            ],
            alone,
            |ground| alarm(ground, ["set_disk_free_limit", "900000GB"], "50MB"),
        ),
    ]
}

async fn alarm(ground: Ground, alarm: [&str; 2], usual: &str) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    trial.publish(KNOWN).await?;
    trial.settle().await?;
    // Whoever publishes is silenced, so that what is to be acknowledged must be in the queue before.
    trial.crew.signal("scheduler", Signal::STOP)?;
    trial.publish_again(0..KNOWN, "").await?;
    trial.publish(FRESH).await?;
    ground.brokers.control(&alarm).await?;
    trial.crew.signal("scheduler", Signal::CONT)?;
    let looked = look(&trial).await;
    let over = async {
        if looked.is_ok() {
            lasts(AFTER_THE_LOOK).await;
        }
        ground.brokers.control(&[alarm[0], usual]).await?;
        anyhow::Ok(Instant::now())
    };
    let (published, over) = tokio::join!(trial.publish(KNOWN), over);
    trial.mended_at(over?);
    let blocked = looked?;
    published?;
    let took = trial.settle().await?;
    let lost = losses(&trial);
    let report = trial.close(Bounds::default()).await?;
    ensure!(lost.is_empty(), "connections were lost: {lost:#?}");
    Ok(Seen::new(
        format!(
            "60 s; {blocked} of 3 services blocked; {KNOWN} known events acknowledged meanwhile, the {FRESH} fresh ones kept; no connection lost; all over {took:.1} s after the alarm"
        ),
        report,
    ))
}

/// What the alarm makes of the fleet; returns how many services say that they are blocked.
async fn look(trial: &Trial) -> anyhow::Result<usize> {
    lasts(BEFORE_THE_LOOK).await;
    trial.ground.alarmed().await?;
    let events = metrics(trial.crew.ports.of("scheduler")).await?;
    let known = events.lines().filter(|line| line.starts_with("promemoria_events_total{"));
    let known = known.filter(|line| line.contains("result=\"duplicate\""));
    let known: usize = known.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok()).sum();
    ensure!(known == KNOWN, "{known} of {KNOWN} known events were taken during the alarm");
    // A connection is silenced by the first message that it publishes, which may still get through: one fresh event.
    trial.ground.holds("promemoria.events", FRESH - 1..=FRESH).await?;
    let mut blocked = 0;
    for service in SERVICES {
        let metrics = metrics(trial.crew.ports.of(service)).await?;
        blocked += usize::from(metrics.lines().any(|line| line == "promemoria_broker_blocked 1"));
    }
    ensure!(blocked == SERVICES.len(), "{blocked} services say that the broker blocks them");
    Ok(blocked)
}

/// Lines of the services about a connection or a consumer that was lost, or a consuming connection that was silenced.
fn losses(trial: &Trial) -> Vec<String> {
    let logs = trial.crew.logs();
    let silenced = |line: &str| line.contains("blocked the connection") && line.contains("\"Consume\"");
    let told = logs.lines().filter(|line| silenced(line) || LOST.iter().any(|words| line.contains(words)));
    told.map(str::to_owned).collect()
}
