//! The schedule and the store's clock, as a trial sets them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use redis::AsyncCommands as _;

use super::Trial;

impl Trial {
    /// Puts an entry into the schedule that falls due after `time`, as an armed timer is; its case is not
    /// there, so that falling due shows in the log.
    pub(in crate::chaos) async fn arm_in(&self, time: Duration) -> anyhow::Result<Vec<u8>> {
        let mut redis = self.ground.redis().await?;
        let (seconds, _): (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await?;
        let member = b"chaos-timer!\0\0m".to_vec();
        let due = (seconds + time.as_secs()) * 1000;
        let _: () = redis.zadd("pm:{borgochiaro}:due", &member, due).await?;
        Ok(member)
    }

    /// Entries of the schedule.
    pub(in crate::chaos) async fn due(&self) -> anyhow::Result<usize> {
        Ok(self.ground.redis().await?.zcard("pm:{borgochiaro}:due").await?)
    }

    /// Has the first entries of the schedule fall due now.
    pub(in crate::chaos) async fn make_due(&self, most: usize) -> anyhow::Result<()> {
        let mut redis = self.ground.redis().await?;
        let members: Vec<Vec<u8>> = redis.zrange("pm:{borgochiaro}:due", 0, -1).await?;
        for member in members.into_iter().take(most) {
            let _: usize = redis.zadd("pm:{borgochiaro}:due", member, 0).await?;
        }
        Ok(())
    }

    /// Takes it out again; it must still be there.
    pub(in crate::chaos) async fn disarm(&self, member: Vec<u8>) -> anyhow::Result<()> {
        let mut redis = self.ground.redis().await?;
        let still: usize = redis.zrem("pm:{borgochiaro}:due", member).await?;
        anyhow::ensure!(still == 1, "I4: a timer left the schedule before its instant");
        Ok(())
    }

    /// Moves the store's clock by so many milliseconds, ahead or back.
    pub(in crate::chaos) async fn shift_clock(&self, by_ms: i64) -> anyhow::Result<()> {
        let mut redis = self.ground.redis().await?;
        let _: i64 = redis.incr("promemoria:clock-offset-ms", by_ms).await?;
        Ok(())
    }

    /// Sets the store's clock to an instant.
    pub(in crate::chaos) async fn set_clock(&self, at: DateTime<Utc>) -> anyhow::Result<()> {
        let mut redis = self.ground.redis().await?;
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await?;
        let offset = at.timestamp_millis() - (seconds * 1000 + micros / 1000);
        let _: () = redis.set("promemoria:clock-offset-ms", offset).await?;
        Ok(())
    }

    /// Moves the store's clock, which the fleet of a test build follows.
    pub(in crate::chaos) async fn advance(&self, by: Duration) -> anyhow::Result<()> {
        self.shift_clock(i64::try_from(by.as_millis())?).await
    }
}
