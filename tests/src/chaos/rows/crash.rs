//! F01 to F14 without F11: a process aborts at a named point, and another takes its place.
//!
//! The services sign in as their own users here, so that all of their work is done with the permissions of `deploy/`.

use anyhow::ensure;
use serde_json::json;

use crate::chaos::checker::{Bounds, CANARIES};
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Row, Seen};
use crate::chaos::result::Report;
use crate::chaos::trial::{INTENT, Setup, Trial};

/// Events of a row whose crash is in the middle of many.
const MANY: usize = 20;

/// A crash and what must come of it.
struct Crash {
    id: &'static str,
    fault: &'static str,
    service: &'static str,
    /// `name:n`.
    point: &'static str,
    injected: &'static str,
    wanted: &'static str,
    events: usize,
    /// Messages in doubt afterwards, exactly.
    doubts: usize,
    /// Messages that IO has afterwards, exactly.
    created: usize,
}

impl Crash {
    const fn of(
        [id, fault, service, point]: [&'static str; 4],
        injected: &'static str,
        wanted: &'static str,
    ) -> Self {
        Self { id, fault, service, point, injected, wanted, events: MANY, doubts: 0, created: MANY }
    }

    /// One event only, so that the numbers are exact.
    const fn alone(mut self, doubts: usize, created: usize) -> Self {
        self.events = 1;
        self.doubts = doubts;
        self.created = created;
        self
    }
}

const ALL_ONCE: &str = "each message once";
const SENT: &str = "sent once, no doubt";

/// The crashes.
const CRASHES: [Crash; 9] = [
    Crash::of(
        ["F01", "intake dies after it received an event", "scheduler", "intake.received:3"],
        "abort at the third event received",
        ALL_ONCE,
    ),
    Crash::of(
        ["F02", "intake dies after its commit in Redis", "scheduler", "intake.committed:3"],
        "abort after the third commit",
        ALL_ONCE,
    ),
    Crash::of(
        ["F03", "intake dies before its acknowledgement", "scheduler", "intake.told:3"],
        "abort when the third event's outcomes are confirmed",
        ALL_ONCE,
    ),
    Crash::of(
        ["F04", "scheduler dies after a claim", "scheduler", "emit.claimed"],
        "abort at the first claim",
        "emitted again when the lease ends; each message once",
    ),
    Crash::of(
        ["F05", "scheduler dies between publish and confirm", "scheduler", "broker.offered@promemoria.work"],
        "abort when the first of its render requests was written to the broker",
        ALL_ONCE,
    ),
    Crash::of(
        ["F07", "renderer dies before it publishes", "renderer", "renderer.written"],
        "abort when the first batch is written",
        ALL_ONCE,
    ),
    Crash::of(
        ["F08", "renderer dies before its acknowledgement", "renderer", "renderer.published"],
        "abort when the first batch is confirmed",
        ALL_ONCE,
    ),
    Crash::of(
        ["F09", "dispatcher dies before the fence", "dispatcher", "dispatcher.before-fence"],
        "abort before the intent is recorded",
        SENT,
    )
    .alone(0, 1),
    Crash::of(
        ["F14", "dispatcher dies before its acknowledgement", "dispatcher", "dispatcher.told"],
        "abort when the outcome is confirmed",
        "created once, one outcome id, no doubt",
    )
    .alone(0, 1),
];

/// The rows.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = CRASHES
        .into_iter()
        .map(|crash| {
            let words = [crash.fault, crash.injected, crash.wanted];
            let crash = std::sync::Arc::new(crash);
            Row::quick(crash.id, words, move |ground| run(ground, std::sync::Arc::clone(&crash)))
        })
        .collect();
    let words = [
        "dispatcher dies after the fence, before it connects",
        "abort when the intent is recorded, once with policy hold and once with resend",
        "hold: none created, one doubt (a false one); resend: created once",
    ];
    rows.push(Row::quick("F10", words, after_the_fence));
    let words = [
        "dispatcher dies after the 201, before it is recorded",
        "abort when the answer is there, once with policy hold and once with resend",
        "hold: created once, one doubt; resend: the doubt is told, then a second copy goes, and no third",
    ];
    rows.push(Row::quick("F12", words, after_the_answer));
    let words = [
        "dispatcher dies after the record",
        "abort when the sending is recorded and not told; abort when a doubt is, with policy resend and nobody in its place",
        "created once, told, no doubt; the doubt is told when the message goes again",
    ];
    rows.push(Row::quick("F13", words, after_the_record));
    let words = [
        "scheduler dies after the confirm",
        "abort when the first render requests are confirmed; abort when a case that was looked at again is written, before it is told",
        "each message once; what the second look changed is told",
    ];
    rows.push(Row::quick("F06", words, after_the_confirm));
    rows
}

