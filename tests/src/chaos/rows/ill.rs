//! F51, F52, F58 and F59: IO that is ill for long, or answers what nobody should believe.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::chaos::checker::Bounds;
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::stored::Stored;
use crate::chaos::trial::{Setup, Trial};
use crate::fleet::client::sandbox_calls;

/// `io.calls_per_5s` of F52: few enough that two replicas must share them.
const QUOTA: u32 = 100;
/// How long F52 goes on where it runs whole.
const STORM: Duration = Duration::from_mins(10);
/// Messages of F58 without an end of their use, in all 100,000 where it runs whole, and with one that passes while IO is
/// away.
const LASTING: [usize; 2] = [1_500, 99_960];
const PASSING: usize = 40;
/// How long IO is away in F58, on the fleet's clock.
const AWAY: Duration = Duration::from_hours(2);
/// How long IO is grey in F59.
const GREY: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(30)];
/// What is saved up for repetitions, and the rounding of a tenth (`retry_budget.rs`).
pub(super) const SAVED: usize = 12;

/// The rows.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    let long = (Needs::Lane, false);
    vec![
        Row::quick(
            "F51",
            [
                "IO's 201 is broken",
                "body truncated; no JSON; `{}`; HTML; an id that is a number; 1 GiB; gzip that unpacks to 1 GiB",
                "sent, with or without an id; never sent again; memory bounded",
            ],
            broken_created,
        ),
        Row::runs(
            "F52",
            [
                "IO throttles",
                "429 without header, with `0`, `domani` and `99999999`, while two dispatchers send 200 messages of an account with 100 calls in 5 s; whole: again and again for 10 min",
                "no attempt burned, the header clamped to 60 s, never more than 100 calls in any 5 s",
            ],
            long,
            throttles,
        ),
        Row::runs(
            "F58",
            [
                "IO is down for long, with a backlog",
                "connections refused for 2 h of the fleet's clock, 1540 messages due (whole: 100,000), of which 40 are of no use after an hour",
                "bounded memory; drains at the account's rate; what expired is dropped with a record",
            ],
            long,
            backlog,
        ),
        Row::runs(
            "F59",
            [
                "IO fails for one path and some calls, for long",
                "for 60 s (whole: 30 min) under 10 messages a second, every fifth submit of one account is a 500 and every fifth of the others 1.5 s late",
                "at most 10 % extra calls or one a second, no pause of the account, another account unaffected",
            ],
            long,
            grey,
        ),
    ]
}

async fn broken_created(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    let mut faults = vec![json!({ "kind": "truncated" }), json!({ "kind": "wrong_json" })];
    faults.extend(
        ["empty", "html", "wrong_type", "huge", "packed"].map(|body| json!({ "kind": "body", "body": body })),
    );
    let before = largest_mib(&trial);
    let count = faults.len();
    for mut fault in faults {
        fault["operation"] = "submit".into();
        trial.io_fault(&fault).await?;
        trial.publish(1).await?;
        trial.settle().await?;
    }
    let after = largest_mib(&trial);
    let sent = trial.book.outcomes.iter().filter(|outcome| outcome["type"] == "messaggio.inviato");
    let blank = sent.filter(|outcome| outcome["data"]["io_id"] == Value::Null).count();
    let created = trial.created().await?;
    let flagged = trial.crew.log_of("dispatcher").matches("created without an id").count();
    let report = trial.close(Bounds::default()).await?;
    ensure!(created == count, "{created} created, not {count}");
    ensure!(blank == 2 && flagged == 2, "{blank} told and {flagged} logged without an id, not 2");
    ensure!(after < before + 64, "{before} MiB before, {after} MiB after");
    Ok(Seen::new(
        format!("all {count} sent, none again; {blank} without an id, and flagged; {after} MiB afterwards"),
        report,
    ))
}

/// The largest process of the services.
pub(super) fn largest_mib(trial: &Trial) -> u64 {
    trial.crew.sizes().iter().map(|(_, kib, _)| kib / 1024).max().unwrap_or(0)
}

async fn throttles(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default().quota(QUOTA)).await?;
    trial.crew.enlist("dispatcher", &[])?;
    trial.crew.wait_ready().await?;
    let header =
        |calls: u32, value: &str| json!({ "kind": "rate_limited", "calls": calls, "retry_after": value });
    let none = json!({ "kind": "rate_limited", "calls": 3 });
    // The absurd one last and once: the account then waits for the longest that it ever waits.
    let faults = json!([none, header(10, "0"), header(3, "domani"), header(1, "99999999")]);
    trial.patient(2);
    let storm = ground.length(Duration::ZERO, STORM);
    let (begun, mut sent) = (Instant::now(), 0);
    loop {
        trial.io_fault(&faults).await?;
        sent += trial.publish(200).await?.len();
        trial.settle().await?;
        if begun.elapsed() >= storm {
            break;
        }
    }
    let took = begun.elapsed().as_secs();
    let calls = sandbox_calls(trial.crew.ports.sandbox, "borgochiaro").await?;
    let report = trial.close(Bounds::default()).await?;
    let Some(calls) = calls else { anyhow::bail!("no calls") };
    ensure!(calls.busiest <= u64::from(QUOTA), "{} calls in 5 s", calls.busiest);
    ensure!(calls.refused == 0, "{} calls beyond the limit", calls.refused);
    Ok(Seen::new(
        format!(
            "{sent} messages, all sent within {took} s; at most {} calls in any 5 s, of both dispatchers",
            calls.busiest
        ),
        report,
    ))
}

