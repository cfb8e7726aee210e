//! F30 and F31: a delivery that the broker takes away, and one that ends whoever takes it: an event, or a request
//! for one message.

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::chaos::checker::Bounds;
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::result::Report;
use crate::chaos::trial::{Setup, Trial};

/// The rows.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    vec![
        Row::runs(
            "F30",
            [
                "the broker takes a delivery away",
                "consumer_timeout of 5 s, looked at each second; IO answers the profile of one message after 15 s",
                "no POST after the loss; sent once, by the delivery that came again",
            ],
            (Needs::Alone, false),
            taken_away,
        ),
        Row::runs(
            "F31",
            [
                "what ends whoever takes it, at the head of its queue",
                "every scheduler aborts when it takes that event; then every renderer and every dispatcher when it takes the request for that message; 20 others come with each",
                "dead after at most 3 ends; the rest flows",
            ],
            (Needs::Lane, false),
            poison,
        ),
    ]
}

/// The times are read when a channel opens; the usual ones are 30 minutes, and once a minute.
async fn consumer_timeout(ground: &Ground, timeout_ms: u32, look_ms: u32) -> anyhow::Result<()> {
    let set = format!(
        "ok = application:set_env(rabbit, consumer_timeout, {timeout_ms}), \
         ok = application:set_env(rabbit, channel_tick_interval, {look_ms})."
    );
    ground.brokers.control(&["eval", &set]).await
}

async fn taken_away(ground: Ground) -> anyhow::Result<Seen> {
    consumer_timeout(&ground, 5_000, 1_000).await?;
    let seen = slow_profile(&ground).await;
    consumer_timeout(&ground, 1_800_000, 60_000).await?;
    seen
}

async fn slow_profile(ground: &Ground) -> anyhow::Result<Seen> {
    // The lease outlasts it all, so that only the broker gives the message to somebody else.
    let setup = Setup::default().with("IO__REQUEST_TIMEOUT", "30s").with("SCHEDULER__LEASE", "2m");
    let mut trial = Trial::start(ground, setup).await?;
    let slow = json!({ "kind": "delay", "delay_ms": 15_000, "operation": "profile", "calls": 1 });
    trial.io_fault(&slow).await?;
    trial.publish(1).await?;
    trial
        .wait_for("the broker takes the delivery away", async |trial: &Trial| {
            Ok(trial.crew.log_of("dispatcher").contains("consumer ended"))
        })
        .await?;
    trial.settle().await?;
    let before = trial.created().await?;
    // The slow answer is there when the first try has ended; it must have sent nothing.
    trial
        .wait_for("the first try ends", async |trial: &Trial| {
            let metrics = trial.crew.get("dispatcher", "/metrics").await?.1;
            Ok(handled(&metrics) >= 2)
        })
        .await?;
    trial.publish(20).await?;
    trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    ensure!(before == 1 && report.duplicated == 0, "{before} created, {} copies", report.duplicated);
    Ok(Seen::new("sent once, by the delivery that came again; the first gave it back", report))
}

/// Dispatch requests that were handled, whatever came of them.
fn handled(metrics: &str) -> u64 {
    let name = "promemoria_stage_duration_seconds_count{stage=\"dispatch\"} ";
    metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or(0)
}

/// What ends whoever takes it: the first event that a trial publishes, or the request for its message.
pub(super) struct Poison {
    pub(super) service: &'static str,
    point: &'static str,
    /// How it is told that it was given up.
    told: &'static str,
    bounds: Bounds,
}

/// Those of the three services, in the order in which work passes them.
pub(super) fn poisons() -> [Poison; 3] {
    let failed = Bounds { unsent: 1, ..Bounds::default() };
    [
        ("scheduler", "intake.received", "evento.rifiutato", Bounds::default()),
        ("renderer", "renderer.received", "messaggio.fallito", failed),
        ("dispatcher", "dispatcher.before-fence", "messaggio.fallito", failed),
    ]
    .map(|(service, point, told, bounds)| Poison { service, point, told, bounds })
}

/// Its neighbours, and those that come while it waits to be taken alone.
const NEIGHBOURS: usize = 20;
const MEANWHILE: usize = 5;

async fn poison(ground: Ground) -> anyhow::Result<Seen> {
    let mut words = Vec::new();
    let mut last = None;
    for poison in poisons() {
        let (took, report) = Box::pin(ends_everyone(&ground, Setup::default(), (&poison, "abort"))).await?;
        words.push(format!("{} {took:.1} s", poison.service));
        last = Some(report);
    }
    let report = last.context("no poison")?;
    Ok(Seen::new(
        format!(
            "three of each service ended; what came meanwhile was sent at once; it was dead, and its neighbours sent, after the third: {}",
            words.join(", ")
        ),
        report,
    ))
}

/// Whoever takes it ends by that deed of the crash point; returns the seconds from the third end until all was over.
pub(super) async fn ends_everyone(
    ground: &Ground,
    setup: Setup,
    (poison, deed): (&Poison, &str),
) -> anyhow::Result<(f64, Report)> {
    let &Poison { service, point, told, bounds } = poison;
    // One request at a time: an end is to leave nobody else's in doubt.
    let setup = setup
        .with("IO__CONCURRENCY", "1")
        .variable("PROMEMORIA_CRASH_POINT", &format!("{point}@caso000000:1:{deed}"));
    let mut trial = Trial::start(ground, setup).await?;
    trial.publish(1 + NEIGHBOURS).await?;
    for end in 1..=3 {
        trial.crew.wait_crashed(service).await?;
        trial.crew.enlist(service, &[])?;
        if end == 2 {
            // Now it waits to be taken alone, with those that were in hand when it struck, and nobody else.
            let fresh = trial.publish(MEANWHILE).await?;
            trial.until("what comes meanwhile is sent", |book| book.are_sent(&fresh)).await?;
        }
    }
    trial.mended();
    trial.until("it is given up", |book| book.count(told) == 1).await?;
    let took = trial.settle().await?;
    let coded = trial.book.outcomes.iter().any(|outcome| outcome["data"]["codice"] == "attempts");
    trial.wait_readiness(service, true).await?;
    let (connection, channel) = ground.amqp().await?;
    let letter = channel
        .basic_get("promemoria.dead".into(), lapin::options::BasicGetOptions { no_ack: false })
        .await?;
    connection.close(200, "done".into()).await?;
    let report = trial.close(bounds).await?;
    let sent = NEIGHBOURS + MEANWHILE;
    ensure!(report.ok == sent, "{service}: only {} of {sent} neighbours were sent", report.ok);
    ensure!(coded && letter.is_some(), "{service}: given up without a word: {coded}");
    Ok((took, report))
}
