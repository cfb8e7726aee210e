//! A fault, done to the fleet.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::fault::{Fault, Roll};
use super::{broker, io, processes, store};
use crate::chaos::proxy::{Cable, End, Flow};
use crate::chaos::trial::Trial;

/// Events that come with each fault, most of them just before or in the middle of it.
const BEFORE: usize = 12;
pub(super) const DURING: usize = 8;

/// The fleet, and what the faults must know of each other.
pub(super) struct Scene {
    pub(super) trial: Trial,
    /// A queue was declared since the broker was last stopped in order.
    pub(super) has_young_queue: bool,
}

/// Does it, and takes it back where it does not end by itself.
pub(super) async fn inject(scene: &mut Scene, roll: &Roll) -> anyhow::Result<()> {
    let trial = &mut scene.trial;
    trial.publish(BEFORE).await?;
    match roll.fault {
        Fault::Killed => processes::kill(trial, roll).await,
        Fault::Replaced => processes::replace(trial, roll).await,
        Fault::Frozen => processes::freeze(trial, roll).await,
        Fault::Crashed => processes::crash(trial, roll).await,
        Fault::Panicked => processes::panic(trial, roll).await,
        Fault::BrokerKilled => broker::kill(scene, roll).await,
        Fault::BrokerStopped => broker::stop(trial, roll).await,
        Fault::BrokerAlarm => broker::alarm(trial, roll).await,
        Fault::ExchangeDeleted => trial.ground.delete_work_exchange().await,
        Fault::QueueDeleted => broker::delete_queue(scene).await,
        Fault::Unbound => trial.ground.unbind_render().await,
        Fault::ConnectionsEnded => broker::end_connections(trial, roll).await,
        Fault::BrokerCut => cable(trial, ("amqp", Cable::Cut(roll.end)), roll).await,
        Fault::BrokerMute => cable(trial, ("amqp", Cable::Hold), roll).await,
        Fault::RedisKilled => store::kill(trial, roll).await,
        Fault::RedisEmptied => trial.ground.empty_redis().await,
        Fault::RedisFull => store::fill(trial, roll).await,
        Fault::ScriptsForgotten => trial.ground.forget_scripts().await,
        Fault::RedisFrozen => store::freeze(trial, roll).await,
        Fault::RedisCut => cable(trial, ("redis", Cable::Cut(roll.end)), roll).await,
        Fault::RedisMute => cable(trial, ("redis", Cable::Hold), roll).await,
        Fault::Grey => cable(trial, (roll.cable, Cable::Pass(Flow::GREY)), roll).await,
        Fault::Repeated => io::repeat(trial, roll).await,
        Fault::AnswerReset => io::cut_an_answer(trial, End::Reset).await,
        Fault::AnswerEnded => io::cut_an_answer(trial, End::Fin).await,
        Fault::AnswerDrips => cable(trial, ("io", Cable::SlowAnswers(Flow::DRIP)), roll).await,
        Fault::IoMute => cable(trial, ("io", Cable::Hold), roll).await,
        Fault::IoRefuses => cable(trial, ("io", Cable::Refuse), roll).await,
        Fault::IoCut => io::submit(trial, "cut_after", &json!({})).await,
        Fault::IoTruncates => io::submit(trial, "truncated", &json!({})).await,
        Fault::IoLate => io::submit(trial, "delay", &json!({ "delay_ms": 5_000 })).await,
        Fault::Throttled => io::submit(trial, "rate_limited", &json!({ "calls": 3, "retry_after": 1 })).await,
        Fault::ServerError => io::submit(trial, "server_error", &json!({ "calls": 3 })).await,
        Fault::BadGateway => io::submit(trial, "bad_gateway", &json!({})).await,
    }
}

/// Has a cable do that while the fault lasts.
async fn cable(trial: &mut Trial, (what, does): (&str, Cable), roll: &Roll) -> anyhow::Result<()> {
    trial.cable(what)?.set(does);
    let passed = during(trial, roll.lasts).await;
    trial.cable(what)?.mend();
    passed
}

/// While a fault lasts: more events come.
pub(super) async fn during(trial: &mut Trial, time: Duration) -> anyhow::Result<()> {
    let over = Instant::now() + time;
    trial.publish(DURING).await?;
    sleep_until(over).await;
    Ok(())
}
