//! What an operator asks of the store: what is armed, what is in doubt, how Redis is doing.

use std::collections::BTreeSet;

use redis::Value;

use super::CaseStore;
use super::keys::{CaseId, Kind, Member};
use super::progress::RawProgress;
use super::retention::{BUCKETS, STRIDE};
pub use super::server::{Server, Weakness};
use super::stored::read_case;
use super::{Redis, StoreError};
use crate::domain::case::Case;

/// The operator's side of the store.
#[derive(Clone)]
pub struct Inspector {
    redis: Redis,
}

/// One of an ente's sorted sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// The schedule, by due instant.
    Due,
    /// Emitted and not yet settled, by the end of the lease.
    InFlight,
    /// In doubt and kept for an operator, by the instant at which the doubt arose.
    Doubt,
}

impl Shelf {
    fn key(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::InFlight => "fly",
            Self::Doubt => "doubt",
        }
    }
}

/// Which part of a shelf to look at.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// First instant, Unix milliseconds; none for the beginning.
    pub from_ms: Option<i64>,
    /// Last instant, Unix milliseconds; none for the end.
    pub until_ms: Option<i64>,
    /// Entries to skip.
    pub skip: u64,
    /// Most entries. Each costs two reads in one script: a few hundred stay well below 20 ms.
    pub most: u64,
}

/// An entry of a shelf.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What it is.
    pub member: Member,
    /// Its instant on that shelf, Unix milliseconds.
    pub at_ms: i64,
    /// Its case, if it is there and can be read.
    pub case: Option<Case>,
    /// How far the message has come.
    pub progress: RawProgress,
}

/// A page of a shelf.
#[derive(Debug)]
pub struct Page {
    /// The store's clock, Unix milliseconds.
    pub now_ms: i64,
    /// Entries in the window, whatever the page holds.
    pub total: u64,
    /// The page, earliest first.
    pub entries: Vec<Seen>,
}

/// How an ente's schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// The store's clock, Unix milliseconds.
    pub now_ms: i64,
    /// Entries in the schedule.
    pub due: u64,
    /// Those of them that nobody took in time.
    pub late: u64,
    /// Entries in flight.
    pub in_flight: u64,
    /// Entries in doubt.
    pub in_doubt: u64,
}

/// What an operator decides on a message in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It goes again, now.
    Resend,
    /// It is given up.
    Drop,
}

pub use crate::domain::failure::{DROPPED, EXPIRED};

/// How long whoever gives a message up has to tell it, milliseconds: six times what the
/// broker has for a confirm (`amqp.publish_timeout`).
const TELL_WITHIN_MS: i64 = 60_000;

impl Inspector {
    /// On a connection.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Looks at a page of a shelf. An entry that is not one of ours is left out.
    pub async fn page(&self, ente: &str, set: Shelf, window: Window) -> Result<Page, StoreError> {
        let bound = |ms: Option<i64>, open: &str| ms.map_or_else(|| open.to_owned(), |ms| ms.to_string());
        let mut call = self.redis.scripts.peek.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(set.key());
        call.arg(bound(window.from_ms, "-inf")).arg(bound(window.until_ms, "+inf"));
        call.arg(window.skip).arg(window.most);
        let (now_ms, total, entries): StoredPage = self.redis.run(&call).await?;
        let entries = entries.into_iter().filter_map(|(member, score, blob, progress)| {
            Some(Seen {
                member: Member::parse(&member)?,
                #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 fit an i64")]
                at_ms: score.parse::<f64>().ok()? as i64,
                case: blob.and_then(|blob| read_case(&blob).ok()).map(|(_, case)| case),
                progress: RawProgress(progress),
            })
        });
        Ok(Page { now_ms, total, entries: entries.collect() })
    }

