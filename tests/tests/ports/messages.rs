//! One message through random steps, in the model and in Redis: after each step both must stand the same.
//!
//! The steps are everything that schedulers, dispatchers, planning and operators do, in any order and as often
//! as chance wants: redelivered, repeated, late, after a crash (a step that does not come) and after a lease
//! that ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::aio::MultiplexedConnection;
use shared::domain::case::{Case, Planned, Progress, Standing};
use shared::domain::catalogue::InDubbio;
use shared::domain::hex;
use shared::domain::message_state::{Event, Message, Next, Outcome};
use shared::domain::plan::Action;
use shared::store::inspect::{DROPPED, Decision, Inspector};
use shared::store::keys::{CaseId, Kind, Member, ente_prefix};
use shared::store::ledger::{Fence, Intent, Ledger, Settlement};
use shared::store::progress::RawProgress;
use shared::store::{CaseStore, Commit, Committed, Options, Place, Redis, RedisLedger, StoreError, Tls};
use shared::wire::{Level, MessageRef};
use tests::brokers::Brokers;

use crate::shared_brokers;

const PREFIX: &str = "test-messages";
const CASE: CaseId = [7; 12];
/// Longer than a test: what ends, ends because a step says so.
pub(crate) const LONG: Duration = Duration::from_hours(1);
const LONG_MS: i64 = 3_600_000;

