//! F11 and F15 to F19: processes that are killed, stopped, replaced, frozen, and that panic.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

use super::crash::{second_copy, sent_again};
use super::memory;
use crate::chaos::bounds::Measure;
use crate::chaos::checker::Bounds;
use crate::chaos::dice::Dice;
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::result::Report;
use crate::chaos::trial::{INTENT, Setup, Trial};
use crate::fleet::SERVICES;

/// Kills of F15; events published before each, and the time between two, ms: usually, and where it runs whole.
const KILLS: usize = 200;
const PACES: [(usize, [usize; 2]); 2] = [(25, [200, 1_000]), (50, [2_000, 5_000])];
/// `io.concurrency` of F15: the requests that one dispatcher may have under way when it dies.
const CONCURRENCY: usize = 8;

/// `shutdown.grace` of F17.
const GRACE: Duration = Duration::from_secs(1);

/// The rows.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    let all = (Needs::Alone, false);
    vec![
        Row::quick(
            "F11",
            [
                "dispatcher dies while IO answers",
                "IO stores the message and answers late, SIGKILL meanwhile, once with policy hold and once with resend",
                "hold: created once, one doubt; resend: the doubt is told, then a second copy goes, and no third",
            ],
            while_io_answers,
        ),
        Row::runs(
            "F15",
            [
                "processes die at random",
                "200 SIGKILLs to random services, 0.2 to 1 s apart, while 5,000 events come in; whole: 2 to 5 s apart, 10,000 events",
                "doubts at most kills of a dispatcher times its concurrency (8); the backlog drains",
            ],
            all,
            random_kills,
        ),
        Row::quick(
            "F16",
            [
                "rolling restart",
                "each service has a second replica started and the first ended by SIGTERM, under load",
                "no doubt, no copy, every process ends in order",
            ],
            rolling_restart,
        ),
        Row::quick(
            "F17",
            [
                "SIGTERM while IO is slow",
                "IO answers after 8 s (whole: 30), three requests under way: once shutdown.grace is 1 s, once SIGKILL comes after 1 s of a longer one",
                "ends within its grace; doubts at most the requests under way; none lost",
            ],
            stop_while_io_is_slow,
        ),
        Row::quick(
            "F18",
            [
                "a panic in a handler; an event that takes all memory",
                "one panic in each service, in the middle of 20 events each, its text quoting the person in hand, and one over due work; events as large, deep and wide as the limits let them be, and larger; then an event that takes all of the 4 GiB that each process may have, whoever takes it (whole: and the requests for a message)",
                "the event comes again, its neighbours are not affected; nothing of the panic's text is in a log; what is too large is refused, in constant memory; dead after at most 3 ends, the rest flows",
            ],
            panics,
        ),
        Row::quick(
            "F19",
            [
                "a zombie: a dispatcher that is frozen and thaws",
                "SIGSTOP before the fence, where the broker ends its connections and gives the delivery to another dispatcher; SIGSTOP between fence and POST, where a lease brings another; SIGCONT",
                "no POST by a dead delivery; the late POST closes its doubt; one copy",
            ],
            zombies,
        ),
    ]
}

async fn while_io_answers(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = killed_while_io_answers(&ground, Setup::default()).await?;
    trial.advance(INTENT).await?;
    let took = trial.settle().await?;
    let report = trial.close(Bounds { doubts: 1, ..Bounds::default() }).await?;
    ensure!(report.in_doubt == 1, "{} in doubt, not 1", report.in_doubt);

    let resend = Setup::default().in_doubt("resend").with("IO__RESEND_AFTER", "181s");
    let mut trial = killed_while_io_answers(&ground, resend).await?;
    sent_again(&mut trial).await?;
    let report = Box::pin(second_copy(trial)).await?;
    let words = format!(
        "hold: created once, one doubt, {took:.1} s after the kill; resend: told, then a second copy"
    );
    Ok(Seen::new(words, report))
}

