//! What the store promises, whatever kind of Redis is behind it: one server, Sentinel, Cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::domain::case::{Case, Planned, Standing};
use shared::domain::catalogue::Ruling;
use shared::domain::plan::Action;
use shared::store::inspect::{Decision, Inspector, Shelf, Window};
use shared::store::keys::{Kind, Member, event_key, hex};
use shared::store::ledger::{Fence, Intent, Ledger, Settled, Settlement};
use shared::store::progress::RawProgress;
use shared::store::quota::{QuotaStore, RedisQuota, Wanted};
use shared::store::rebuild::Rebuilds;
use shared::store::register::{Compared, Mark, Occupied, Page, Register, Stand, Walk};
use shared::store::schedule::{Schedule, Waiting};
use shared::store::{
    CaseStore, Commit, Committed, Crashes, Options, Place, Redis, RedisLedger, StoreError, Tls,
};
use shared::suspects::{CrashCount, Suspect};
use shared::wire::{Level, MessageRef};

use crate::rabbitmq::unique;
use crate::shared_brokers;

/// Options for a server or a group of servers; names of its own, answers within 2 s.
pub(crate) fn options(url: &str, place: Place) -> Options {
    Options {
        url: url.to_owned().into(),
        place,
        response_timeout: Duration::from_secs(2),
        tls: Tls::default(),
        prefix: "pm".to_owned(),
    }
}

#[tokio::test]
async fn one_server_keeps_the_stores_contract() {
    let brokers = shared_brokers().await;
    let redis = Redis::connect(&options(brokers.redis_url(), Place::Single)).await.unwrap();
    contract(&redis, &unique("e")).await;
}

/// What was in hand is remembered until it is forgotten, and each for itself.
async fn crashes(redis: &Redis, ente: &str) {
    let count = Crashes::new(redis.clone());
    let [one, other] = ["one", "other"].map(|name| Suspect::of(ente, name.as_bytes()));
    count.note(&one, 1).await.unwrap();
    count.note(&one, 2).await.unwrap();
    assert_eq!((count.of(&one).await.unwrap(), count.of(&other).await.unwrap()), (2, 0));
    count.forget(&one).await.unwrap();
    assert_eq!(count.of(&one).await.unwrap(), 0);
}

/// Every script and every plain command, once through the life of two messages of an ente.
pub(crate) async fn contract(redis: &Redis, ente: &str) {
    redis.ping().await.unwrap();
    let cases = CaseStore::new(redis.clone());
    let now_ms = commit_two(redis, ente).await.unwrap();
    assert!((redis.now_ms().await.unwrap() - now_ms).abs() < 60_000);
    assert_eq!(cases.armed(ente).await.unwrap(), BTreeMap::from([("promemoria".to_owned(), 2)]));

    let claim = cases.claim(ente, 10, 60_000, (100, None)).await.unwrap();
    assert_eq!(
        claim.entries.iter().map(|it| (it.member.slot, it.emission)).collect::<Vec<_>>(),
        [(1, 1), (2, 1)]
    );
    cases.fell_due(ente, &BTreeMap::from([("promemoria".to_owned(), 2)])).await.unwrap();
    assert_eq!(cases.armed(ente).await.unwrap()["promemoria"], 0);
    assert!(cases.claim(ente, 10, 60_000, (100, None)).await.unwrap().entries.is_empty(), "they are ours");

    send_one(redis, ente).await;
    RedisLedger::new(redis.clone()).standard_for(ente, Duration::from_mins(1)).await.unwrap();
    assert!(cases.claim(ente, 1, 1_000, (10, None)).await.unwrap().standard_only);
    assert!(cases.rule(ente, &claim.entries[1], "timeout", (Ruling::Hold, 0)).await.unwrap());
    decide_other(redis, ente).await;
    budget(redis, ente).await;
    crashes(redis, ente).await;
    assert!(!Inspector::new(redis.clone()).servers().await.unwrap().is_empty());
    register(redis, ente).await;
    schedule(redis, ente).await;
    vouched(redis, ente).await;
}

/// Guarded work goes on where the store was found whole on this run of the server, and nowhere else.
async fn vouched(redis: &Redis, ente: &str) {
    let (cases, rebuilds) = (CaseStore::guarded(redis.clone()), Rebuilds::new(redis.clone()));
    let claim = async || cases.claim(ente, 1, 1_000, (10, None)).await;
    assert!(matches!(claim().await, Err(StoreError::Lost)), "nobody has vouched for it yet");
    let run = rebuilds.run().await.unwrap();
    let mark_ms = rebuilds.whole(ente, &run).await.unwrap();
    claim().await.unwrap();
    let standing = rebuilds.standing(ente).await.unwrap();
    assert!(standing.is_vouched && standing.mark_ms >= Some(mark_ms), "{standing:?}");
    let other = redis::cmd("SET").arg(format!("pm:{{{ente}}}:run")).arg("another").to_owned();
    other.query_async::<()>(&mut redis.connection()).await.unwrap();
    assert!(matches!(claim().await, Err(StoreError::Lost)), "found whole on another run");
    rebuilds.distrust(ente).await.unwrap();
    let standing = rebuilds.standing(ente).await.unwrap();
    assert!(!standing.is_vouched && standing.mark_ms <= Some(-mark_ms), "{standing:?}");
}