async fn run(ground: Ground, crash: std::sync::Arc<Crash>) -> anyhow::Result<Seen> {
    let setup = Setup::default().own_users().crash(crash.service, crash.point);
    let mut trial = Trial::start(&ground, setup).await?;
    trial.publish(crash.events).await?;
    trial.crew.wait_crashed(crash.service).await?;
    trial.mended();
    trial.crew.enlist(crash.service, &[])?;
    if crash.doubts > 0 {
        // Past the end of the intent: only then is anybody sure that the try is over.
        trial.advance(INTENT).await?;
    }
    let took = trial.settle().await?;
    let created = trial.created().await?;
    let report = trial.close(Bounds { doubts: crash.doubts, ..Bounds::default() }).await?;
    ensure!(report.in_doubt == crash.doubts, "{} in doubt, not {}", report.in_doubt, crash.doubts);
    ensure!(created == crash.created, "IO has {created} messages, not {}", crash.created);
    Ok(Seen::new(format!("all over {took:.1} s after the crash"), report))
}

async fn after_the_answer(ground: Ground) -> anyhow::Result<Seen> {
    let crash = Crash::of(["F12", "", "dispatcher", "dispatcher.answered"], "", "").alone(1, 1);
    let held = run(ground.clone(), std::sync::Arc::new(crash)).await?;

    let mut trial = Trial::start(&ground, resend("dispatcher.answered")).await?;
    trial.publish(1).await?;
    trial.crew.wait_crashed("dispatcher").await?;
    trial.crew.enlist("dispatcher", &[])?;
    sent_again(&mut trial).await?;
    let report = Box::pin(second_copy(trial)).await?;
    let words = format!("hold: {}, one doubt; resend: told, then a second copy", held.words);
    Ok(Seen::new(words, report))
}

/// A dispatcher that comes to this point under the policy to send again, after longer than any gateway waits.
fn resend(point: &str) -> Setup {
    let setup = Setup::default().own_users().in_doubt("resend").with("IO__RESEND_AFTER", "181s");
    setup.crash("dispatcher", point)
}

/// A message in the hands of a dispatcher that died: the doubt is told, then it is sent again.
pub(super) async fn sent_again(trial: &mut Trial) -> anyhow::Result<()> {
    trial.advance(INTENT).await?;
    trial.until("the doubt is told", |book| book.count("messaggio.in-dubbio") == 1).await?;
    // Told first, then put into the schedule, by the clock of that moment.
    trial.wait_for("it is to be sent again", async |trial: &Trial| Ok(trial.due().await? == 1)).await?;
    ensure!(trial.book.count("messaggio.inviato") == 0, "it was sent before the doubt was told");
    // The wait of a resend is longer than any gateway's: the store's clock goes past it.
    trial.advance(std::time::Duration::from_mins(4)).await?;
    trial.until("it is sent again", |book| book.count("messaggio.inviato") == 1).await?;
    trial.settle().await.map(drop)
}

/// Closes a trial whose one message has two copies, for the one doubt that was told of it.
pub(super) async fn second_copy(trial: Trial) -> anyhow::Result<Report> {
    let created = trial.created().await?;
    let doubts = trial.book.count("messaggio.in-dubbio");
    let report = trial.close(Bounds { extra_copies: 1, ..Bounds::default() }).await?;
    ensure!((created, doubts) == (2, 1), "resend: {created} created, {doubts} doubts told");
    Ok(report)
}

