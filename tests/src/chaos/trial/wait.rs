//! Waiting, always with a deadline.

use std::time::Duration;

use anyhow::Context as _;
use redis::AsyncCommands as _;
use tokio::time::{Instant, sleep};

use super::Trial;
use crate::chaos::book::Book;
use crate::chaos::bounds::Measure;
use crate::chaos::stored::Stored;

/// Between two looks at the store, which tells nobody of its changes.
const GLANCE: Duration = Duration::from_millis(50);
/// How much of a log is shown where a service is not as it should be.
const LAST_LINES: usize = 20;

impl Trial {
    /// What is waited for may take so much longer from now on.
    pub(in crate::chaos) fn patient(&mut self, times: u32) {
        self.patience *= times;
    }

    /// The fault is over now: recovery is counted from here.
    pub(in crate::chaos) fn mended(&mut self) {
        self.mended_at(Instant::now());
    }

    /// The fault was over then.
    pub(in crate::chaos) fn mended_at(&mut self, at: Instant) {
        self.mended = Some(at);
    }

    /// The seconds since the fault was over, held against what the row promises.
    fn recovered(&mut self) -> anyhow::Result<f64> {
        let Some(mended) = self.mended.take() else { return Ok(0.0) };
        let took = mended.elapsed();
        self.ground.stopwatch.hold(Measure::Over, took)?;
        Ok(took.as_secs_f64())
    }

    /// Collects outcomes until the book says so.
    pub(in crate::chaos) async fn until(
        &mut self,
        what: &str,
        enough: impl Fn(&Book) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.patience;
        while !enough(&self.book) {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(outcome) = self.integrator.next(left).await? {
                self.book.tell(outcome);
                continue;
            }
            let (open, some) = (self.book.open(), 10);
            let first = &open[..open.len().min(some)];
            anyhow::bail!("{what}: not within {:?}; {} open, first {first:?}", self.patience, open.len());
        }
        Ok(())
    }

    /// Collects outcomes until none came for so long.
    pub(in crate::chaos) async fn listen(&mut self, silence: Duration) -> anyhow::Result<()> {
        while let Some(outcome) = self.integrator.next(silence).await? {
            self.book.tell(outcome);
        }
        Ok(())
    }

    /// Waits until every confirmed event came to an end, and nothing is on its way. Returns the seconds
    /// since the fault was over.
    pub(in crate::chaos) async fn settle(&mut self) -> anyhow::Result<f64> {
        let settled = self.until("every event comes to an end", Book::is_over).await;
        if settled.is_err() {
            let standing = Stored::count(&self.ground).await?;
            settled.with_context(|| format!("the store: {standing:?}"))?;
        }
        let took = self.recovered()?;
        self.wait_quiet().await?;
        Ok(took)
    }

    /// Waits until nothing is in flight nor due.
    pub(in crate::chaos) async fn wait_quiet(&self) -> anyhow::Result<()> {
        let mut redis = self.ground.redis().await?;
        let deadline = Instant::now() + self.patience;
        loop {
            let mut busy = 0_usize;
            for key in redis.keys::<_, Vec<Vec<u8>>>("pm:{*}:fly").await? {
                busy += redis.zcard::<_, usize>(key).await?;
            }
            let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await?;
            let offset: Option<i64> = redis.get("promemoria:clock-offset-ms").await?;
            let now_ms = seconds * 1000 + offset.unwrap_or(0);
            for key in redis.keys::<_, Vec<Vec<u8>>>("pm:{*}:due").await? {
                busy += redis.zcount::<_, _, _, usize>(key, "-inf", now_ms).await?;
            }
            if busy == 0 {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{busy} entries are still due or on their way");
            sleep(GLANCE).await;
        }
    }

    /// Waits until a condition of the fleet holds.
    pub(in crate::chaos) async fn wait_for(
        &self,
        what: &str,
        mut holds: impl AsyncFnMut(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.patience;
        while !holds(self).await? {
            anyhow::ensure!(Instant::now() < deadline, "{what}: not within {:?}", self.patience);
            sleep(GLANCE).await;
        }
        Ok(())
    }

    /// Waits until a service says that it is not ready for want of this.
    pub(in crate::chaos) async fn wait_missing(&self, service: &str, missing: &str) -> anyhow::Result<()> {
        self.wait_for(&format!("/readyz of {service} names {missing}"), async |trial: &Self| {
            let said = trial.crew.get(service, "/readyz").await;
            Ok(said.is_ok_and(|(status, text)| status == 503 && text.contains(missing)))
        })
        .await
    }

    /// Waits until a service's readiness is as asked: `true` is ready.
    pub(in crate::chaos) async fn wait_readiness(&self, service: &str, ready: bool) -> anyhow::Result<()> {
        let wanted = if ready { 200 } else { 503 };
        let what = format!("/readyz of {service} says {wanted}");
        let came = self
            .wait_for(&what, async |trial: &Self| {
                Ok(trial.crew.get(service, "/readyz").await.is_ok_and(|(status, _)| status == wanted))
            })
            .await;
        if came.is_err() {
            let said = self.crew.get(service, "/readyz").await;
            let log = self.crew.log_of(service);
            let last: Vec<_> = log.lines().rev().take(LAST_LINES).collect();
            return came
                .with_context(|| format!("it says {said:?}; its last lines, the last first: {last:#?}"));
        }
        Ok(())
    }
}
