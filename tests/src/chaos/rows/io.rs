//! F47 to F61 without those of `ill` and `failing`: IO slow, broken off, away; events that come twice.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::life::lasts;
use crate::chaos::book::Book;
use crate::chaos::checker::{Bounds, CANARIES};
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::proxy::{Cable, End, Flow};
use crate::chaos::result::Report;
use crate::chaos::trial::{Setup, Trial};

/// The rows.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    let long = (Needs::Lane, false);
    let mut rows = vec![
        Row::quick(
            "F47",
            [
                "IO hangs for some",
                "every third submit of one account hangs beyond io.request_timeout, io.concurrency is 4; whole: one submit in a hundred is answered after 20 s, then three in ten hang",
                "another account's messages are all sent while those hang; those that hung are in doubt",
            ],
            hangs,
        ),
        Row::runs(
            "F54",
            [
                "IO refuses the key",
                "401 for one service",
                "that service is paused, others flow, no attempt burned",
            ],
            long,
            |ground| pauses(ground, json!({ "kind": "unauthorized", "fiscal_code": CANARIES[0] })),
        ),
        Row::quick(
            "F56",
            ["IO cannot be reached", "connections refused", "no doubt; sent when it is back"],
            away,
        ),
        Row::runs(
            "F57",
            ["IO answers with a redirect", "307 to a submit", "not followed; the service is paused"],
            long,
            |ground| {
                let fault = json!({ "kind": "redirect", "operation": "submit", "fiscal_code": CANARIES[0] });
                pauses(ground, fault)
            },
        ),
        Row::quick(
            "F60",
            [
                "every event comes three times, and once with another content",
                "20 events three times over; one id with another body",
                "sent once; the conflict is told",
            ],
            thrice,
        ),
    ];
    rows.extend(cables());
    rows.push(Row::quick(
        "F61",
        [
            "a cancellation races the POST",
            "the case is closed while the dispatcher is frozen before the fence, and between fence and POST",
            "before: cancelled, nothing sent; after: sent once and told as sent, not as cancelled (the matrix: \"too late\" recorded; that outcome is the record)",
        ],
        cancelled,
    ));
    rows
}

/// What the cable does to one answer to a submit.
fn cables() -> Vec<Row> {
    let doubt = "unknown: created once, in doubt, not sent again";
    vec![
        Row::quick("F48", ["IO answers a byte at a time", "one byte every 300 ms", doubt], |ground| {
            answer_breaks(ground, Cable::SlowAnswers(Flow::DRIP))
        }),
        Row::quick("F49", ["IO resets the connection", "RST after the request was read", doubt], |ground| {
            answer_breaks(ground, Cable::EndAnswerAfter(0, End::Reset))
        }),
        Row::quick("F50", ["IO closes the connection", "FIN after the request was read", doubt], |ground| {
            answer_breaks(ground, Cable::EndAnswerAfter(0, End::Fin))
        }),
    ]
}

/// Between fence and POST the dispatcher is frozen, so that the cable changes for the submit alone.
async fn answer_breaks(ground: Ground, cable: Cable) -> anyhow::Result<Seen> {
    let setup = Setup::default().through("io").crash("dispatcher", "dispatcher.fenced:1:stop");
    let mut trial = Trial::start(&ground, setup).await?;
    trial.publish(1).await?;
    trial
        .wait_for("the dispatcher is between fence and POST", async |trial: &Trial| {
            Ok(trial.crew.is_frozen("dispatcher"))
        })
        .await?;
    trial.cable("io")?.set(cable);
    trial.crew.signal("dispatcher", Signal::CONT)?;
    trial.settle().await?;
    trial.cable("io")?.mend();
    trial.publish(5).await?;
    trial.settle().await?;
    let created = trial.created().await?;
    let report = trial.close(Bounds { doubts: 1, ..Bounds::default() }).await?;
    ensure!((created, report.in_doubt) == (6, 1), "{created} created, {} in doubt", report.in_doubt);
    Ok(Seen::new("created, in doubt; the next five went at once", report))
}

/// IO slow for some of an account's submits, and what that leaves in doubt.
struct Slow {
    /// `io.request_timeout`.
    timeout: &'static str,
    delay_ms: u32,
    /// Faults of one call in so many, one after the other.
    every: &'static [u32],
    /// Messages of the account, and how many of them end in doubt.
    messages: usize,
    doubts: usize,
}

async fn hangs(ground: Ground) -> anyhow::Result<Seen> {
    let third = Slow { timeout: "3s", delay_ms: 20_000, every: &[3], messages: 30, doubts: 10 };
    // A tenth of all, of the nine tenths that are left, of the eight tenths after that.
    let hang = Slow { timeout: "10s", delay_ms: 60_000, every: &[10, 9, 8], messages: 100, doubts: 30 };
    let late = Slow { timeout: "25s", delay_ms: 20_000, every: &[100], messages: 200, doubts: 0 };
    let mut words = Vec::new();
    let mut last = None;
    for slow in ground.length(vec![third], vec![late, hang]) {
        let (seen, report) = slow_for_some(&ground, &slow).await?;
        words.push(seen);
        last = Some(report);
    }
    Ok(Seen::new(words.join("; "), last.context("nothing is slow")?))
}

