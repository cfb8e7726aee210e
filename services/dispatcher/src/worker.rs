//! The loop of the dispatcher: take, handle, tell, settle. The consumer's prefetch bounds what is in hand.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use shared::broker::topology::{DISPATCH_QUEUE, FOLLOW_QUEUE};
use shared::broker::{DeadLetter, Deliveries, Delivery, Outgoing, Publisher};
use shared::clock::Clock;
use shared::crash_point;
use shared::outbox::Outbox;
use shared::store::ledger::Ledger;
use shared::store::quota::QuotaStore;
use shared::wire::{DispatchRequest, FollowRequest, Outcome, VERSION};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::handler::{End, Enti, Handler, Verdict};
use crate::io_api::IoApi;
use crate::metrics::Metrics;

/// First and longest wait before something that was not confirmed is published again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What one of the dispatcher's queues holds.
pub trait Work: DeserializeOwned + Send + Sync + 'static {
    /// The queue.
    const QUEUE: &'static str;
    /// Metric label.
    const STAGE: &'static str;

    /// Has it handled.
    fn handle<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti>(
        &self,
        handler: &Handler<A, L, Q, E>,
        usable: impl Fn() -> bool + Send + Sync,
    ) -> impl Future<Output = Verdict> + Send;
}

impl Work for DispatchRequest {
    const QUEUE: &'static str = DISPATCH_QUEUE;
    const STAGE: &'static str = "dispatch";

    async fn handle<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti>(
        &self,
        handler: &Handler<A, L, Q, E>,
        usable: impl Fn() -> bool + Send + Sync,
    ) -> Verdict {
        handler.dispatch(self, usable).await
    }
}

impl Work for FollowRequest {
    const QUEUE: &'static str = FOLLOW_QUEUE;
    const STAGE: &'static str = "follow";

    async fn handle<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti>(
        &self,
        handler: &Handler<A, L, Q, E>,
        usable: impl Fn() -> bool + Send + Sync,
    ) -> Verdict {
        handler.follow(self, usable).await
    }
}

/// What the loop works with.
pub struct Worker<A, L, Q, E, P> {
    /// Decides.
    pub handler: Handler<A, L, Q, E>,
    /// To the dead letters.
    pub publisher: P,
    /// To the ente.
    pub outbox: Outbox<P>,
    /// Dates the dead letters.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Cancelled when no more work is to be taken; what waits to be published again is then given back,
    /// and told when it comes again.
    pub shutdown: CancellationToken,
}

impl<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti, P: Publisher> Worker<A, L, Q, E, P> {
    /// Takes deliveries until shutdown; each is a task of `in_hand`, which the caller waits for.
    pub async fn run<W: Work>(self: Arc<Self>, mut deliveries: impl Deliveries, in_hand: TaskTracker) {
        while let Some(Some(delivery)) = self.shutdown.run_until_cancelled(deliveries.next()).await {
            let worker = Arc::clone(&self);
            in_hand.spawn(async move { worker.one::<W>(delivery).await });
        }
        deliveries.stop().await;
    }

    async fn one<W: Work>(&self, delivery: Delivery) {
        let begun = Instant::now();
        let verdict = match read::<W>(&delivery.body) {
            Ok(work) => work.handle(&self.handler, || delivery.usable()).await,
            Err(end) => end.into(),
        };
        let seconds = begun.elapsed().as_secs_f64();
        self.metrics.fleet.stage_duration.with_label_values(&[W::STAGE]).observe(seconds);
        self.finish::<W>(delivery, verdict).await;
    }

    /// Outcomes and dead letter confirmed first, the acknowledgement last.
    async fn finish<W: Work>(&self, delivery: Delivery, verdict: Verdict) {
        match verdict.end {
            End::GiveBack => {
                delivery.requeue();
                return;
            }
            End::Ack => {
                if !self.tell(&delivery, &verdict.outcomes).await {
                    return; // what is dropped goes back to the queue
                }
            }
            End::Dead { code, reason } => {
                if !self.tell(&delivery, &verdict.outcomes).await
                    || !self.bury::<W>(&delivery, code, &reason).await
                {
                    return;
                }
            }
        }
        crash_point!("dispatcher.told");
        if !delivery.ack() {
            info!("delivery settled too late, it comes again");
        }
    }

    /// Tells outcomes until they are confirmed; false if the delivery is to be given back before.
    async fn tell(&self, delivery: &Delivery, outcomes: &[Outcome]) -> bool {
        let mut wait = BACKOFF.0;
        while !outcomes.is_empty() && !self.outbox.tell(outcomes.to_vec()).await {
            if !delivery.usable() || !self.pause(&mut wait).await {
                return false;
            }
        }
        true
    }

    /// Puts a copy among the dead letters; false if the delivery is to be given back before.
    async fn bury<W: Work>(&self, delivery: &Delivery, code: &str, reason: &str) -> bool {
        let why = DeadLetter { code, reason, queue: W::QUEUE, at: self.clock.now() };
        let dead = Outgoing::dead_letter(delivery, &why);
        let mut wait = BACKOFF.0;
        while let Err(failure) = self.publisher.publish(dead.clone()).await {
            warn!(code = failure.code(), "dead letter not published yet");
            if !delivery.usable() || !self.pause(&mut wait).await {
                return false;
            }
        }
        info!(code, reason, queue = W::QUEUE, "delivery dead-lettered");
        self.metrics.fleet.dead.with_label_values(&[code]).inc();
        true
    }

    /// Waits before another try, longer each time; false if the process stops.
    async fn pause(&self, wait: &mut Duration) -> bool {
        let slept = self.shutdown.run_until_cancelled(tokio::time::sleep(*wait)).await;
        *wait = (*wait * 2).min(BACKOFF.1);
        slept.is_some()
    }
}

/// Reads a body: the version first, since a newer one may look otherwise. A reason names the place in the
/// body, never what stands there.
fn read<W: DeserializeOwned>(body: &[u8]) -> Result<W, End> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u8,
    }
    serde_json::from_slice(body).map_err(|error| match serde_json::from_slice::<Versioned>(body) {
        Ok(Versioned { v }) if v > VERSION => {
            End::Dead { code: "version", reason: format!("version {v} is newer than {VERSION}").into() }
        }
        _ => End::Dead {
            code: "json",
            reason: format!("not readable at line {} column {}", error.line(), error.column()).into(),
        },
    })
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
