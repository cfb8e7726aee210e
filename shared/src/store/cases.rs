//! Cases and the schedule, as the scheduler uses them.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::Value;

use super::changes::{armed_changes, change};
use super::keys::{CaseId, Kind, Member};
use super::progress::RawProgress;
use super::redis_ledger::assumed;
pub use super::stored::encode;
use super::stored::{decode, next_record, read_case};
pub use super::unit::Unit;
use super::unit::unit;
use super::{Redis, StoreError};
use crate::domain::case::{Case, EventKey, PersonKey, Things};
use crate::domain::catalogue::Ruling;
use crate::domain::plan::Action;
use crate::formats::STORE;

/// The scheduler's side of the store.
#[derive(Clone)]
pub struct CaseStore {
    redis: Redis,
    guarded: bool,
}

/// What the store knows of an event's cases and persons.
#[derive(Debug)]
pub struct Loaded {
    /// The store's clock, Unix milliseconds.
    pub now_ms: i64,
    /// What is remembered of the event, if it was taken before.
    pub seen: Option<Vec<u8>>,
    /// The cases asked for, in order.
    pub units: Vec<Unit>,
    /// The facts of the persons asked for, in order, with their stored form.
    pub persons: Vec<(Things, Vec<u8>)>,
}

/// A person: key, facts as loaded, new facts if they changed, cases to link.
pub type PersonChange<'a> = (PersonKey, &'a [u8], Option<Vec<u8>>, Vec<CaseId>);

/// What a planning decided, to be written as one.
pub struct Commit<'a> {
    /// The event's key and what to remember of it; none for a case that is merely looked at again.
    pub event: Option<(EventKey, &'a [u8])>,
    /// Cases with their changes.
    pub units: Vec<(&'a Unit, &'a Case, &'a [Action])>,
    /// Persons.
    pub persons: Vec<PersonChange<'a>>,
    /// Every other case of those persons is to be looked at again.
    pub propagate: bool,
}

/// How a commit ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Committed {
    /// Written.
    Done,
    /// The event was taken meanwhile; what is remembered of it.
    Seen(Vec<u8>),
    /// Something changed since it was loaded: load and plan again.
    Conflict,
}

/// One entry of the schedule that is due and now ours for a while.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// What it is.
    pub member: Member,
    /// When it was due, Unix milliseconds.
    pub due_ms: i64,
    /// Number of this emission.
    pub emission: u32,
    /// The case, if it is still there and can be read.
    pub case: Option<Arc<Case>>,
    /// It is there and cannot be read: another build may. Leave it to its lease.
    pub is_unreadable: bool,
    /// How far the message has come.
    pub progress: RawProgress,
}

/// A claim.
#[derive(Debug)]
pub struct Claim {
    /// The store's clock, Unix milliseconds.
    pub now_ms: i64,
    /// IO refuses Premium for this ente for now.
    pub standard_only: bool,
    /// Entries in flight before this claim.
    pub in_flight: u64,
    /// What is ours now.
    pub entries: Vec<Claimed>,
}

/// What of an ente's schedule is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Entries whose instant has come and which nobody has claimed.
    pub due: i64,
    /// Entries until the end of the ente's day, and those in flight.
    pub today: i64,
    /// Instant of the earliest entry, Unix milliseconds.
    pub next_ms: Option<i64>,
}

