//! The store's own count: in which state each message is.

use std::collections::BTreeMap;

use anyhow::Context as _;
use redis::AsyncCommands as _;

use super::ground::Ground;

/// Messages of all enti by state, as the store has them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    /// Over, by the word that says how: `inviato`, `scartato`, `fallito`, `annullato`.
    pub(super) over: BTreeMap<String, usize>,
    /// In doubt, each with its evidence.
    pub(super) doubts: Vec<String>,
    /// In the schedule or on their way.
    pub(super) pending: usize,
}

impl Stored {
    /// Counts, at a moment when nothing moves.
    pub(super) async fn count(ground: &Ground) -> anyhow::Result<Self> {
        let mut redis = ground.redis().await?;
        let mut stored = Self::default();
        let keys: Vec<Vec<u8>> = redis.keys("pm:{*}:s:*").await?;
        for key in &keys {
            let states: BTreeMap<Vec<u8>, String> = redis.hgetall(key).await?;
            for state in states.values() {
                stored.add(state);
            }
        }
        // A message that was never emitted has no state yet: it is only in the schedule.
        for key in redis.keys::<_, Vec<Vec<u8>>>("pm:{*}:due").await? {
            for member in redis.zrange::<_, Vec<Vec<u8>>>(&key, 0, -1).await? {
                stored.pending += usize::from(Self::is_untouched(&mut redis, &key, &member).await?);
            }
        }
        Ok(stored)
    }

    fn add(&mut self, state: &str) {
        let mut parts = state.split('|');
        match parts.next() {
            Some("F") => {
                let how = parts.next().unwrap_or("-");
                let how = if matches!(how, "consegnato" | "rifiutato") { "inviato" } else { how };
                *self.over.entry(how.to_owned()).or_default() += 1;
            }
            Some("D") => self.doubts.push(parts.nth(2).unwrap_or_default().to_owned()),
            _ => self.pending += 1,
        }
    }

    /// A message in the schedule without a state.
    async fn is_untouched(
        redis: &mut redis::aio::MultiplexedConnection,
        due: &[u8],
        member: &[u8],
    ) -> anyhow::Result<bool> {
        let (case, rest) = member.split_at_checked(12).context("a member of the schedule")?;
        let prefix = due.strip_suffix(b"due").context("the schedule's key")?;
        let key = [prefix, b"s:", case].concat();
        Ok(rest.last() == Some(&b'm') && !redis.hexists::<_, _, bool>(key, &rest[..2]).await?)
    }

    /// All of them.
    pub(super) fn total(&self) -> usize {
        self.over.values().sum::<usize>() + self.doubts.len() + self.pending
    }

    /// How many ended so.
    pub(super) fn ended(&self, how: &str) -> usize {
        self.over.get(how).copied().unwrap_or(0)
    }
}
