//! F62: a million timers, and a hundred thousand of them due at nine o'clock.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use redis::AsyncCommands as _;
use serde_json::json;
use shared::domain::catalogue::Catalogue;
use shared::domain::ente::Ente;
use shared::domain::event::CaseEvent;
use shared::store::{CaseStore, Options, Place, Redis, Tls};
use shared::take::Taker;
use shared::wire::RecipientHash;
use tokio::time::{Instant, sleep};

use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::trial::{Setup, Trial};
use crate::fleet::{HASH_KEY, project_root, read_enti};

/// Cases whose reminder falls due, and those whose timers stay armed: four each, a million in all.
const DUE: usize = 100_000;
const ARMED: usize = 150_000;
/// Timers of a permit: reminders at 90, 60 and 30 days, and the office's O2.
const TIMERS: usize = 4;
/// Events taken at a time.
const AT_ONCE: usize = 64;
/// When the first reminder of the due ones goes: 90 days before their end, at 09:00 in Rome.
const NINE: &str = "2027-04-01T07:00:00Z";
/// No answer of Redis may take longer.
const STALL: Duration = Duration::from_millis(100);
/// How long all of it may take to be sent, on a machine that does other things too.
const DRAIN: Duration = Duration::from_mins(15);

/// The row.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    vec![Row::runs(
        "F62",
        [
            "a million timers, 100,000 of them due at once",
            "250,000 permits taken by planner and scripts; the fleet's clock set to 09:00 of a day on which 100,000 reminders are due",
            "each sent once, none in doubt, no lease missed (each asked of the renderer once), no answer of Redis later than 100 ms",
        ],
        (Needs::Alone, false),
        nine_o_clock,
    )]
}

async fn nine_o_clock(ground: Ground) -> anyhow::Result<Seen> {
    // Leases as in production: a trial's 3 s are for rows that wait for their end.
    let setup = Setup::default().with("SCHEDULER__LEASE", "30s");
    let mut trial = Trial::start(&ground, setup).await?;
    let begun = Instant::now();
    fill(&ground, &trial).await?;
    let filled = begun.elapsed().as_secs();
    let armed = trial.due().await?;
    ensure!(armed == (DUE + ARMED) * TIMERS, "{armed} timers are armed");
    let over = Arc::new(AtomicBool::new(false));
    let probe = probe(&ground.redis_url, &over)?;
    let begun = Instant::now();
    trial.set_clock(NINE.parse().context("an instant")?).await?;
    drain(&trial).await?;
    let drained = begun.elapsed().as_secs();
    over.store(true, Ordering::Relaxed);
    let slowest = probe.join().map_err(|_| anyhow::anyhow!("the probe panicked"))??;
    trial.wait_quiet().await?;
    let left = trial.due().await?;
    ensure!(left == armed - DUE, "{left} timers are left of {armed}");
    // Not `close`: the permits were taken without the broker, so that the journal has no line of them to be held
    // against, and a million entries are counted by their sets, not one by one.
    let doubts: usize = ground.redis().await?.zcard("pm:{borgochiaro}:doubt").await?;
    let metrics = trial.crew.metrics().await?;
    trial.crew.stand_down().await?;
    let written = [("a log", trial.crew.logs()), ("a metric", metrics)];
    for (place, text) in &written {
        ensure!(!names_someone(text), "I6: a fiscal code is in {place}");
    }
    let rendered = counted(&written[1].1, "promemoria_stage_duration_seconds_count{stage=\"render\"} ");
    ensure!(doubts == 0, "{doubts} in doubt");
    ensure!(rendered == DUE, "{rendered} render requests for {DUE} messages: leases were missed");
    ensure!(slowest <= STALL, "an answer of Redis took {slowest:?}");
    let slowest = slowest.as_secs_f64() * 1e3;
    Ok(Seen {
        words: format!(
            "{armed} timers armed in {filled} s; {DUE} due at once, each sent once within {drained} s, none in doubt; the slowest PING took {slowest:.0} ms"
        ),
        report: None,
    })
}

/// What a permit is taken with: planner, texts and scripts are the fleet's own, only the broker is left out.
struct Desk {
    taker: Taker<CaseStore>,
    catalogue: Catalogue,
    ente: Arc<Ente>,
}