async fn backlog(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default().quota(500)).await?;
    let lasting = ground.length(LASTING[0], LASTING[1]);
    // A hundred thousand at 50 a second take more than half an hour.
    trial.patient(ground.length(3, 30));
    trial.crew.lose_io().await?;
    trial.publish(lasting).await?;
    trial.publish_appointments(PASSING, Duration::from_hours(1)).await?;
    trial
        .wait_for("the dispatcher is refused", async |trial: &Trial| {
            Ok(trial.crew.log_of("dispatcher").contains("account paused"))
        })
        .await?;
    trial
        .wait_for("every event is taken", async |trial: &Trial| {
            Ok(Stored::count(&trial.ground).await?.total() == lasting + PASSING)
        })
        .await?;
    let memory = largest_mib(&trial);
    trial.advance(AWAY).await?;
    // What expired ends while IO is still away.
    trial.until("what expired is dropped", |book| book.count("messaggio.scartato") == PASSING).await?;
    trial.crew.start_io().await?;
    trial.mended();
    let took = trial.settle().await?;
    let why =
        trial.book.outcomes.iter().filter(|outcome| outcome["data"]["motivo"] == "scadenza-passata").count();
    let busiest =
        sandbox_calls(trial.crew.ports.sandbox, "borgochiaro").await?.map_or(0, |calls| calls.busiest);
    let report = trial.close(Bounds { unsent: PASSING, ..Bounds::default() }).await?;
    ensure!(memory < 256, "{memory} MiB");
    ensure!(why == PASSING, "{why} of {PASSING} dropped with their reason");
    ensure!(report.ok == lasting && busiest <= 500, "{} sent, {busiest} calls in 5 s", report.ok);
    Ok(Seen::new(
        format!(
            "{} due; largest process {memory} MiB meanwhile; {PASSING} dropped as expired while IO was away; the rest sent {took:.1} s after it was back, at most {busiest} calls in 5 s",
            lasting + PASSING
        ),
        report,
    ))
}

async fn grey(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    // Half an hour leaves some two thousand repetitions, of which one goes a second.
    trial.patient(ground.length(1, 30));
    let some = |kind: &str| json!({ "kind": kind, "operation": "submit", "account": "borgochiaro", "every": 5, "calls": 1_000_000 });
    let mut late = some("delay");
    late["delay_ms"] = 1500.into();
    trial.io_fault(&json!([some("server_error"), late])).await?;
    let lasts = ground.length(GREY[0], GREY[1]);
    let (begun, mut fresh, mut others) = (Instant::now(), 0, Vec::new());
    while begun.elapsed() < lasts {
        fresh += trial.publish(5).await?.len();
        others.extend(trial.publish_for(1, "roccamarina").await?);
        sleep(Duration::from_millis(500)).await;
    }
    let (submitted, during) = (submits(&trial, "borgochiaro").await?, fresh);
    // Below ten messages a second the budget earns one repetition a second all the same.
    let earned = usize::try_from(begun.elapsed().as_secs())?.max(during / 10);
    let ended = Instant::now();
    trial.until("the other account's messages are sent", |book| book.are_sent(&others)).await?;
    let behind = ended.elapsed();
    trial.crew.clear_faults().await?;
    trial.mended();
    // Fresh messages pay for the repetitions that wait.
    for _ in 0..60 {
        trial.publish(5).await?;
        sleep(Duration::from_millis(250)).await;
    }
    let took = trial.settle().await?;
    let other_calls = submits(&trial, "roccamarina").await?;
    let paused = trial.crew.log_of("dispatcher").contains("account paused");
    let report = trial.close(Bounds::default()).await?;
    let (extra, most) = (submitted.saturating_sub(during), earned + SAVED);
    ensure!(extra <= most, "{extra} extra calls, more than {most}");
    ensure!(!paused, "the account was paused");
    ensure!(
        other_calls == others.len(),
        "{other_calls} calls for {} messages of the other account",
        others.len()
    );
    Ok(Seen::new(
        format!(
            "{} s; {submitted} submits for {during} messages when it ended; the other account {:.1} s behind, no pause; all over {took:.1} s after it was well",
            lasts.as_secs(),
            behind.as_secs_f64()
        ),
        report,
    ))
}

/// Submits for an ente.
pub(super) async fn submits(trial: &Trial, ente: &str) -> anyhow::Result<usize> {
    let metrics = trial.crew.get("dispatcher", "/metrics").await?.1;
    let series = format!("promemoria_io_requests_total{{ente=\"{ente}\",operation=\"submit_message\"");
    let of_ente = metrics.lines().filter(|line| line.starts_with(&series));
    let counts = of_ente.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok());
    Ok(counts.sum())
}
