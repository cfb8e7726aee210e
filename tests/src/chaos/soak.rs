//! F63: a random mix of faults by seed, for as long as asked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::checker::Bounds;
use super::dice::Dice;
use super::ground::Ground;
use super::proxy::{Cable, End, Flow};
use super::result::Report;
use super::trial::{INTENT, Setup, Trial};
use crate::brokers::{Brokers, Options, Server};
use crate::fleet::{Binaries, SERVICES};

/// A fault of the mix.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Replace,
    CutBroker,
    CutRedis,
    SlowRedis,
    FreezeRedis,
    Throttle,
    ServerError,
    CutAnswer,
    HangIo,
}

const FAULTS: [Fault; 10] = [
    Fault::Kill,
    Fault::Replace,
    Fault::CutBroker,
    Fault::CutRedis,
    Fault::SlowRedis,
    Fault::FreezeRedis,
    Fault::Throttle,
    Fault::ServerError,
    Fault::CutAnswer,
    Fault::HangIo,
];

/// Events between two faults, and `io.concurrency`.
const EVENTS: usize = 20;
const CONCURRENCY: usize = 8;

/// The sandbox lists so many messages at once, and the checker wants them all.
const MOST_EVENTS: usize = 9_000;

/// Runs the mix; the same seed chooses the same faults in the same order.
///
/// # Errors
/// An invariant that broke, with the seed.
pub async fn soak(binaries: &Binaries, seed: u64, minutes: u64) -> anyhow::Result<Report> {
    let brokers = Arc::new(Brokers::start(&Options::from_env()?).await?);
    let ground = Ground::lane(&brokers, binaries, 0).await?;
    let ended = mix(&ground, seed, minutes).await.with_context(|| format!("seed {seed}"));
    brokers.shutdown().await?;
    ended
}

async fn mix(ground: &Ground, seed: u64, minutes: u64) -> anyhow::Result<Report> {
    let concurrency = CONCURRENCY.to_string();
    let setup =
        Setup::default().with("IO__CONCURRENCY", &concurrency).through("amqp").through("redis").through("io");
    let mut trial = Trial::start(ground, setup).await?;
    let mut dice = Dice::new(seed);
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let (mut faults, mut events) = (0, 0);
    while Instant::now() < end && events < MOST_EVENTS {
        trial.publish(EVENTS).await?;
        events += EVENTS;
        let fault = dice.pick(&FAULTS);
        inject(&mut trial, fault, &mut dice).await.with_context(|| format!("{fault:?}"))?;
        faults += 1;
        sleep(dice.between(200, 2000)).await;
    }
    trial.mended();
    trial.advance(INTENT).await?;
    trial.settle().await?;
    for (service, kib, files) in trial.crew.sizes() {
        ensure!(kib < 512 * 1024 && files < 1000, "I7: {service} has {kib} KiB and {files} open files");
    }
    trial.close(Bounds { doubts: faults * CONCURRENCY, ..Bounds::default() }).await
}

async fn inject(trial: &mut Trial, fault: Fault, dice: &mut Dice) -> anyhow::Result<()> {
    let lasts = dice.between(200, 4000);
    match fault {
        Fault::Kill => {
            let service = dice.pick(&SERVICES);
            trial.crew.kill(service).await?;
            trial.crew.enlist(service, &[])
        }
        Fault::Replace => {
            let service = dice.pick(&SERVICES);
            trial.crew.enlist(service, &[])?;
            trial.crew.wait_ready().await?;
            trial.crew.terminate(service).await.map(drop)
        }
        Fault::CutBroker => cable(trial, "amqp", Cable::Cut(End::Reset), lasts).await,
        Fault::CutRedis => cable(trial, "redis", Cable::Cut(End::Fin), lasts).await,
        Fault::SlowRedis => {
            let flow = Flow { latency: Duration::from_millis(100), ..Flow::default() };
            cable(trial, "redis", Cable::Pass(flow), lasts).await
        }
        Fault::FreezeRedis => {
            trial.ground.brokers.pause(Server::Redis).await?;
            sleep(lasts).await;
            trial.ground.brokers.resume(Server::Redis).await
        }
        Fault::Throttle => {
            trial.io_fault(&json!({ "kind": "rate_limited", "calls": 3, "retry_after": 1 })).await
        }
        Fault::ServerError => trial.io_fault(&json!({ "kind": "server_error", "calls": 3 })).await,
        Fault::CutAnswer => trial.io_fault(&json!({ "kind": "cut_after", "operation": "submit" })).await,
        Fault::HangIo => cable(trial, "io", Cable::Hold, lasts).await,
    }
}

async fn cable(trial: &Trial, what: &str, cable: Cable, lasts: Duration) -> anyhow::Result<()> {
    trial.cable(what)?.set(cable);
    sleep(lasts).await;
    trial.cable(what)?.mend();
    Ok(())
}