/// The register of [`CASE`]'s ente: entered in any order, by one process at a time.
pub(crate) async fn register(redis: &Redis, ente: &str) {
    let register = Register::new(redis.clone());
    let page = |day, mark| Page { case: CASE, day, marks: vec![([1; 4], mark), ([2; 4], Mark::Open)] };
    let empty = register.stand(ente).await.unwrap();
    assert_eq!(empty, Stand::default());
    assert_eq!(register.strangers(ente, &[CASE]).await.unwrap(), [CASE]);
    let once = empty.next([3, 4]);
    assert!(register.enter(ente, (empty, once), &[page(300, Mark::Sent)]).await.unwrap());
    let twice = once.next([5, 4]);
    // Older and of less than is known: it changes nothing. Nor does a process that is not up to date.
    assert!(register.enter(ente, (once, twice), &[page(2, Mark::Open)]).await.unwrap());
    assert!(!register.enter(ente, (once, twice), &[page(9, Mark::Sent)]).await.unwrap());
    assert_eq!(register.stand(ente).await.unwrap(), twice);
    let mut occupied = Occupied::default();
    occupied.note(&CASE);
    for (mut walk, cases) in [(Walk::default(), vec![CASE]), (Walk::through(&occupied), vec![])] {
        let (mut pages, mut linked) = (Vec::new(), Vec::new());
        while let Some(listed) = register.list(ente, &mut walk).await.unwrap() {
            pages.extend(listed.pages);
            linked.extend(listed.linked);
        }
        assert_eq!((pages, linked), (vec![page(300, Mark::Sent)], cases));
    }
    assert!(register.strangers(ente, &[CASE]).await.unwrap().is_empty());
    assert_eq!(register.compared(ente).await.unwrap(), None);
    let compared = Compared { difference: 2, at_ms: 1_800_000_000_000 };
    register.note(ente, compared).await.unwrap();
    assert_eq!(register.compared(ente).await.unwrap(), Some(compared));
    register.forget(ente, &CASE).await.unwrap();
    assert_eq!(register.strangers(ente, &[CASE]).await.unwrap(), [CASE]);
}

/// What waits and is in no set goes back to where its progress says; what has no case is taken out.
pub(crate) async fn schedule(redis: &Redis, ente: &str) {
    let schedule = Schedule::new(redis.clone());
    let member = |case, slot| Member { case, slot, kind: Kind::Message };
    let key = |name: &str| format!("pm:{{{ente}}}:{name}");
    let (mut connection, now_ms) = (redis.connection(), redis.now_ms().await.unwrap());
    let state = [key("s:").as_bytes(), &CASE].concat();
    for (slot, progress) in [(11u16, "A|1|0"), (12, "I|1|0||t"), (13, "D|1|0|timeout|77||"), (14, "E|1|0")] {
        let mut set = redis::cmd("HSET");
        set.arg(&state).arg(&slot.to_be_bytes()[..]).arg(progress);
        set.query_async::<()>(&mut connection).await.unwrap();
    }
    let members = [10, 11, 12, 13].map(|slot| member(CASE, slot));
    assert_eq!(schedule.unplaced(ente, &members).await.unwrap(), members);
    let waiting = |slot, seen: &str| Waiting {
        member: member(CASE, slot),
        seen: RawProgress(seen.to_owned()),
        due_ms: now_ms + 60_000,
        useful_until_ms: None,
    };
    let all = [
        waiting(10, ""),
        waiting(11, "A|1|0"),
        waiting(12, "I|1|0||t"),
        waiting(13, "D|1|0|timeout|77||"),
        // It went on meanwhile.
        waiting(14, ""),
    ];
    assert_eq!(schedule.put_back(ente, &all).await.unwrap(), 4);
    assert_eq!(schedule.put_back(ente, &all).await.unwrap(), 0, "they are there");
    assert!(schedule.unplaced(ente, &members).await.unwrap().is_empty());
    for (set, slot) in [("due", 10), ("due", 11), ("fly", 12), ("doubt", 13)] {
        let mut score = redis::cmd("ZSCORE");
        score.arg(key(set)).arg(&member(CASE, slot).bytes()[..]);
        assert!(score.query_async::<Option<f64>>(&mut connection).await.unwrap().is_some(), "{set} {slot}");
    }
    // More than a page of one instant.
    let orphans: Vec<Member> = (0..2_500).map(|slot| member([9; 12], slot)).collect();
    for some in orphans.chunks(500) {
        let mut add = redis::cmd("ZADD");
        add.arg(key("due"));
        for orphan in some {
            add.arg(now_ms + 60_000).arg(&orphan.bytes()[..]);
        }
        add.query_async::<()>(&mut connection).await.unwrap();
    }
    assert_eq!(schedule.orphans(ente, false).await.unwrap(), orphans);
    assert_eq!(schedule.orphans(ente, true).await.unwrap(), orphans);
    assert!(schedule.orphans(ente, false).await.unwrap().is_empty());
    assert!(schedule.unplaced(ente, &members).await.unwrap().is_empty(), "what has a case stays");
}