impl CaseStore {
    /// On a connection. It takes the store as it is.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, guarded: false }
    }

    /// On a connection, for a process that plans and emits: [`StoreError::Lost`] where the store lost
    /// something.
    #[must_use]
    pub fn guarded(redis: Redis) -> Self {
        Self { redis, guarded: true }
    }

    /// The lowest mark of a whole store, as the scripts take it.
    fn least(&self, ente: &str) -> String {
        if self.guarded { self.redis.marks().least(ente).to_string() } else { String::new() }
    }

    /// The connection.
    #[must_use]
    pub fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Reads cases, persons' facts and what is remembered of an event, at one instant.
    pub async fn load(
        &self,
        ente: &str,
        event: Option<&EventKey>,
        cases: &[CaseId],
        persons: &[PersonKey],
    ) -> Result<Loaded, StoreError> {
        let mut call = self.redis.scripts.load.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(event.map_or(&[][..], |key| &key[..])).arg(cases.len());
        for id in cases {
            call.arg(&id[..]);
        }
        call.arg(persons.len());
        for person in persons {
            call.arg(&person[..]);
        }
        let mut connection = self.redis.pinned().await?;
        call.arg(self.least(ente)).arg(&*connection.run()).arg(STORE.newest());
        let answer = call.invoke_async(&mut connection).await.map_err(StoreError::from_redis)?;
        let (now_ms, seen, stored, facts, whole, format): StoredCases = answer;
        STORE.check_newest(format)?;
        if whole == 0 {
            self.redis.marks().lost(ente);
            return Err(StoreError::Lost);
        }
        let units = cases.iter().zip(stored).map(|(id, (blob, progress))| unit(*id, blob, &progress));
        let persons = facts.into_iter().map(|facts| {
            let stored = facts.unwrap_or_default();
            let things = if stored.is_empty() { Things::new() } else { decode(&stored)? };
            Ok((things, stored))
        });
        Ok(Loaded {
            now_ms,
            seen,
            units: units.collect::<Result<_, StoreError>>()?,
            persons: persons.collect::<Result<_, StoreError>>()?,
        })
    }

    /// Writes what planning decided, all of it or nothing.
    pub async fn commit(&self, ente: &str, commit: &Commit<'_>) -> Result<Committed, StoreError> {
        let mut call = self.redis.scripts.commit.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(STORE.newest()).arg(STORE.written());
        let (key, remember) = commit.event.unwrap_or(([0; 12], &[]));
        call.arg(if commit.event.is_some() { &key[..] } else { &[] }).arg(remember);
        call.arg(commit.units.len());
        for (unit, case, actions) in &commit.units {
            call.arg(&unit.id[..]).arg(&unit.revision).arg(next_record(unit, case)?);
            let changes: Vec<_> = actions.iter().filter_map(|a| change(unit, case, *a)).collect();
            call.arg(changes.len());
            for (verb, slot, progress, due) in changes {
                call.arg(verb).arg(&slot.to_be_bytes()[..]).arg(progress).arg(due);
            }
        }
        call.arg(commit.persons.len());
        for (person, loaded, facts, links) in &commit.persons {
            call.arg(&person[..]).arg(*loaded).arg(facts.as_deref().unwrap_or_default()).arg(links.len());
            for id in links {
                call.arg(&id[..]);
            }
        }
        call.arg(u8::from(commit.propagate));
        let armed = armed_changes(commit);
        call.arg(armed.len());
        for (rule, difference) in armed {
            call.arg(rule).arg(difference);
        }
        let answer: Vec<Value> = self.redis.run(&call).await?;
        committed(&answer)
    }

    /// How many timers of an ente are armed, by message type or office timer.
    pub async fn armed(&self, ente: &str) -> Result<BTreeMap<String, i64>, StoreError> {
        let mut connection = self.redis.connection();
        let key = format!("{}armed", self.redis.ente(ente));
        redis::cmd("HGETALL").arg(key).query_async(&mut connection).await.map_err(StoreError::from_redis)
    }

    /// What of an ente's schedule is near; its day ends at `day_end_ms`.
    pub async fn horizon(&self, ente: &str, day_end_ms: i64) -> Result<Horizon, StoreError> {
        let mut call = self.redis.scripts.horizon.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(day_end_ms);
        let (due, today, next_ms) = self.redis.run::<(i64, i64, i64)>(&call).await?;
        Ok(Horizon { due, today, next_ms: (next_ms >= 0).then_some(next_ms) })
    }

    /// Notes that timers of these rules are no longer armed, because they fell due.
    pub async fn fell_due(&self, ente: &str, rules: &BTreeMap<String, i64>) -> Result<(), StoreError> {
        if rules.is_empty() {
            return Ok(());
        }
        let mut call = self.redis.scripts.fell_due.prepare_invoke();
        call.key(self.redis.ente(ente));
        for (rule, count) in rules {
            call.arg(rule).arg(count);
        }
        let _: i64 = self.redis.run(&call).await?;
        Ok(())
    }

    /// Claims up to `limit` due entries of an ente for `lease_ms`, keeping at most `most` in flight; none if
    /// the store's clock is more than 30 s from `clock_ms`, Unix milliseconds.
    pub async fn claim(
        &self,
        ente: &str,
        limit: usize,
        lease_ms: i64,
        (most, clock_ms): (usize, Option<i64>),
    ) -> Result<Claim, StoreError> {
        let mut call = self.redis.scripts.claim.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(limit).arg(lease_ms).arg(most).arg(self.least(ente));
        let mut connection = self.redis.pinned().await?;
        call.arg(clock_ms.map_or_else(String::new, |ms| ms.to_string())).arg(STORE.newest());
        call.arg(&*connection.run());
        let answer = call.invoke_async(&mut connection).await.map_err(StoreError::from_redis)?;
        let (now_ms, standard, in_flight, entries, mark): StoredClaim = answer;
        STORE.check_newest(u64::try_from(-1 - mark).unwrap_or(0))?;
        if mark < 0 {
            self.redis.marks().lost(ente);
            return Err(StoreError::Lost);
        }
        if self.guarded && mark > 0 {
            self.redis.marks().whole(ente, mark);
        }
        let entries = entries.into_iter().filter_map(|(member, due, emission, blob, progress)| {
            let read = blob.as_deref().map(read_case);
            Some(Claimed {
                member: Member::parse(&member)?,
                #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit an i64")]
                due_ms: due.parse::<f64>().ok()? as i64,
                emission,
                is_unreadable: matches!(read, Some(Err(_))),
                case: read.and_then(Result::ok).map(|(_, case)| Arc::new(case)),
                progress: RawProgress(progress),
            })
        });
        Ok(Claim { now_ms, standard_only: standard == 1, in_flight, entries: entries.collect() })
    }

    /// Ends an entry that needs no sending: an office timer that was told, a message that is not sent.
    /// `what` is what the store remembers of it. Returns whether it was still ours.
    pub async fn finish(&self, ente: &str, entry: &Claimed, what: &str) -> Result<bool, StoreError> {
        self.settle(ente, entry, &["OVER", what, "-1", "0"]).await
    }

    /// Puts an entry back into the schedule, to be claimed again after `after_ms`.
    pub async fn put_back(&self, ente: &str, entry: &Claimed, after_ms: i64) -> Result<bool, StoreError> {
        let after = after_ms.to_string();
        match entry.member.kind {
            Kind::Message => self.settle(ente, entry, &["AGAIN", &after, "0", "0"]).await,
            Kind::Follow | Kind::Replan => self.settle(ente, entry, &["LATER", &after]).await,
        }
    }

    /// Records what is to happen to a message of which nobody knows whether it was sent: it is due again, or
    /// given up, after so many milliseconds.
    pub async fn rule(
        &self,
        ente: &str,
        entry: &Claimed,
        why: &str,
        (ruling, after_ms): (Ruling, i64),
    ) -> Result<bool, StoreError> {
        let after = after_ms.max(0).to_string();
        match ruling {
            Ruling::Hold => self.settle(ente, entry, &["DOUBT", why, "-1", ""]).await,
            Ruling::Resend => self.settle(ente, entry, &["DOUBT", why, &after, ""]).await,
            Ruling::ExpireAt(_) => self.settle(ente, entry, &["DOUBT", why, &after, "x"]).await,
            // Whether it went STANDARD for want of Premium is not known: the case is looked at again.
            Ruling::AssumeSent => {
                self.settle(ente, entry, &["OVER", &assumed(None, entry.emission), "-1", "1"]).await
            }
        }
    }

    /// Takes a looked-at-again entry out of the in-flight set.
    pub async fn done(&self, ente: &str, entry: &Claimed) -> Result<bool, StoreError> {
        self.settle(ente, entry, &["DONE"]).await
    }

    async fn settle(&self, ente: &str, entry: &Claimed, verb: &[&str]) -> Result<bool, StoreError> {
        let member = &entry.member;
        let mut call = self.redis.scripts.settle.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(&member.case[..]).arg(&member.slot.to_be_bytes()[..]);
        call.arg(&[member.kind.byte()][..]).arg(entry.emission);
        for part in verb {
            call.arg(*part);
        }
        let answer: Vec<Value> = self.redis.run(&call).await?;
        Ok(text(answer.first()) != "LATE")
    }
}

type StoredCases =
    (i64, Option<Vec<u8>>, Vec<(Option<Vec<u8>>, Vec<Vec<u8>>)>, Vec<Option<Vec<u8>>>, u8, u64);
type StoredClaim = (i64, u8, u64, Vec<(Vec<u8>, String, u32, Option<Vec<u8>>, String)>, i64);

fn committed(answer: &[Value]) -> Result<Committed, StoreError> {
    match text(answer.first()).as_str() {
        "OK" => Ok(Committed::Done),
        "SEEN" => Ok(Committed::Seen(match answer.get(2) {
            Some(Value::BulkString(bytes)) => bytes.clone(),
            _ => Vec::new(),
        })),
        "CONFLICT" => Ok(Committed::Conflict),
        "FOREIGN" => match STORE.check_newest(text(answer.get(2)).parse().unwrap_or(u64::MAX)) {
            Err(foreign) => Err(foreign.into()),
            Ok(()) => Ok(Committed::Conflict), // the format went back meanwhile: load again
        },
        _ => Err(StoreError::Unreadable("answer of a commit")),
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::SimpleString(text)) => text.clone(),
        _ => String::new(),
    }
}