async fn killed_while_io_answers(ground: &Ground, setup: Setup) -> anyhow::Result<Trial> {
    let mut trial = Trial::start(ground, setup).await?;
    trial.io_fault(&json!({ "kind": "delay", "delay_ms": 2900, "operation": "submit" })).await?;
    trial.publish(1).await?;
    trial.wait_for("IO has the message", async |trial: &Trial| Ok(trial.created().await? == 1)).await?;
    trial.crew.kill("dispatcher").await?;
    trial.mended();
    trial.crew.enlist("dispatcher", &[])?;
    Ok(trial)
}

async fn random_kills(ground: Ground) -> anyhow::Result<Seen> {
    let concurrency = CONCURRENCY.to_string();
    let mut trial = Trial::start(&ground, Setup::default().with("IO__CONCURRENCY", &concurrency)).await?;
    let (mut dice, mut dispatchers) = (Dice::new(15), 0);
    let (events, [least, most]) = ground.length(PACES[0], PACES[1]);
    for _ in 0..KILLS {
        trial.publish(events).await?;
        let service = dice.pick(&SERVICES);
        dispatchers += usize::from(service == "dispatcher");
        trial.crew.kill(service).await?;
        trial.crew.enlist(service, &[])?;
        sleep(dice.between(least, most)).await;
    }
    trial.mended();
    // Events that were in hand at two kills wait until the scheduler has been ready for 30 s, and before that the
    // rebuild of the store waits for the lease of the last one killed.
    trial.patient(2);
    trial.advance(INTENT).await?;
    let took = trial.settle().await?;
    let report = trial.close(Bounds { doubts: dispatchers * CONCURRENCY, ..Bounds::default() }).await?;
    Ok(Seen::new(
        format!(
            "{KILLS} kills, {least} to {most} ms apart, {dispatchers} of a dispatcher; all over {took:.1} s after the last"
        ),
        report,
    ))
}

async fn rolling_restart(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    for service in SERVICES {
        trial.publish(40).await?;
        trial.crew.enlist(service, &[])?;
        trial.crew.wait_ready().await?;
        trial.publish(40).await?;
        trial.crew.terminate(service).await?;
    }
    trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new("three services replaced under load, all ended in order", report))
}

async fn stop_while_io_is_slow(ground: Ground) -> anyhow::Result<Seen> {
    let (answers, timeout) = ground.length((8, "10s"), (30, "35s"));
    let setup = Setup::default().with("IO__REQUEST_TIMEOUT", timeout);
    let mut trial = in_the_hands_of_io(&ground, setup.clone().with("SHUTDOWN__GRACE", "1s"), answers).await?;
    let ended = trial.crew.terminate("dispatcher").await?;
    let said = trial.crew.last_words();
    ground.stopwatch.hold(Measure::Ended, ended).context(said)?;
    Box::pin(after_the_stop(trial)).await?;

    // Longer than the answer takes: it would wait for it, and whoever runs it does not.
    let mut trial = in_the_hands_of_io(&ground, setup.with("SHUTDOWN__GRACE", "40s"), answers).await?;
    trial.crew.signal("dispatcher", Signal::TERM)?;
    lasts(GRACE).await;
    trial.crew.kill("dispatcher").await?;
    let report = Box::pin(after_the_stop(trial)).await?;
    let words = format!(
        "IO answers after {answers} s; ended {:.1} s after SIGTERM, with a grace of 1 s; what it could not wait for is in doubt, and so it is after SIGKILL (counts of that)",
        ended.as_secs_f64()
    );
    Ok(Seen::new(words, report))
}

/// Three messages that IO has, to be answered after so many seconds.
async fn in_the_hands_of_io(ground: &Ground, setup: Setup, answers: u64) -> anyhow::Result<Trial> {
    let mut trial = Trial::start(ground, setup).await?;
    let slow = json!({ "kind": "delay", "delay_ms": answers * 1_000, "operation": "submit", "calls": 3 });
    trial.io_fault(&slow).await?;
    trial.publish(3).await?;
    trial.wait_for("IO has the messages", async |trial: &Trial| Ok(trial.created().await? == 3)).await?;
    Ok(trial)
}