/// The case of every ente here.
pub(crate) const CASE: [u8; 12] = [7; 12];

/// An event that plans two messages, due now; then the same event again. Returns the store's clock.
pub(crate) async fn commit_two(redis: &Redis, ente: &str) -> Result<i64, StoreError> {
    let (cases, id) = (CaseStore::new(redis.clone()), CASE);
    let event = event_key("https://ente.example.it", ente);
    let loaded = cases.load(ente, Some(&event), &[id], &[[1; 8]]).await.unwrap();
    assert!(loaded.seen.is_none() && !loaded.units[0].known);
    let planned = |slot| Planned {
        slot,
        rule: "promemoria".to_owned(),
        thing: String::new(),
        firing: 0,
        anchor: String::new(),
        cycle: slot,
        due_ms: loaded.now_ms - 1_000 + i64::from(slot),
        useful_until_ms: None,
        held_until_ms: None,
        event: "e".to_owned(),
        changed_by: None,
        is_timer: true,
        standing: Standing::Armed,
    };
    let case = Case { planned: vec![planned(1), planned(2)], next_slot: 3, ..Case::default() };
    let actions = [Action::Arm { slot: 1 }, Action::Arm { slot: 2 }];
    let commit = Commit {
        event: Some((event, b"remembered")),
        units: vec![(&loaded.units[0], &case, &actions)],
        persons: vec![([1; 8], &[], None, vec![id])],
        propagate: true,
    };
    assert_eq!(cases.commit(ente, &commit).await?, Committed::Done);
    assert_eq!(cases.commit(ente, &commit).await?, Committed::Seen(b"remembered".to_vec()));
    Ok(loaded.now_ms)
}

/// The first emission of a message of [`CASE`].
pub(crate) fn message(ente: &str, slot: u16) -> MessageRef {
    MessageRef {
        ente: ente.to_owned(),
        servizio: "s".to_owned(),
        pratica: "p".to_owned(),
        messaggio: "promemoria".to_owned(),
        chiave: "k".to_owned(),
        evento: "e".to_owned(),
        caso: hex(&CASE),
        slot,
        attempt: 1,
        traceparent: None,
    }
}

/// Fence, send, status: each may be said twice.
pub(crate) async fn send_one(redis: &Redis, ente: &str) {
    let ledger = RedisLedger::new(redis.clone());
    let message = message(ente, 1);
    let intent = Intent { token: "try".to_owned(), lasts: Duration::from_mins(1) };
    for _ in 0..2 {
        assert_eq!(ledger.fence(&message, &intent).await.unwrap(), Fence::Go);
    }
    let sent = Settlement::Sent {
        io_id: Some("io".to_owned()),
        level: Level::Standard,
        ripiego: false,
        follow: true,
        inviato_ms: 0,
    };
    for _ in 0..2 {
        assert_eq!(ledger.settle(&message, &sent).await.unwrap(), Settled::Recorded);
    }
    assert!(matches!(ledger.fence(&message, &intent).await.unwrap(), Fence::Settled(_)));
    assert_eq!(ledger.history(&message).await.unwrap().doubts, 0);
}

/// The other message is in doubt; an operator gives it up.
pub(crate) async fn decide_other(redis: &Redis, ente: &str) {
    let inspector = Inspector::new(redis.clone());
    let window = Window { from_ms: None, until_ms: None, skip: 0, most: 10 };
    let page = inspector.page(ente, Shelf::Doubt, window).await.unwrap();
    assert_eq!((page.total, page.entries[0].member.slot), (1, 2));
    assert_eq!(RedisLedger::new(redis.clone()).in_doubt(ente).await.unwrap(), 1);
    let seen = &page.entries[0];
    assert_eq!(seen.member.kind, Kind::Message);
    let decided = inspector.decide(ente, seen.member, &seen.progress, Decision::Drop).await.unwrap();
    assert!(decided.is_some());
    let tally = async || {
        let tally = inspector.tally(ente, 0).await.unwrap();
        (tally.due, tally.in_flight, tally.in_doubt)
    };
    // The status of the message that was sent waits in the schedule, and the telling of this one's end.
    assert_eq!(tally().await, (2, 0, 0));
    inspector.told(ente, seen.member).await.unwrap();
    assert_eq!(tally().await, (1, 0, 0));
}

pub(crate) async fn budget(redis: &Redis, account: &str) {
    let quota = RedisQuota::new(redis.connection(), redis.prefix());
    let grant = quota.take(account, 40, Wanted { calls: 5, first: 0, by: "one" }).await.unwrap();
    assert_eq!((grant.granted, grant.left), (5, 35));
    quota.observe(account, 40, &grant, 10).await.unwrap();
    quota.pause(account, Duration::from_millis(1)).await.unwrap();
    assert_eq!(quota.take(account, 40, Wanted { calls: 0, first: 0, by: "one" }).await.unwrap().left, 10);
}
