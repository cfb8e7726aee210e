//! The schedule held against the cases: a message that waits is in one of its sets, and what is due has a
//! case.

use super::keys::Member;
use super::progress::RawProgress;
use super::{Redis, StoreError};

/// Entries looked at by one script: a millisecond or two.
const PAGE: usize = 1_000;

/// The schedule of a store.
#[derive(Clone)]
pub struct Schedule {
    redis: Redis,
}

/// A message that waits, as it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its entry.
    pub member: Member,
    /// Its progress.
    pub seen: RawProgress,
    /// When it is due, Unix milliseconds.
    pub due_ms: i64,
    /// From when it is of no use, Unix milliseconds.
    pub useful_until_ms: Option<i64>,
}

impl Schedule {
    /// On a connection.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Those of the messages that are neither due, nor in flight, nor in doubt: nobody would ever send them.
    pub async fn unplaced(&self, ente: &str, members: &[Member]) -> Result<Vec<Member>, StoreError> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = self.redis.scripts.unplaced.prepare_invoke();
        call.key(self.redis.ente(ente));
        for member in members {
            call.arg(&member.bytes()[..]);
        }
        members_of(&self.redis.run::<Vec<Vec<u8>>>(&call).await?)
    }

    /// Puts messages that are in no set back where their progress says, if they stand as they were loaded:
    /// among what is due, or where a lease ended, or before an operator. Returns how many it put back.
    pub async fn put_back(&self, ente: &str, waiting: &[Waiting]) -> Result<u64, StoreError> {
        let mut call = self.redis.scripts.put_back.prepare_invoke();
        call.key(self.redis.ente(ente));
        for one in waiting {
            // The first millisecond after its use, as the scheduler has it.
            let given_up = one.useful_until_ms.map_or(-1, |end| end.saturating_add(1));
            call.arg(&one.member.bytes()[..]).arg(&one.seen.0).arg(one.due_ms).arg(given_up);
        }
        self.redis.run(&call).await
    }

    /// The entries of the schedule without a case; with `take_out` they are no longer there.
    pub async fn orphans(&self, ente: &str, take_out: bool) -> Result<Vec<Member>, StoreError> {
        let (mut from, mut skip) = ("-inf".to_owned(), 0);
        let mut found = Vec::new();
        loop {
            let mut call = self.redis.scripts.orphans.prepare_invoke();
            call.key(self.redis.ente(ente)).arg(&from).arg(skip).arg(PAGE);
            if take_out {
                call.arg(1);
            }
            let (entries, last, same, orphans): FoundOrphans = self.redis.run(&call).await?;
            found.extend(members_of(&orphans)?);
            if entries < PAGE {
                return Ok(found);
            }
            // The next page begins with the instant at which this one ended: what was seen of it is skipped.
            skip = if last == from { skip + same } else { same };
            from = last;
        }
    }
}

/// Entries of the page, the last one's score, how many of that score, members without a case.
type FoundOrphans = (usize, String, usize, Vec<Vec<u8>>);

fn members_of(found: &[Vec<u8>]) -> Result<Vec<Member>, StoreError> {
    let member =
        |bytes: &Vec<u8>| Member::parse(bytes).ok_or(StoreError::Unreadable("entry of the schedule"));
    found.iter().map(member).collect()
}