/// Another takes the place of the dispatcher that was stopped; each of the three is sent once, or in doubt.
async fn after_the_stop(mut trial: Trial) -> anyhow::Result<Report> {
    trial.crew.enlist("dispatcher", &[])?;
    trial.advance(INTENT * 3).await?;
    trial.settle().await?;
    trial.close(Bounds { doubts: 3, ..Bounds::default() }).await
}

async fn panics(ground: Ground) -> anyhow::Result<Seen> {
    let points = [
        ("scheduler", "intake.received:3:panic"),
        ("renderer", "renderer.received:3:panic"),
        ("dispatcher", "dispatcher.before-fence:3:panic"),
    ];
    for (service, point) in points {
        let mut trial = Trial::start(&ground, Setup::default().crash(service, point)).await?;
        trial.publish(20).await?;
        trial.settle().await?;
        ensure!(trial.crew.log_of(service).contains("\"panic\""), "{service} did not panic");
        trial.close(Bounds { panics: 1, ..Bounds::default() }).await?;
    }
    due_work_panics(&ground).await?;
    let large = memory::large(&ground).await?;
    let (hungry, report) = Box::pin(memory::hungry(&ground)).await?;
    Ok(Seen::new(format!("one panic in each service, everything sent once; {large}; {hungry}"), report))
}

/// Deciding on one entry of a claim: that one is left for a minute, and those that were claimed with it go at once.
async fn due_work_panics(ground: &Ground) -> anyhow::Result<()> {
    let mut trial = Trial::start(ground, Setup::default().crash("scheduler", "emit.decided:3:panic")).await?;
    trial.publish(20).await?;
    trial.until("its neighbours are sent", |book| book.count("messaggio.inviato") == 19).await?;
    trial.wait_for("the panic", async |trial: &Trial| Ok(trial.due().await? == 1)).await?;
    trial.advance(Duration::from_secs(61)).await?;
    trial.settle().await?;
    let report = trial.close(Bounds { panics: 1, ..Bounds::default() }).await?;
    ensure!(report.ok == 20, "{} of 20 sent", report.ok);
    Ok(())
}

async fn zombies(ground: Ground) -> anyhow::Result<Seen> {
    // The lease outlasts it all: it is the same try that the broker gives to somebody else.
    let before = Setup::default().with("SCHEDULER__LEASE", "2m");
    let before = before.crash("dispatcher", "dispatcher.before-fence:1:stop");
    let mut trial = Trial::start(&ground, before).await?;
    // One only: others of this process could be past their fence when it freezes.
    trial.publish(1).await?;
    frozen(&trial).await?;
    ground.end_connections_of("dispatcher").await?;
    trial.crew.enlist("dispatcher", &[])?;
    trial.settle().await?;
    ensure!(trial.created().await? == 1, "the other dispatcher did not send it");
    trial.crew.signal("dispatcher", Signal::CONT)?;
    trial.publish(5).await?;
    trial.settle().await?;
    trial.close(Bounds::default()).await?;

    let between = Setup::default().crash("dispatcher", "dispatcher.fenced:1:stop");
    let mut trial = Trial::start(&ground, between).await?;
    trial.publish(1).await?;
    frozen(&trial).await?;
    trial.crew.enlist("dispatcher", &[])?;
    trial.advance(INTENT).await?;
    trial.until("the doubt is told", |book| book.count("messaggio.in-dubbio") == 1).await?;
    let created = trial.created().await?;
    ensure!(created == 0, "another dispatcher sent it meanwhile");
    trial.crew.signal("dispatcher", Signal::CONT)?;
    trial.until("the late answer closes the doubt", |book| book.count("messaggio.inviato") == 1).await?;
    trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(
        "before the fence: sent once, by the other; after it: sent once, late, the doubt closed",
        report,
    ))
}

/// Waits until the dispatcher came to the point at which it froze.
pub(super) async fn frozen(trial: &Trial) -> anyhow::Result<()> {
    trial.wait_for("a dispatcher freezes", async |trial: &Trial| Ok(trial.crew.is_frozen("dispatcher"))).await
}

/// How long a fault lasts: part of the injection, no wait for anything.
pub(super) async fn lasts(time: Duration) {
    sleep(time).await;
}