impl Desk {
    async fn open(ground: &Ground, trial: &Trial) -> anyhow::Result<Self> {
        let options = Options {
            url: ground.redis_url.clone().into(),
            place: Place::Single,
            response_timeout: Duration::from_secs(30),
            tls: Tls::default(),
            prefix: "pm".to_owned(),
        };
        let store = CaseStore::new(Redis::connect(&options).await?);
        let folder = project_root().join("shared/catalogue");
        let catalogue = Catalogue::load(&folder).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        let mut all = read_enti(&trial.crew.enti_dir())?.into_iter();
        let ente = all.find(|ente| ente.id == "borgochiaro").context("no such ente")?;
        Ok(Self { taker: Taker { store, hash: RecipientHash::new(HASH_KEY.into()) }, catalogue, ente })
    }

    async fn take(&self, number: usize) -> anyhow::Result<()> {
        // The day on which the due ones end is 90 days after that of `NINE`.
        let end = if number < DUE { "2027-06-30" } else { "2036-06-30" };
        let ente = &*self.ente;
        let body = json!({
            "specversion": "1.0", "id": format!("permesso-{number}"), "source": "https://gestionale.example.it",
            "type": "permesso.registrato", "subject": format!("P-{number}"), "time": "2026-11-20T10:00:00+01:00",
            "ente": ente.id, "servizio": "permesso-soggiorno",
            // Their own: the cases of one person are looked at together.
            "data": { "codice_fiscale": person(number), "tipo_permesso": "O", "data_scadenza": end },
        });
        let key = format!("{}.permesso.registrato", ente.id);
        let known = |_: &str| Some(ente);
        let media_type = Some("application/cloudevents+json");
        let event = CaseEvent::parse(body.to_string().as_bytes(), media_type, &key, &self.catalogue, known)?;
        self.taker.take(&event, &self.catalogue, ente, None).await?;
        Ok(())
    }
}

/// Takes every permit.
async fn fill(ground: &Ground, trial: &Trial) -> anyhow::Result<()> {
    let desk = Arc::new(Desk::open(ground, trial).await?);
    let takes = (0..DUE + ARMED).map(|number| {
        let desk = Arc::clone(&desk);
        // Tasks, so that both cores plan.
        async move { tokio::spawn(async move { desk.take(number).await }).await? }
    });
    stream::iter(takes).buffer_unordered(AT_ONCE).try_collect::<()>().await
}

/// Whether a word of the text is the fiscal code of one of those persons.
fn names_someone(text: &str) -> bool {
    let people: HashSet<String> = (0..DUE + ARMED).map(person).collect();
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| people.contains(word))
}

/// A counter of one process's metrics; 0 if it is not there.
fn counted(metrics: &str, series: &str) -> usize {
    metrics.lines().filter_map(|line| line.strip_prefix(series)?.parse::<usize>().ok()).sum()
}

/// The fiscal code of a person made up for this number.
fn person(number: usize) -> String {
    crate::bench::fiscal_code(u64::try_from(number).unwrap_or(0))
}

/// Waits until the sandbox has all of them, each once.
async fn drain(trial: &Trial) -> anyhow::Result<()> {
    let deadline = Instant::now() + DRAIN;
    loop {
        let (unique, copies) = trial.crew.sandbox_count().await?;
        ensure!(copies == 0, "I2: {copies} copies");
        if unique == DUE {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{unique} of {DUE} are sent");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Asks Redis for a PONG every 5 ms, on a thread of its own so that nothing of ours delays it; the slowest answer.
fn probe(
    url: &str,
    over: &Arc<AtomicBool>,
) -> anyhow::Result<std::thread::JoinHandle<anyhow::Result<Duration>>> {
    let (mut connection, over) = (redis::Client::open(url)?.get_connection()?, Arc::clone(over));
    Ok(std::thread::spawn(move || {
        let mut slowest = Duration::ZERO;
        while !over.load(Ordering::Relaxed) {
            let asked = std::time::Instant::now();
            redis::cmd("PING").query::<String>(&mut connection)?;
            slowest = slowest.max(asked.elapsed());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(slowest)
    }))
}