/// A step; emissions are counted back from the last one.
#[derive(Debug, Clone)]
enum Step {
    Moved,
    Cancelled,
    Claimed,
    LeaseEnded,
    Fenced(u32, &'static str),
    Settled(u32, Outcome),
    TurnedBack(u32, Outcome),
    Withdrawn(u32, &'static str),
    Resent,
    Dropped,
}

fn step() -> impl Strategy<Value = Step> {
    let back = || prop_oneof![6 => Just(0_u32), 1 => Just(1), 1 => Just(2)];
    let level = || "STANDARD".to_owned();
    let next = prop_oneof![Just(Next::Held), Just(Next::SentAgain), Just(Next::GivenUp)];
    let outcome = prop_oneof![
        2 => Just(Outcome::Sent(level(), "01HMVM9W74RWH93NT1EYNKKNNR".to_owned())),
        1 => Just(Outcome::Sent(level(), String::new())),
        1 => Just(Outcome::Assumed(level())),
        1 => Just(Outcome::NotSent("scartato|annullato".to_owned())),
        1 => Just(Outcome::NotSent("fallito|io-structure".to_owned())),
        6 => next.prop_map(|next| Outcome::Unknown("timeout".to_owned(), next)),
        4 => any::<(bool, bool)>().prop_map(|(counts, called)| Outcome::Again { counts, called }),
    ];
    let turned_back = prop_oneof![
        Just(Outcome::Again { counts: false, called: false }),
        Just(Outcome::NotSent("scartato|annullato".to_owned())),
    ];
    prop_oneof![
        1 => Just(Step::Moved),
        1 => Just(Step::Cancelled),
        8 => Just(Step::Claimed),
        6 => Just(Step::LeaseEnded),
        8 => (back(), prop_oneof![Just("one"), Just("two")]).prop_map(|(back, token)| Step::Fenced(back, token)),
        6 => (back(), outcome).prop_map(|(back, outcome)| Step::Settled(back, outcome)),
        2 => (back(), prop_oneof![Just("one"), Just("two")]).prop_map(|(back, token)| Step::Withdrawn(back, token)),
        3 => (back(), turned_back).prop_map(|(back, outcome)| Step::TurnedBack(back, outcome)),
        1 => Just(Step::Resent),
        1 => Just(Step::Dropped),
    ]
}

/// One message of an ente of its own, in Redis.
pub(crate) struct Real {
    ente: String,
    cases: CaseStore,
    pub(crate) ledger: RedisLedger,
    inspector: Inspector,
    connection: MultiplexedConnection,
}

impl Real {
    pub(crate) async fn planned(redis: &Redis, connection: &MultiplexedConnection) -> Self {
        static ENTI: AtomicU64 = AtomicU64::new(0);
        let real = Self {
            ente: format!("ente-{}-{}", std::process::id(), ENTI.fetch_add(1, Ordering::Relaxed)),
            cases: CaseStore::new(redis.clone()),
            ledger: RedisLedger::new(redis.clone()),
            inspector: Inspector::new(redis.clone()),
            connection: connection.clone(),
        };
        assert!(real.commit(Action::Arm { slot: 0 }).await);
        real
    }

    /// As planning does, which leaves alone what may have left. Returns whether it did something.
    async fn commit(&self, action: Action) -> bool {
        let loaded = self.cases.load(&self.ente, None, &[CASE], &[]).await.unwrap();
        let unit = &loaded.units[0];
        if unit.progress(0) != Progress::Pending {
            return false;
        }
        let case = Case { planned: vec![planned(loaded.now_ms + LONG_MS)], next_slot: 1, ..Case::default() };
        let actions = [action];
        let commit = Commit {
            event: None,
            units: vec![(unit, &case, &actions)],
            persons: Vec::new(),
            propagate: false,
        };
        assert_eq!(self.cases.commit(&self.ente, &commit).await.unwrap(), Committed::Done);
        true
    }

    pub(crate) fn key(&self, name: &str) -> Vec<u8> {
        [ente_prefix(PREFIX, &self.ente).as_bytes(), name.as_bytes()].concat()
    }

    /// Moves the message's instant on a shelf to the past, if it is there.
    pub(crate) async fn let_come(&self, set: &str) {
        let mut command = redis::cmd("ZADD");
        command.arg(self.key(set)).arg("XX").arg(1).arg(&member()[..]);
        let _: i64 = command.query_async(&mut self.connection.clone()).await.unwrap();
    }

    async fn is_on(&self, set: &str) -> bool {
        self.instant(set).await.is_some()
    }

    /// The message's instant on a shelf, Unix milliseconds.
    pub(crate) async fn instant(&self, set: &str) -> Option<String> {
        let mut command = redis::cmd("ZSCORE");
        command.arg(self.key(set)).arg(&member()[..]);
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }

    /// Has the store forget what became of the message since.
    pub(crate) async fn roll_back(&self, progress: &RawProgress) {
        let mut command = redis::cmd("HSET");
        command.arg([&self.key("s:")[..], &CASE].concat()).arg(&[0_u8, 0][..]).arg(&progress.0);
        let _: i64 = command.query_async(&mut self.connection.clone()).await.unwrap();
    }

    pub(crate) async fn progress(&self) -> RawProgress {
        let mut key = self.key("s:");
        key.extend(CASE);
        let mut command = redis::cmd("HGET");
        command.arg(key).arg(&[0_u8, 0][..]);
        let progress: Option<String> = command.query_async(&mut self.connection.clone()).await.unwrap();
        RawProgress(progress.unwrap_or_default())
    }

    async fn message(&self) -> Message {
        let progress = self.progress().await;
        Message {
            state: progress.state().unwrap_or_else(|| panic!("{progress:?}")),
            due: self.is_on("due").await,
            in_flight: self.is_on("fly").await,
            shown: self.is_on("doubt").await,
        }
    }

    pub(crate) fn reference(&self, emission: u32) -> MessageRef {
        MessageRef {
            ente: self.ente.clone(),
            servizio: "s".to_owned(),
            pratica: "p".to_owned(),
            messaggio: "m".to_owned(),
            chiave: "k".to_owned(),
            evento: "e".to_owned(),
            caso: hex(&CASE),
            slot: 0,
            attempt: emission,
            traceparent: None,
        }
    }

    /// Does the step; where Redis itself says whether it was refused, returns that.
    pub(crate) async fn on(&self, event: &Event) -> Option<bool> {
        match event {
            Event::Moved => return Some(self.commit(Action::Move { slot: 0 }).await),
            Event::Cancelled => return Some(self.commit(Action::Cancel { slot: 0 }).await),
            Event::Claimed => {
                self.let_come("due").await;
                self.cases.claim(&self.ente, 10, LONG_MS, (1_000, None)).await.unwrap();
            }
            Event::LeaseEnded => {
                self.let_come("fly").await;
                // No room: what is due stays due, as it does behind a long queue.
                self.cases.claim(&self.ente, 10, LONG_MS, (0, None)).await.unwrap();
            }
            Event::Fenced(emission, token) => {
                let intent = Intent { token: token.clone(), lasts: LONG };
                let fence = self.ledger.fence(&self.reference(*emission), &intent).await.unwrap();
                return Some(fence == Fence::Go);
            }
            Event::Settled(emission, outcome) => {
                let settlement = settlement(outcome);
                // Of what was never emitted there is no record: the ledger takes it for lost, and changes nothing.
                match self.ledger.settle(&self.reference(*emission), &settlement).await {
                    Ok(_) | Err(StoreError::Lost) => {}
                    Err(failure) => panic!("{failure}"),
                }
            }
            Event::TurnedBack(emission, outcome) => {
                let settlement = settlement(outcome);
                match self.ledger.turn_back(&self.reference(*emission), &settlement).await {
                    Ok(_) | Err(StoreError::Lost) => {}
                    Err(failure) => panic!("{failure}"),
                }
            }
            Event::Withdrawn(emission, token) => {
                match self.ledger.withdraw(&self.reference(*emission), token, LONG).await {
                    Ok(_) | Err(StoreError::Lost) => {}
                    Err(failure) => panic!("{failure}"),
                }
            }
            Event::Resent => return Some(self.decide(Decision::Resend).await),
            Event::Dropped(_) => return Some(self.decide(Decision::Drop).await),
        }
        None
    }

    async fn decide(&self, decision: Decision) -> bool {
        let seen = self.progress().await;
        let member = Member { case: CASE, slot: 0, kind: Kind::Message };
        seen.is_in_doubt()
            && self.inspector.decide(&self.ente, member, &seen, decision).await.unwrap().is_some()
    }
}

fn member() -> Vec<u8> {
    [&CASE[..], &[0, 0], &[Kind::Message.byte()]].concat()
}

fn planned(due_ms: i64) -> Planned {
    Planned {
        slot: 0,
        rule: "m".to_owned(),
        thing: "t".to_owned(),
        firing: 0,
        anchor: String::new(),
        cycle: 0,
        due_ms,
        useful_until_ms: None,
        held_until_ms: None,
        event: "e".to_owned(),
        changed_by: None,
        is_timer: true,
        standing: Standing::Armed,
    }
}

fn settlement(outcome: &Outcome) -> Settlement {
    match outcome {
        Outcome::Sent(_, io_id) => Settlement::Sent {
            io_id: Some(io_id.clone()).filter(|id| !id.is_empty()),
            level: Level::Standard,
            ripiego: false,
            follow: false,
            inviato_ms: 0,
        },
        Outcome::Assumed(_) => {
            Settlement::Assumed { level: Some(Level::Standard), ripiego: false, inviato_ms: 0 }
        }
        Outcome::NotSent(what) => match what.split_once('|') {
            Some(("scartato", motivo)) => Settlement::Discarded { motivo: motivo.to_owned().into() },
            Some((_, codice)) => Settlement::Failed { codice: codice.to_owned().into() },
            None => panic!("{what}"),
        },
        Outcome::Unknown(why, next) => {
            let (politica, after) = match next {
                Next::Held => (InDubbio::Hold, None),
                Next::SentAgain => (InDubbio::Resend, Some(LONG)),
                Next::GivenUp => (InDubbio::Expire, Some(LONG)),
            };
            Settlement::InDoubt { politica, evidence: why.clone().into(), tentativo: 1, after }
        }
        Outcome::Again { counts, called } => {
            Settlement::Retry { after: LONG, burns_attempt: *counts, called: *called }
        }
    }
}

/// The step as the model takes it.
fn event(step: &Step, emission: u32) -> Event {
    match step {
        Step::Moved => Event::Moved,
        Step::Cancelled => Event::Cancelled,
        Step::Claimed => Event::Claimed,
        Step::LeaseEnded => Event::LeaseEnded,
        Step::Fenced(back, token) => Event::Fenced(emission.saturating_sub(*back), (*token).to_owned()),
        Step::Settled(back, outcome) => Event::Settled(emission.saturating_sub(*back), outcome.clone()),
        Step::TurnedBack(back, outcome) => Event::TurnedBack(emission.saturating_sub(*back), outcome.clone()),
        Step::Withdrawn(back, token) => Event::Withdrawn(emission.saturating_sub(*back), (*token).to_owned()),
        Step::Resent => Event::Resent,
        Step::Dropped => Event::Dropped(DROPPED.to_owned()),
    }
}

async fn walk(
    redis: &Redis,
    connection: &MultiplexedConnection,
    steps: &[Step],
) -> Result<(), TestCaseError> {
    let real = Real::planned(redis, connection).await;
    let mut model = Message::default();
    let mut emission = 0;
    for (place, step) in steps.iter().enumerate() {
        let event = event(step, emission);
        let after = model.on(&event);
        let went = real.on(&event).await;
        if let Some(went) = went {
            prop_assert_eq!(went, after.is_ok(), "step {} {:?} from {:?}", place, event, model);
        }
        let before = model.clone();
        model = after.unwrap_or(model);
        prop_assert_eq!(&real.message().await, &model, "step {} {:?} from {:?}", place, event, before);
        emission = emission.max(real.progress().await.emissions());
    }
    Ok(())
}

/// The shared Redis: the fleet's connection to it, and a bare one.
pub(crate) async fn connected() -> (Arc<Brokers>, Redis, MultiplexedConnection) {
    let brokers = shared_brokers().await;
    let options = Options {
        url: brokers.redis_url().to_owned().into(),
        place: Place::Single,
        response_timeout: Duration::from_secs(10),
        tls: Tls::default(),
        prefix: PREFIX.to_owned(),
    };
    let client = redis::Client::open(brokers.redis_url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    (brokers, Redis::connect(&options).await.unwrap(), connection)
}

#[test]
fn redis_and_the_model_stand_the_same_after_every_step() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_brokers, redis, connection) = runtime.block_on(connected());
    let mut runner = TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let walked = runner.run(&proptest::collection::vec(step(), 1..50), |steps| {
        runtime.block_on(walk(&redis, &connection, &steps))
    });
    if let Err(failure) = walked {
        panic!("{failure}");
    }
}