async fn slow_for_some(ground: &Ground, slow: &Slow) -> anyhow::Result<(String, Report)> {
    // A lease outlasts what waits behind a call that hangs.
    let setup = Setup::default().with("IO__CONCURRENCY", "4").with("IO__REQUEST_TIMEOUT", slow.timeout);
    let mut trial = Trial::start(ground, setup.with("SCHEDULER__LEASE", "30s")).await?;
    let fault = |every: &u32| {
        json!({
            "kind": "delay", "delay_ms": slow.delay_ms, "operation": "submit", "calls": 1_000, "every": every,
            "account": "borgochiaro",
        })
    };
    trial.io_fault(&slow.every.iter().map(fault).collect()).await?;
    trial.patient(3);
    let ours = trial.publish(slow.messages).await?;
    let others = trial.publish_for(30, "roccamarina").await?;
    trial.until("the other account's are sent", |book| book.are_sent(&others)).await?;
    let ends = trial.book.ends();
    let open = ours.iter().filter(|event| !ends.contains_key(event.as_str())).count();
    trial.settle().await?;
    let report = trial.close(Bounds { doubts: slow.doubts, ..Bounds::default() }).await?;
    ensure!(open > 0, "nothing was slow any more when the other account's were sent");
    ensure!(report.in_doubt == slow.doubts, "{} in doubt, not {}", report.in_doubt, slow.doubts);
    let words = format!(
        "30 of the other account sent while {open} of {} of the slow one were open; {} in doubt",
        slow.messages, slow.doubts
    );
    Ok((words, report))
}

/// A fault after which the service rests for a minute.
async fn pauses(ground: Ground, fault: Value) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    trial.io_fault(&fault).await?;
    trial.publish(1).await?;
    trial
        .wait_for("the service is paused", async |trial: &Trial| {
            Ok(trial.crew.log_of("dispatcher").contains("service paused"))
        })
        .await?;
    trial.mended();
    trial.publish_for(10, "roccamarina").await?;
    trial.until("the other ente's are sent", |book| book.count("messaggio.inviato") == 10).await?;
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(format!("the others went at once, the paused one {took:.0} s later"), report))
}

async fn away(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    trial.crew.lose_io().await?;
    trial.publish(20).await?;
    lasts(Duration::from_secs(5)).await;
    trial.crew.start_io().await?;
    trial.mended();
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(format!("all sent {took:.1} s after it was back"), report))
}

async fn thrice(ground: Ground) -> anyhow::Result<Seen> {
    let mut trial = Trial::start(&ground, Setup::default()).await?;
    trial.publish(20).await?;
    for _ in 0..2 {
        trial.publish_again(0..20, "").await?;
    }
    trial.settle().await?;
    trial.publish_again(0..1, "altro").await?;
    trial.until("the conflict is told", |book| book.count("evento.rifiutato") == 1).await?;
    let conflict = trial.book.outcomes.iter().any(|outcome| outcome["data"]["codice"] == "conflict");
    ensure!(conflict, "refused, and not as a conflict");
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new("each sent once, the other content refused as a conflict", report))
}

/// A reminder falls due, the dispatcher freezes with it in hand, and the office closes the case.
async fn cancelled(ground: Ground) -> anyhow::Result<Seen> {
    // Point, then messages created, sent and discarded: three reminders are armed.
    for (point, created, sent, discarded) in
        [("dispatcher.before-fence:1:stop", 0, 0, 3), ("dispatcher.fenced:1:stop", 1, 1, 2)]
    {
        let mut trial = Trial::start(&ground, Setup::default().crash("dispatcher", point)).await?;
        let permit =
            json!({ "codice_fiscale": CANARIES[0], "tipo_permesso": "O", "data_scadenza": "2036-06-30" });
        trial.say("permesso.registrato", "P-1", permit).await?;
        trial.until("the reminders are armed", |book| book.count("messaggio.programmato") == 3).await?;
        trial.make_due(1).await?;
        trial
            .wait_for("the dispatcher freezes", async |trial: &Trial| Ok(trial.crew.is_frozen("dispatcher")))
            .await?;
        let closed = json!({ "codice_fiscale": CANARIES[0], "motivo": "archiviata" });
        trial.say("posizione.chiusa", "P-1", closed).await?;
        trial
            .until("the rest is cancelled", |book| messages(book, "messaggio.scartato") == discarded)
            .await?;
        trial.crew.signal("dispatcher", Signal::CONT)?;
        trial.until("what was too late is told", |book| book.count("messaggio.inviato") == sent).await?;
        trial.wait_quiet().await?;
        trial.crew.terminate("dispatcher").await?;
        let made = trial.created().await?;
        ensure!(made == created, "{point}: {made} created, not {created}");
        let told = [messages(&trial.book, "messaggio.inviato"), messages(&trial.book, "messaggio.scartato")];
        ensure!(told == [sent, discarded], "{point}: {told:?} told as sent and as cancelled");
        trial.close_uncounted(Bounds::default()).await?;
    }
    let words = "before the fence: three cancelled, none sent; after it: one sent and told, two cancelled";
    Ok(Seen { words: words.to_owned(), report: None })
}

/// Outcomes of a type that are about a message; the office's timer is told of too.
fn messages(book: &Book, tipo: &str) -> usize {
    book.outcomes.iter().filter(|it| it["type"] == tipo && it["data"]["messaggio"].is_string()).count()
}
