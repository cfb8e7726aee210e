//! Redis loses everything, or comes back as an old copy: it is rebuilt from the journal, nothing is lost,
//! and nothing that was sent goes again.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::case::{EventKey, PersonKey};
use shared::domain::plan::case_id;
use shared::journal::{Comparison, Kind};
use shared::store::keys::CaseId;
use shared::store::{Books, Commit, Committed, Loaded, MemoryBooks, Restored, StoreError};
use tests::brokers::Server;
use tests::fleet::client::{Client, http_client, sandbox_messages};
use tests::fleet::{Enti, Fleet};
use tests::journal::Journal;
use tokio::time::{Instant, sleep};

/// How long each step may take on a busy machine.
const STEP: Duration = Duration::from_secs(90);
/// How often something is asked that tells of no change by itself.
const GLANCE: Duration = Duration::from_millis(20);

/// A fictitious citizen.
const CITIZEN: &str = "RSSMRA85T10A562S";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_lose_everything() -> anyhow::Result<()> {
    let fleet = Fleet::start(crate::binaries(), &Enti::default()).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    let events: Vec<Value> = (0..20).flat_map(|n| [notice(n), permit(n)]).collect();
    for event in &events {
        client.publish_event(event).await?;
    }
    client.outcomes_until(STEP, |all| of(all, "messaggio.consegnato") == 20).await?;
    let whole = ledger(&fleet).await?;
    ensure!(whole["borgochiaro"].pending > 20, "timers are armed: {:?}", whole["borgochiaro"]);

    command(&fleet, "FLUSHALL").await?;
    until_lost(&fleet).await?;
    // What comes meanwhile waits, and is planned on a whole store.
    client.publish_event(&notice(99)).await?;
    until_ready(&fleet).await?;
    client.outcomes_until(STEP, |all| of(all, "messaggio.consegnato") == 1).await?;
    let mut wanted = whole;
    if let Some(tally) = wanted.get_mut("borgochiaro") {
        tally.accepted += 1;
        tally.sent += 1;
    }
    assert_eq!(ledger(&fleet).await?, wanted);
    // The events are known again, and none of their messages goes a second time.
    for event in &events {
        client.publish_event(event).await?;
    }
    client.publish_event(&notice(100)).await?;
    client.outcomes_until(STEP, |all| of(all, "messaggio.consegnato") == 1).await?;
    assert_eq!(sandbox_messages(fleet.ports.sandbox).await?.len(), 22);
    assert!(!fleet.logs()?.contains(CITIZEN), "a fiscal code in a log");
    fleet.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_come_back_as_an_old_copy() -> anyhow::Result<()> {
    let mut fleet = Fleet::start(crate::binaries(), &Enti::default()).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    let events: Vec<Value> = (0..30).flat_map(|n| [notice(n), permit(n)]).collect();
    for event in &events[..20] {
        client.publish_event(event).await?;
    }
    client.outcomes_until(STEP, |all| of(all, "messaggio.consegnato") == 10).await?;
    // Some of these are on their way when the copy is made.
    for event in &events[20..40] {
        client.publish_event(event).await?;
    }
    let copy = Copy::take(&fleet).await?;
    for event in &events[40..] {
        client.publish_event(event).await?;
    }
    client.outcomes_until(STEP, |all| of(all, "messaggio.consegnato") == 20).await?;
    let whole = ledger(&fleet).await?;

    fleet.brokers.kill(Server::Redis).await?;
    fleet.brokers.start_again(Server::Redis).await?;
    fleet.grant().await?;
    copy.restore(&fleet).await?;
    until_lost(&fleet).await?;
    until_ready(&fleet).await?;
    assert_eq!(ledger(&fleet).await?, whole);
    for event in &events {
        client.publish_event(event).await?;
    }
    client.publish_event(&notice(100)).await?;
    client.outcomes_until(STEP, |all| of(all, "messaggio.consegnato") == 1).await?;
    assert_eq!(sandbox_messages(fleet.ports.sandbox).await?.len(), 31);

    a_line_that_ends_its_reader_is_left_out(&fleet).await?;
    what_was_deleted_is_found_and_put_back(&fleet).await?;
    a_rebuild_may_be_cut_short(&mut fleet, &mut client).await?;
    fleet.shutdown().await
}

/// Books in which one case cannot be looked at.
#[derive(Clone)]
struct Cursed {
    books: MemoryBooks,
    case: CaseId,
}

impl Books for Cursed {
    async fn load(
        &self,
        ente: &str,
        event: Option<&EventKey>,
        cases: &[CaseId],
        persons: &[PersonKey],
    ) -> Result<Loaded, StoreError> {
        assert!(!cases.contains(&self.case), "injected: a case that this build cannot bear");
        self.books.load(ente, event, cases, persons).await
    }

    async fn commit(&self, ente: &str, commit: &Commit<'_>) -> Result<Committed, StoreError> {
        self.books.commit(ente, commit).await
    }

    async fn forget_event(&self, ente: &str, event: &EventKey) -> Result<(), StoreError> {
        self.books.forget_event(ente, event).await
    }

    async fn linked(&self, ente: &str, person: &PersonKey) -> Result<Vec<CaseId>, StoreError> {
        self.books.linked(ente, person).await
    }

    async fn restore(&self, ente: &str, restored: &Restored) -> Result<bool, StoreError> {
        self.books.restore(ente, restored).await
    }
}

/// The lines of one case panic: they are counted, and all others are taken.
async fn a_line_that_ends_its_reader_is_left_out(fleet: &Fleet) -> anyhow::Result<()> {
    let books = || MemoryBooks::new(Clock::system().now().timestamp_millis());
    let (whole, cursed) = (books(), books());
    open(fleet).await?.replay_into(whole.clone()).await?;
    let case = case_id("permesso-soggiorno", "permesso-7", None);
    let counts = open(fleet).await?.replay_into(Cursed { books: cursed.clone(), case }).await?;
    assert!(counts["borgochiaro"].refused > 0, "{counts:?}");
    let mut wanted = whole.cases("borgochiaro");
    wanted.retain(|it| *it != case);
    assert_eq!(cursed.cases("borgochiaro"), wanted);
    Ok(())
}

/// A sent message whose progress is gone: the audit names it, a rebuild puts it back.
async fn what_was_deleted_is_found_and_put_back(fleet: &Fleet) -> anyhow::Result<()> {
    let case = case_id("alloggi-sociali", "domanda-3", None);
    let key = [b"pm:{borgochiaro}:s:".as_slice(), &case].concat();
    let mut connection = connection(fleet).await?;
    redis::cmd("DEL").arg(key).query_async::<()>(&mut connection).await?;
    let found = audit(fleet).await?.remove("borgochiaro").context("no such ente")?.differences;
    let found: Vec<_> = found.iter().map(|it| (it.kind, it.journal, it.ledger)).collect();
    // It looks like one that waits; and nobody would send it.
    let lost = (Kind::Unplaced, Some("pending"), Some("pending, but not in the schedule"));
    assert_eq!(found, [(Kind::Progress, Some("sent"), Some("pending")), lost]);
    open(fleet).await?.rebuild(usize::MAX).await?;
    ledger(fleet).await?;
    what_is_half_gone_is_put_back(fleet).await
}

/// Of a case the record is gone and its events' ids remain; of another the entries of the schedule; and an entry
/// is there that no case stands for.
async fn what_is_half_gone_is_put_back(fleet: &Fleet) -> anyhow::Result<()> {
    let whole = ledger(fleet).await?;
    let mut connection = connection(fleet).await?;
    let record = |n| [b"pm:{borgochiaro}:c:".as_slice(), &case_id("permesso-soggiorno", n, None)].concat();
    redis::cmd("DEL").arg(record("permesso-4")).query_async::<()>(&mut connection).await?;
    let due = "pm:{borgochiaro}:due";
    let members: Vec<Vec<u8>> =
        redis::cmd("ZRANGE").arg(due).arg(0).arg(-1).query_async(&mut connection).await?;
    let lost = case_id("permesso-soggiorno", "permesso-5", None);
    let lost: Vec<&Vec<u8>> = members.iter().filter(|member| member.starts_with(&lost)).collect();
    ensure!(!lost.is_empty(), "timers of the permit");
    redis::cmd("ZREM").arg(due).arg(&lost).query_async::<()>(&mut connection).await?;
    let stray = [&[9; 12][..], b"\0\x01m"].concat();
    redis::cmd("ZADD").arg(due).arg(4e12).arg(stray).query_async::<()>(&mut connection).await?;

    let found = audit(fleet).await?.remove("borgochiaro").context("no such ente")?.differences;
    let count = |kind| found.iter().filter(|it| it.kind == kind).count();
    assert!(count(Kind::Missing) > 2, "{found:?}");
    // The entries of the permit without its record are there, too.
    assert_eq!(count(Kind::Unplaced), lost.len(), "{found:?}");
    assert!(count(Kind::Orphan) > 1, "{found:?}");
    open(fleet).await?.rebuild(usize::MAX).await?;
    assert_eq!(ledger(fleet).await?, whole);
    Ok(())
}

/// All is lost while nobody looks, a rebuild is cut short, another is not: all is there, and stays sent.
async fn a_rebuild_may_be_cut_short(fleet: &mut Fleet, client: &mut Client) -> anyhow::Result<()> {
    let whole = ledger(fleet).await?;
    fleet.terminate("scheduler").await?;
    command(fleet, "FLUSHALL").await?;
    let lost = audit(fleet).await?.remove("borgochiaro").context("no such ente")?.differences;
    assert!(lost.len() > 60 && lost.iter().all(|it| it.kind == Kind::Missing), "{lost:?}");
    open(fleet).await?.rebuild(50).await?;
    ensure!(ledger(fleet).await.is_err(), "half of it is missing");
    open(fleet).await?.rebuild(usize::MAX).await?;
    assert_eq!(ledger(fleet).await?, whole);
    fleet.start_service("scheduler")?;
    fleet.wait_ready().await?;
    client.publish_event(&notice(101)).await?;
    client.outcomes_until(STEP, |all| of(all, "messaggio.consegnato") == 1).await?;
    assert_eq!(sandbox_messages(fleet.ports.sandbox).await?.len(), 32);
    Ok(())
}

/// Everything that Redis held at one instant.
struct Copy(Vec<(Vec<u8>, Vec<u8>)>);

impl Copy {
    async fn take(fleet: &Fleet) -> anyhow::Result<Self> {
        let mut connection = connection(fleet).await?;
        let script = redis::Script::new(
            "local all = {}
             for _, key in ipairs(redis.call('KEYS', '*')) do all[#all + 1] = { key, redis.call('DUMP', key) } end
             return all",
        );
        Ok(Self(script.invoke_async(&mut connection).await?))
    }

    /// Puts it in the place of what is there, at one instant.
    async fn restore(&self, fleet: &Fleet) -> anyhow::Result<()> {
        let mut connection = connection(fleet).await?;
        let mut all = redis::pipe();
        all.atomic().cmd("FLUSHALL").ignore();
        for (key, value) in &self.0 {
            all.cmd("RESTORE").arg(key).arg(0).arg(value).ignore();
        }
        Ok(all.query_async(&mut connection).await?)
    }
}

/// Each ente's tally of the ledger, which must be the journal's.
pub(crate) async fn ledger(fleet: &Fleet) -> anyhow::Result<BTreeMap<String, shared::journal::Tally>> {
    let all = audit(fleet).await?;
    for (ente, comparison) in &all {
        ensure!(comparison.differences.is_empty(), "{ente}: {:?}", comparison.differences);
    }
    Ok(all.into_iter().map(|(ente, comparison)| (ente, comparison.ledger)).collect())
}

/// The journal of a fleet up to now.
pub(crate) async fn open(fleet: &Fleet) -> anyhow::Result<Journal> {
    Journal::open(&fleet.config(), &[]).await
}

/// Compares journal and ledger of every ente.
pub(crate) async fn audit(fleet: &Fleet) -> anyhow::Result<BTreeMap<String, Comparison>> {
    open(fleet).await?.audit().await
}

/// Waits until the scheduler is ready, or is not; returns what it says of it.
/// Until readiness names the store that is not whole; it may name other conditions before.
pub(crate) async fn until_lost(fleet: &Fleet) -> anyhow::Result<()> {
    until_readiness(fleet, |ready, missing| !ready && missing.contains("ledger")).await
}

pub(crate) async fn until_ready(fleet: &Fleet) -> anyhow::Result<()> {
    until_readiness(fleet, |ready, _| ready).await
}

async fn until_readiness(fleet: &Fleet, wanted: impl Fn(bool, &str) -> bool) -> anyhow::Result<()> {
    let url = format!("http://127.0.0.1:{}/readyz", fleet.ports.scheduler);
    let client = http_client()?;
    let end = Instant::now() + STEP;
    let mut last = String::new();
    while Instant::now() < end {
        let answer = client.get(&url).send().await?;
        let ready = answer.status().is_success();
        last = answer.text().await?;
        if wanted(ready, &last) {
            return Ok(());
        }
        sleep(GLANCE).await;
    }
    anyhow::bail!("the scheduler's readiness stayed {last}\n{}", fleet.logs()?)
}

pub(crate) async fn command(fleet: &Fleet, word: &str) -> anyhow::Result<()> {
    let mut connection = connection(fleet).await?;
    redis::cmd(word).query_async(&mut connection).await.with_context(|| word.to_owned())
}

pub(crate) async fn connection(fleet: &Fleet) -> anyhow::Result<redis::aio::MultiplexedConnection> {
    Ok(redis::Client::open(fleet.brokers.redis_url())?.get_multiplexed_async_connection().await?)
}

pub(crate) fn of(outcomes: &[Value], tipo: &str) -> usize {
    outcomes.iter().filter(|outcome| outcome["type"] == tipo).count()
}

/// One message at once.
pub(crate) fn notice(number: usize) -> Value {
    event(
        &format!("domanda-{number}"),
        ("domanda.protocollata", "alloggi-sociali"),
        &json!({
            "codice_fiscale": CITIZEN, "bando": "B27", "numero_protocollo": format!("{number}"),
            "url_domanda": "https://domande.example.it/1",
        }),
    )
}

/// A permit that ends in years: reminders and office timers are armed.
pub(crate) fn permit(number: usize) -> Value {
    event(
        &format!("permesso-{number}"),
        ("permesso.registrato", "permesso-soggiorno"),
        &json!({ "codice_fiscale": CITIZEN, "tipo_permesso": "O", "data_scadenza": "2031-06-30" }),
    )
}

fn event(id: &str, (tipo, servizio): (&str, &str), data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://gestionale.example.it", "type": tipo,
        "subject": id, "time": "2026-11-20T10:00:00+01:00", "ente": "borgochiaro",
        "servizio": servizio, "data": data,
    })
}