async fn after_the_record(ground: Ground) -> anyhow::Result<Seen> {
    doubt_not_told(&ground).await?;
    let crash = Crash::of(["F13", "", "dispatcher", "dispatcher.settled"], "", "").alone(0, 1);
    let seen = run(ground, std::sync::Arc::new(crash)).await?;
    Ok(Seen { words: format!("{}; the doubt told by the scheduler as it emitted again", seen.words), ..seen })
}

/// Nobody takes the dispatcher's place before the message goes again: only the scheduler can tell the doubt.
async fn doubt_not_told(ground: &Ground) -> anyhow::Result<()> {
    let mut trial = Trial::start(ground, resend("dispatcher.settled")).await?;
    trial.io_fault(&json!({ "kind": "cut_before", "operation": "submit" })).await?;
    trial.publish(1).await?;
    trial.crew.wait_crashed("dispatcher").await?;
    trial.wait_for("the doubt is recorded", async |trial: &Trial| Ok(trial.due().await? == 1)).await?;
    trial.advance(std::time::Duration::from_mins(4)).await?;
    trial.until("the doubt is told", |book| book.count("messaggio.in-dubbio") == 1).await?;
    trial.crew.enlist("dispatcher", &[])?;
    trial.until("it is sent", |book| book.count("messaggio.inviato") == 1).await?;
    trial.settle().await?;
    let created = trial.created().await?;
    let report = trial.close(Bounds::default()).await?;
    ensure!((report.ok, created) == (1, 1), "{} sent, {created} created", report.ok);
    Ok(())
}

async fn after_the_confirm(ground: Ground) -> anyhow::Result<Seen> {
    looked_at_again(&ground).await?;
    let crash = Crash::of(["F06", "", "scheduler", "emit.published"], "", ALL_ONCE);
    let seen = run(ground, std::sync::Arc::new(crash)).await?;
    Ok(Seen {
        words: format!("{}; three cancelled reminders told after the second look", seen.words),
        ..seen
    })
}

/// A death cancels the reminders of the person's other case, and the scheduler dies before it says so.
async fn looked_at_again(ground: &Ground) -> anyhow::Result<()> {
    let crash = Setup::default().own_users().crash("scheduler", "look-again.committed");
    let mut trial = Trial::start(ground, crash).await?;
    let permit =
        json!({ "codice_fiscale": CANARIES[0], "tipo_permesso": "O", "data_scadenza": "2036-06-30" });
    trial.say("permesso.registrato", "P-1", permit).await?;
    trial.until("the reminders are armed", |book| book.count("messaggio.programmato") == 3).await?;
    let death = json!({ "codice_fiscale": CANARIES[0], "motivo": "decesso" });
    trial.say("posizione.chiusa", "P-2", death).await?;
    trial.crew.wait_crashed("scheduler").await?;
    trial.crew.enlist("scheduler", &[])?;
    trial.until("their end is told", |book| book.count("messaggio.scartato") == 3).await?;
    trial.wait_quiet().await?;
    trial.close_uncounted(Bounds::default()).await
}

async fn after_the_fence(ground: Ground) -> anyhow::Result<Seen> {
    let crash = Crash::of(["F10", "", "dispatcher", "dispatcher.fenced"], "", "").alone(1, 0);
    let held = run(ground.clone(), std::sync::Arc::new(crash)).await?;

    let mut trial = Trial::start(&ground, resend("dispatcher.fenced")).await?;
    trial.publish(1).await?;
    trial.crew.wait_crashed("dispatcher").await?;
    trial.crew.enlist("dispatcher", &[])?;
    sent_again(&mut trial).await?;
    let report = trial.close(Bounds::default()).await?;
    ensure!(report.ok == 1, "resend: it was not sent");
    let words =
        format!("hold: none created, one doubt, {}; resend: created once, the doubt closed", held.words);
    Ok(Seen::new(words, report))
}
