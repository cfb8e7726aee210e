//! The ledger in Redis: the dispatcher's port on the scripts `fence` and `settle`.

use std::borrow::Cow;
use std::time::Duration;

use redis::Value;

use super::keys::{Kind, parse_case};
use super::ledger::{Fence, History, Intent, Ledger, Settled, Settlement};
use super::progress::RawProgress;
use super::{Redis, StoreError};
use crate::domain::catalogue::InDubbio;
use crate::wire::{Level, MessageRef};

/// How long after it was sent the status of a message is asked for first, milliseconds.
const FIRST_ASKING_MS: i64 = 5_000;

/// How far a try came before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed<'a> {
    Fence,
    Nothing,
    /// The fence, by this token, and it did not send.
    Withdrawn(&'a str),
}

/// The ledger on a Redis connection.
#[derive(Clone)]
pub struct RedisLedger {
    redis: Redis,
    guarded: bool,
}

impl RedisLedger {
    /// On a connection. It takes the store as it is.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, guarded: false }
    }

    /// On a connection, for a process that sends: [`StoreError::Lost`] where the store lost something.
    #[must_use]
    pub fn guarded(redis: Redis) -> Self {
        Self { redis, guarded: true }
    }

    async fn progress(&self, message: &MessageRef) -> Result<RawProgress, StoreError> {
        let case = case(message)?;
        let mut key = self.redis.ente(&message.ente).into_bytes();
        key.extend(b"s:");
        key.extend(case);
        let mut connection = self.redis.connection();
        let progress: Option<String> = redis::cmd("HGET")
            .arg(key)
            .arg(&message.slot.to_be_bytes()[..])
            .query_async(&mut connection)
            .await
            .map_err(StoreError::from_redis)?;
        Ok(RawProgress(progress.unwrap_or_default()))
    }

    async fn end(
        &self,
        message: &MessageRef,
        ending: &Settlement,
        passed: Passed<'_>,
    ) -> Result<Settled, StoreError> {
        let change = Change::of(ending, message.attempt);
        let mut call = self.redis.scripts.settle.prepare_invoke();
        call.key(self.redis.ente(&message.ente))
            .arg(&case(message)?[..])
            .arg(&message.slot.to_be_bytes()[..])
            .arg(&[change.kind.byte()][..])
            .arg(message.attempt);
        for part in &change.parts {
            call.arg(part);
        }
        match passed {
            Passed::Fence => {}
            Passed::Nothing => {
                call.arg("unfenced");
            }
            Passed::Withdrawn(token) => {
                call.arg(format!("by {token}"));
            }
        }
        let answer: Vec<Value> = self.redis.run(&call).await?;
        let text = |place: usize| match answer.get(place) {
            Some(Value::BulkString(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Some(Value::SimpleString(text)) => text.clone(),
            _ => String::new(),
        };
        if text(0) != "LATE" {
            return Ok(Settled::Recorded);
        }
        // Only what was emitted is settled, so a message without a record was lost, and will be back.
        if change.kind == Kind::Message && text(2).is_empty() {
            return Err(StoreError::Lost);
        }
        let stands = RawProgress(text(2));
        Ok(match settlement(&stands) {
            Some(stands) if is_same(&stands, ending) => Settled::Recorded,
            Some(stands) => Settled::Already(stands),
            None if stands.is_in_doubt() && stands.emissions() == message.attempt => Settled::InDoubt,
            None => Settled::Stale,
        })
    }

    /// How many messages of an ente are in doubt.
    pub async fn in_doubt(&self, ente: &str) -> Result<i64, StoreError> {
        let key = format!("{}doubt", self.redis.ente(ente));
        let mut connection = self.redis.connection();
        redis::cmd("ZCARD").arg(key).query_async(&mut connection).await.map_err(StoreError::from_redis)
    }
}

impl Ledger for RedisLedger {
    async fn fence(&self, message: &MessageRef, intent: &Intent) -> Result<Fence, StoreError> {
        let mut call = self.redis.scripts.fence.prepare_invoke();
        call.key(self.redis.ente(&message.ente))
            .arg(&case(message)?[..])
            .arg(&message.slot.to_be_bytes()[..])
            .arg(message.attempt)
            .arg(&intent.token)
            .arg(millis(intent.lasts));
        let marks = self.redis.marks();
        call.arg(if self.guarded { marks.least(&message.ente).to_string() } else { String::new() });
        let mut connection = self.redis.pinned().await?;
        call.arg(&*connection.run());
        let answer = call.invoke_async(&mut connection).await.map_err(StoreError::from_redis)?;
        let (verdict, progress, mark): (String, String, i64) = answer;
        if verdict == "LOST" {
            return Err(StoreError::Lost);
        }
        if self.guarded {
            marks.whole(&message.ente, mark);
        }
        let progress = RawProgress(progress);
        Ok(match verdict.as_str() {
            "GO" => Fence::Go,
            "OVER" if progress.ended() == Some("annullato") => {
                Fence::Cancelled { motivo: Cow::Borrowed("annullato") }
            }
            "OVER" => settlement(&progress).map_or(Fence::Stale, Fence::Settled),
            "ABANDONED" => Fence::Abandoned,
            _ => Fence::Stale,
        })
    }

    async fn settle(&self, message: &MessageRef, settlement: &Settlement) -> Result<Settled, StoreError> {
        self.end(message, settlement, Passed::Fence).await
    }

    async fn turn_back(&self, message: &MessageRef, settlement: &Settlement) -> Result<Settled, StoreError> {
        self.end(message, settlement, Passed::Nothing).await
    }

    async fn withdraw(
        &self,
        message: &MessageRef,
        token: &str,
        after: Duration,
    ) -> Result<Settled, StoreError> {
        let back = Settlement::Retry { after, burns_attempt: false, called: false };
        self.end(message, &back, Passed::Withdrawn(token)).await
    }

    async fn history(&self, message: &MessageRef) -> Result<History, StoreError> {
        let progress = self.progress(message).await?;
        let doubts = progress.doubts_before();
        let repeats = doubts > 0 || progress.has_called();
        Ok(History { failures: progress.failures(), doubts, repeats })
    }

    async fn standard_for(&self, ente: &str, time: Duration) -> Result<(), StoreError> {
        let key = format!("{}std", self.redis.ente(ente));
        let mut connection = self.redis.connection();
        redis::cmd("SET")
            .arg(key)
            .arg(1)
            .arg("PX")
            .arg(millis(time).max(1))
            .query_async(&mut connection)
            .await
            .map_err(StoreError::from_redis)
    }
}

fn case(message: &MessageRef) -> Result<[u8; 12], StoreError> {
    parse_case(&message.caso).ok_or(StoreError::Unreadable("key of a case"))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A settlement as the script takes it.
struct Change {
    kind: Kind,
    parts: Vec<String>,
}

impl Change {
    fn of(settlement: &Settlement, emission: u32) -> Self {
        let message = |parts: &[&str]| Self::new(Kind::Message, parts);
        let follow = |parts: &[&str]| Self::new(Kind::Follow, parts);
        match settlement {
            Settlement::Sent { io_id, level, ripiego, follow, .. } => {
                let what = format!("inviato|{}|{}", level.as_str(), io_id.as_deref().unwrap_or(""));
                let asking = if *follow && io_id.is_some() { FIRST_ASKING_MS } else { -1 };
                message(&["SENT", &what, &asking.to_string(), if *ripiego { "1" } else { "0" }])
            }
            Settlement::Assumed { level, ripiego, .. } => {
                message(&["OVER", &assumed(*level, emission), "-1", if *ripiego { "1" } else { "0" }])
            }
            Settlement::Discarded { motivo } => message(&["OVER", &format!("scartato|{motivo}"), "-1", "0"]),
            Settlement::Failed { codice } => message(&["OVER", &format!("fallito|{codice}"), "-1", "0"]),
            Settlement::InDoubt { politica, evidence, after, .. } => {
                let (due, gives_up) = match (politica, after) {
                    (InDubbio::Resend, Some(after)) => (millis(*after), ""),
                    (InDubbio::Expire, Some(after)) => (millis(*after), "x"),
                    _ => (-1, ""),
                };
                message(&["DOUBT", evidence, &due.to_string(), gives_up])
            }
            Settlement::Retry { after, burns_attempt, called } => {
                let failures = if *burns_attempt { "1" } else { "0" };
                let called = if *called { "c" } else { "" };
                message(&["AGAIN", &millis(*after).to_string(), failures, "0", called])
            }
            Settlement::PremiumRefused => message(&["AGAIN", "0", "0", "0"]),
            Settlement::Delivered { io_id } => follow(&["ENDED", "consegnato", io_id]),
            Settlement::Rejected { io_id, .. } => follow(&["ENDED", "rifiutato", io_id]),
            Settlement::FollowLater { after } => follow(&["LATER", &millis(*after).to_string()]),
            Settlement::FollowEnded => follow(&["DONE"]),
        }
    }

    fn new(kind: Kind, parts: &[&str]) -> Self {
        Self { kind, parts: parts.iter().map(|part| (*part).to_owned()).collect() }
    }
}

/// The progress of a message that is assumed to be sent, after `F|`.
pub(super) fn assumed(level: Option<Level>, emission: u32) -> String {
    format!("inviato|{}||{emission}", level.map_or("", Level::as_str))
}

/// What a final progress says in the ledger's words. A status learnt since is still the sending.
fn settlement(progress: &RawProgress) -> Option<Settlement> {
    let detail = |place| progress.detail(place).unwrap_or("").to_owned();
    let level = match progress.detail(0) {
        Some("ADVANCED") => Some(Level::Advanced),
        Some("STANDARD") => Some(Level::Standard),
        _ => None,
    };
    let inviato_ms = progress.ended_ms().unwrap_or(0);
    Some(match progress.ended()? {
        "inviato" if progress.assumed().is_some() => {
            Settlement::Assumed { level, ripiego: false, inviato_ms }
        }
        "inviato" | "consegnato" | "rifiutato" => Settlement::Sent {
            io_id: Some(detail(1)).filter(|id| !id.is_empty()),
            level: level.unwrap_or_default(),
            ripiego: false,
            follow: false,
            inviato_ms,
        },
        "scartato" => Settlement::Discarded { motivo: Cow::Owned(detail(0)) },
        "annullato" => Settlement::Discarded { motivo: Cow::Borrowed("annullato") },
        _ => Settlement::Failed { codice: Cow::Owned(detail(0)) },
    })
}

/// Whether what stands is what was to be recorded: the first call may have got through unheard.
fn is_same(stands: &Settlement, wanted: &Settlement) -> bool {
    match (stands, wanted) {
        (Settlement::Sent { io_id: a, .. }, Settlement::Sent { io_id: b, .. }) => a == b,
        (Settlement::Assumed { .. }, Settlement::Assumed { .. }) => true,
        (a, b) => a == b,
    }
}
