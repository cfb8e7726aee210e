//! The loop of the dispatcher: take, handle, tell, settle. The consumer's prefetch bounds what is in hand.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use shared::broker::topology::{DISPATCH, DISPATCH_QUEUE, FOLLOW, FOLLOW_QUEUE, WORK};
use shared::broker::{DeadLetter, Deliveries, Delivery, Outgoing, Publisher};
use shared::clock::Clock;
use shared::crash_point;
use shared::formats::Foreign;
use shared::journal::LINE_IN_TIME;
use shared::outbox::Outbox;
use shared::store::ledger::Ledger;
use shared::store::quota::QuotaStore;
use shared::suspects::{Admission, Coming, CrashCount, Suspect, Suspects};
use shared::trace::{Cause, Place, Span, Traces};
use shared::wire::{self, Body, DispatchRequest, FollowRequest, MessageRef, Unread};
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
pub trait Work: Body + Send + Sync + 'static {
    /// The queue.
    const QUEUE: &'static str;
    /// The routing key by which it comes there.
    const ROUTING_KEY: &'static str;
    /// Metric label.
    const STAGE: &'static str;

    /// Which message it is about.
    fn message(&self) -> &MessageRef;

    /// Has it handled.
    fn handle<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti>(
        &self,
        handler: &Handler<A, L, Q, E>,
        usable: impl Fn() -> bool + Send + Sync,
    ) -> impl Future<Output = Verdict> + Send;

    /// Has it ended, because it ended every process that took it.
    fn give_up<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti>(
        &self,
        handler: &Handler<A, L, Q, E>,
    ) -> impl Future<Output = Verdict> + Send;
}

impl Work for DispatchRequest {
    const QUEUE: &'static str = DISPATCH_QUEUE;
    const ROUTING_KEY: &'static str = DISPATCH;
    const STAGE: &'static str = "dispatch";

    fn message(&self) -> &MessageRef {
        &self.message
    }

    async fn handle<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti>(
        &self,
        handler: &Handler<A, L, Q, E>,
        usable: impl Fn() -> bool + Send + Sync,
    ) -> Verdict {
        handler.dispatch(self, usable).await
    }

    async fn give_up<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti>(
        &self,
        handler: &Handler<A, L, Q, E>,
    ) -> Verdict {
        handler.give_up_dispatch(self).await
    }
}

impl Work for FollowRequest {
    const QUEUE: &'static str = FOLLOW_QUEUE;
    const ROUTING_KEY: &'static str = FOLLOW;
    const STAGE: &'static str = "follow";

    fn message(&self) -> &MessageRef {
        &self.message
    }

    async fn handle<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti>(
        &self,
        handler: &Handler<A, L, Q, E>,
        usable: impl Fn() -> bool + Send + Sync,
    ) -> Verdict {
        handler.follow(self, usable).await
    }

    async fn give_up<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti>(
        &self,
        handler: &Handler<A, L, Q, E>,
    ) -> Verdict {
        handler.give_up_follow(self).await
    }
}

/// What the loop works with.
pub struct Worker<A, L, Q, E, P, C> {
    /// Decides.
    pub handler: Handler<A, L, Q, E>,
    /// To the dead letters.
    pub publisher: P,
    /// What may have ended the process before.
    pub suspects: Suspects<C>,
    /// To the ente.
    pub outbox: Outbox<P>,
    /// Dates the dead letters.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Spans.
    pub traces: Traces,
    /// Cancelled when no more work is to be taken; what waits to be published again is then given back,
    /// and told when it comes again.
    pub shutdown: CancellationToken,
}

impl<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti, P: Publisher, C: CrashCount> Worker<A, L, Q, E, P, C> {
    /// Takes deliveries until shutdown; each is a task of `in_hand`, which the caller waits for.
    pub async fn run<W: Work>(self: Arc<Self>, mut deliveries: impl Deliveries, in_hand: TaskTracker) {
        while let Some(Some(delivery)) = self.shutdown.run_until_cancelled(deliveries.next()).await {
            let worker = Arc::clone(&self);
            in_hand.spawn(async move {
                let taken = Place { exchange: WORK, routing_key: W::ROUTING_KEY, queue: Some(W::QUEUE) };
                let span = worker.traces.process(&taken, Cause::Hop(delivery.trace()));
                span.within(worker.one::<W>(delivery, &span)).await;
            });
        }
        deliveries.stop().await;
    }

    async fn one<W: Work>(&self, delivery: Delivery, span: &Span) {
        let verdict = match wire::read::<W>(&delivery.body) {
            Ok(work) => {
                span.note_message(work.message());
                let Some(verdict) = self.admitted(&work, &delivery).await else { return };
                verdict
            }
            Err(Unread::Foreign(foreign)) => self.leave(foreign),
            Err(broken) => End::Dead { code: "json", reason: broken.to_string().into() }.into(),
        };
        if let End::Dead { code, .. } = verdict.end {
            span.fail(code);
        }
        self.finish::<W>(delivery, verdict).await;
    }

    /// Has it handled, in the company that it may have if it was in hand before; none if the process stops first:
    /// what is dropped goes back to the queue.
    async fn admitted<W: Work>(&self, work: &W, delivery: &Delivery) -> Option<Verdict> {
        let message = work.message();
        let suspect = Suspect::of(W::QUEUE, message.chiave.as_bytes());
        let coming = Coming::of(delivery.redelivered, message.attempt);
        let leave = match self.shutdown.run_until_cancelled(self.suspects.admit(suspect, coming)).await? {
            Admission::GiveUp => return Some(work.give_up(&self.handler).await),
            Admission::Handle(leave) => leave,
        };
        let begun = Instant::now();
        let verdict = work.handle(&self.handler, || delivery.usable()).await;
        let seconds = begun.elapsed().as_secs_f64();
        self.metrics.fleet.stage_duration.with_label_values(&[W::STAGE]).observe(seconds);
        leave.over().await;
        Some(verdict)
    }

    /// Leaves a body of another release to its lease: the schedule, not the queue, knows what is to be sent.
    fn leave(&self, foreign: Foreign) -> Verdict {
        let (format, found, newest) = (foreign.format, foreign.found, foreign.newest);
        warn!(format, found, newest, "a body of another release is left to its lease");
        self.metrics.fleet.foreign.with_label_values(&[format]).inc();
        End::Ack.into()
    }

    /// Outcomes and dead letter confirmed first, the acknowledgement last.
    async fn finish<W: Work>(&self, delivery: Delivery, verdict: Verdict) {
        if verdict.end == End::GiveBack {
            delivery.requeue();
            return;
        }
        if !self.tell(&delivery, &verdict).await {
            return; // what is dropped goes back to the queue
        }
        if let End::Dead { code, reason } = verdict.end
            && !self.bury::<W>(&delivery, code, &reason).await
        {
            return;
        }
        crash_point!("dispatcher.told");
        if !delivery.ack() {
            info!("delivery settled too late, it comes again");
        }
    }

    /// Tells outcomes until they are confirmed; false if the delivery is to be given back before.
    async fn tell(&self, delivery: &Delivery, verdict: &Verdict) -> bool {
        let (outcomes, mut wait) = (&verdict.outcomes, BACKOFF.0);
        while !outcomes.is_empty() && !self.outbox.tell(outcomes.clone()).await {
            if !delivery.usable() || !self.pause(&mut wait).await {
                return false;
            }
        }
        match &verdict.recorded {
            Some(recorded) if recorded.at().elapsed() >= LINE_IN_TIME => {
                self.handler.record_again(recorded).await
            }
            _ => true,
        }
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

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