    /// The keys of an ente's cases. It asks for every case once: for an operator's question, not for every
    /// minute.
    pub async fn cases(&self, ente: &str) -> Result<Vec<CaseId>, StoreError> {
        let store = CaseStore::new(self.redis.clone());
        let mut found = BTreeSet::new();
        for first in (0..BUCKETS).step_by(STRIDE as usize) {
            let listed = store.list(ente, first, STRIDE).await?;
            found.extend(listed.entries.into_iter().filter_map(|(_, case)| case));
        }
        Ok(found.into_iter().collect())
    }

    /// Counts the schedule. What is due for longer than `late_ms` and not taken is late.
    pub async fn tally(&self, ente: &str, late_ms: i64) -> Result<Tally, StoreError> {
        let mut call = self.redis.scripts.tally.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(late_ms);
        let (now_ms, due, late, in_flight, in_doubt) = self.redis.run(&call).await?;
        Ok(Tally { now_ms, due, late, in_flight, in_doubt })
    }

    /// Writes a decision on a message that stands as `seen`. Returns how it stands afterwards, or `None` if
    /// it changed meanwhile and nothing was written.
    ///
    /// Who gives a message up tells its ente and then says so ([`Inspector::told`]); if that does not come within a
    /// minute, a scheduler tells it.
    pub async fn decide(
        &self,
        ente: &str,
        member: Member,
        seen: &RawProgress,
        decision: Decision,
    ) -> Result<Option<RawProgress>, StoreError> {
        let (progress, to) = match decision {
            Decision::Resend => (seen.sent_again(), Shelf::Due.key()),
            Decision::Drop => (format!("F|fallito|{DROPPED}"), ""),
        };
        self.write(ente, member, seen, (&progress, to)).await
    }

    /// Puts a message that was given up back in doubt, as it was `before`, but for a deadline: it waits for an
    /// operator.
    pub async fn undo(
        &self,
        ente: &str,
        member: Member,
        seen: &RawProgress,
        before: &RawProgress,
    ) -> Result<Option<RawProgress>, StoreError> {
        self.write(ente, member, seen, (&before.held(), Shelf::Doubt.key())).await
    }

    /// The end of a message that was given up is told: no scheduler need tell it.
    pub async fn told(&self, ente: &str, member: Member) -> Result<(), StoreError> {
        let telling = Member { kind: Kind::Follow, ..member };
        let key = [self.redis.ente(ente).as_bytes(), Shelf::Due.key().as_bytes()].concat();
        let mut command = redis::cmd("ZREM");
        command.arg(key).arg(&telling.bytes()[..]);
        command.query_async(&mut self.redis.connection()).await.map_err(StoreError::from_redis)
    }

    async fn write(
        &self,
        ente: &str,
        member: Member,
        seen: &RawProgress,
        (progress, to): (&str, &str),
    ) -> Result<Option<RawProgress>, StoreError> {
        let mut call = self.redis.scripts.decide.prepare_invoke();
        call.key(self.redis.ente(ente)).arg(&member.case[..]).arg(&member.slot.to_be_bytes()[..]);
        call.arg(&seen.0).arg(progress).arg(to).arg(TELL_WITHIN_MS);
        let (status, standing, _now): (String, String, i64) = self.redis.run(&call).await?;
        Ok((status == "OK").then_some(RawProgress(standing)))
    }

    /// What Redis says of itself; of a cluster, each node.
    pub async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        let mut connection = self.redis.connection();
        let info: Value =
            redis::cmd("INFO").query_async(&mut connection).await.map_err(StoreError::from_redis)?;
        match info {
            Value::Map(nodes) => nodes.into_iter().map(|(_, info)| Server::told(info)).collect(),
            info => Ok(vec![Server::told(info)?]),
        }
    }

    /// What about Redis may lose timers.
    pub async fn weaknesses(&self) -> Result<Vec<Weakness>, StoreError> {
        let mut found: Vec<Weakness> = Vec::new();
        for weakness in self.servers().await?.iter().flat_map(Server::weaknesses) {
            if !found.contains(&weakness) {
                found.push(weakness);
            }
        }
        Ok(found)
    }
}

type StoredPage = (i64, u64, Vec<(Vec<u8>, String, Option<Vec<u8>>, String)>);
