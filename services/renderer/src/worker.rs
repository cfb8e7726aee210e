//! The loop of the renderer: take, decide, publish, settle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use shared::broker::topology::{DISPATCH, RENDER, RENDER_QUEUE, WORK};
use shared::broker::{DeadLetter, Deliveries, Delivery, Outgoing, Publisher};
use shared::clock::Clock;
use shared::crash_point;
use shared::domain::catalogue::InDubbio;
use shared::domain::event::RefusalCode;
use shared::formats::Foreign;
use shared::suspects::{Admission, Coming, CrashCount, ENDED_EVERYONE, Suspect, Suspects};
use shared::telemetry::{FleetMetrics, Health};
use shared::trace::{Cause, Place, Span, Traces};
use shared::wire::{MessageRef, RenderRequest};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::handler::{Verdict, decide, read};
use crate::inforce::InForce;
use crate::sink::FailureSink;

/// Deliveries decided together and published in one go: enough to make a task's cost small, few enough
/// for other tasks to have their turn (64 renderings are about half a millisecond).
const BATCH: usize = 64;
/// An idle loop turns at least this often, so that the process is seen to be alive.
const IDLE: Duration = Duration::from_secs(5);
/// First and longest wait before something that failed is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What the loop works with.
pub struct Parts<P, S, C> {
    /// To the dispatcher, and to the dead letters.
    pub publisher: P,
    /// Where failed messages end.
    pub sink: S,
    /// What may have ended the process before.
    pub suspects: Suspects<C>,
    /// What messages are written with.
    pub in_force: watch::Receiver<Arc<InForce>>,
    /// Policy for unknown outcomes unless message type or ente say otherwise.
    pub in_doubt: InDubbio,
    /// Dates the dead letters.
    pub clock: Clock,
    /// Metrics.
    pub metrics: FleetMetrics,
    /// Spans.
    pub traces: Traces,
    /// Is told that the loop turns.
    pub health: Arc<Health>,
    /// Cancelled when no more work is to be taken; what waits to be tried again is then given back.
    pub shutdown: CancellationToken,
}

/// The worker. The consumer's prefetch bounds what is in hand.
pub struct Worker<P, S, C> {
    parts: Arc<Parts<P, S, C>>,
}

impl<P: Publisher, S: FailureSink, C: CrashCount> Worker<P, S, C> {
    /// A worker of these parts.
    #[must_use]
    pub fn new(parts: Parts<P, S, C>) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Takes deliveries until shutdown. Those in hand then are tasks of `in_hand`, which the caller waits
    /// for.
    pub async fn run(self, mut deliveries: impl Deliveries, in_hand: &TaskTracker) {
        let parts = self.parts;
        loop {
            parts.health.tick();
            let next = tokio::time::timeout(IDLE, deliveries.next());
            let first = match parts.shutdown.run_until_cancelled(next).await {
                Some(Ok(Some(first))) => first,
                Some(Err(_idle)) => continue,
                None | Some(Ok(None)) => break,
            };
            let mut batch = vec![first];
            while batch.len() < BATCH {
                let Some(Some(delivery)) = deliveries.next().now_or_never() else { break };
                batch.push(delivery);
            }
            let parts = Arc::clone(&parts);
            let tasks = in_hand.clone();
            in_hand.spawn(async move { parts.sort(batch, &tasks).await });
        }
        deliveries.stop().await;
    }
}

/// A delivery as it was read.
type Taken = (Delivery, Result<RenderRequest, Verdict>);

impl<P: Publisher, S: FailureSink, C: CrashCount> Parts<P, S, C> {
    /// Sorts out what may have ended the process before: each a task of its own, because a suspect waits. The rest is
    /// one batch.
    async fn sort(self: Arc<Self>, deliveries: Vec<Delivery>, in_hand: &TaskTracker) {
        let mut batch = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let parts = Arc::clone(&self);
            let read = read(&delivery.body);
            let emission = read.as_ref().map_or(1, |request| request.message.attempt);
            match (read, Coming::of(delivery.redelivered, emission)) {
                (Ok(request), coming @ (Coming::Again | Coming::Anew)) => {
                    in_hand.spawn(async move { parts.suspect(delivery, request, coming).await });
                }
                (read, _) => batch.push((delivery, read)),
            }
        }
        self.batch(batch).await;
    }

    /// Writes what was in hand before, in the company that it may have, or gives it up.
    async fn suspect(&self, delivery: Delivery, request: RenderRequest, coming: Coming) {
        let suspect = Suspect::of(RENDER_QUEUE, request.message.chiave.as_bytes());
        match self.shutdown.run_until_cancelled(self.suspects.admit(suspect, coming)).await {
            None => {} // what is dropped goes back to the queue
            Some(Admission::GiveUp) => {
                let span = self.span(&delivery);
                span.note_message(&request.message);
                let code = RefusalCode::Attempts.as_str();
                span.fail(code);
                span.within(self.fail(delivery, &request, (code, ENDED_EVERYONE))).await;
            }
            Some(Admission::Handle(leave)) => {
                // One that was lost while it waited is somebody else's by now.
                if delivery.usable() {
                    self.batch(vec![(delivery, Ok(request))]).await;
                }
                leave.over().await;
            }
        }
    }

    /// Decides a batch, publishes what is written, then settles the rest one by one.
    async fn batch(&self, deliveries: Vec<Taken>) {
        let in_force = Arc::clone(&self.in_force.borrow());
        let (mut written, mut bodies, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        // A span ends with the batch: what is written is published and confirmed together.
        let mut spans = Vec::new();
        for (delivery, read) in deliveries {
            let begun = Instant::now();
            match read.map_or_else(|verdict| verdict, |request| self.decide(request, &in_force)) {
                Verdict::Forward { message, body } => {
                    let span = self.span(&delivery);
                    span.note_message(&message);
                    bodies.push(self.dispatch(&message, body, &span));
                    written.push(delivery);
                    spans.push(span);
                }
                verdict => rest.push((self.span(&delivery), delivery, verdict)),
            }
            self.metrics.stage_duration.with_label_values(&["render"]).observe(begun.elapsed().as_secs_f64());
        }
        crash_point!("renderer.written");
        self.forward(written, bodies).await;
        drop(spans);
        for (span, delivery, verdict) in rest {
            match verdict {
                Verdict::Fail { request, error } => {
                    span.note_message(&request.message);
                    let code = error.code.as_str();
                    span.fail(code);
                    span.within(self.fail(delivery, &request, (code, &error.reason))).await;
                }
                Verdict::Refuse { code, reason } => {
                    span.fail(code);
                    span.within(self.bury(delivery, code, &reason)).await;
                }
                Verdict::Leave(foreign) => self.leave(delivery, foreign),
                Verdict::Forward { .. } => {} // published above
            }
        }
    }

    fn decide(&self, request: RenderRequest, in_force: &InForce) -> Verdict {
        crash_point!(
            "renderer.received",
            &request.message.evento,
            request.codice_fiscale.expose().as_bytes()
        );
        decide(request, in_force, self.in_doubt)
    }

    fn span(&self, delivery: &Delivery) -> Span {
        let taken = Place { exchange: WORK, routing_key: RENDER, queue: Some(RENDER_QUEUE) };
        self.traces.process(&taken, Cause::Hop(delivery.trace()))
    }

    /// What is written, for the dispatcher; `writing` is the span that it comes of.
    fn dispatch(&self, message: &MessageRef, body: Vec<u8>, writing: &Span) -> Outgoing {
        let to = Place { exchange: WORK, routing_key: DISPATCH, queue: None };
        let span = self.traces.send(&to, Cause::Hop(writing.context()));
        span.note_message(message);
        let id = format!("{}/{}", message.chiave, message.attempt);
        Outgoing::new(WORK, DISPATCH, id, body).with_trace(span.context()).with_span(span)
    }

    /// Publishes, and acknowledges what is confirmed.
    async fn forward(&self, mut deliveries: Vec<Delivery>, mut bodies: Vec<Outgoing>) {
        let mut wait = BACKOFF.0;
        while !deliveries.is_empty() {
            let results = self.publisher.publish_all(bodies.clone()).await;
            crash_point!("renderer.published");
            let (mut left, mut left_bodies) = (Vec::new(), Vec::new());
            for ((delivery, body), result) in deliveries.into_iter().zip(bodies).zip(results) {
                match result {
                    Ok(()) => settled(delivery.ack()),
                    Err(failure) => {
                        if left.is_empty() {
                            warn!(code = failure.code(), "written messages not published yet");
                        }
                        left.push(delivery);
                        left_bodies.push(body);
                    }
                }
            }
            (deliveries, bodies) = (left, left_bodies);
            if !deliveries.is_empty() && !self.pause(&mut wait).await {
                break; // what is dropped goes back to the queue
            }
        }
    }

    /// Leaves a body of another release to its lease: the schedule, not the queue, knows what is to be sent.
    fn leave(&self, delivery: Delivery, foreign: Foreign) {
        let (format, found, newest) = (foreign.format, foreign.found, foreign.newest);
        warn!(format, found, newest, "a body of another release is left to its lease");
        self.metrics.foreign.with_label_values(&[format]).inc();
        settled(delivery.ack());
    }

    /// Ends a message that cannot be written.
    async fn fail(&self, delivery: Delivery, request: &RenderRequest, (code, reason): (&'static str, &str)) {
        let message = &request.message;
        let mut wait = BACKOFF.0;
        let counts = loop {
            match self.sink.fail(message, &request.codice_fiscale, code).await {
                Ok(counts) => break counts,
                Err(failure) => warn!(code = failure.code(), "failed message not settled yet"),
            }
            if !self.pause(&mut wait).await {
                return;
            }
        };
        if !counts {
            settled(delivery.ack());
            return;
        }
        warn!(
            ente = message.ente,
            messaggio = message.messaggio,
            message_key = message.chiave,
            code,
            reason,
            "message cannot be written"
        );
        self.metrics.messages.with_label_values(&[&message.ente, &message.messaggio, "fallito"]).inc();
        self.bury(delivery, code, reason).await;
    }

    /// Puts a copy among the dead letters, then acknowledges.
    async fn bury(&self, delivery: Delivery, code: &str, reason: &str) {
        let why = DeadLetter { code, reason, queue: RENDER_QUEUE, at: self.clock.now() };
        let dead = Outgoing::dead_letter(&delivery, &why);
        let mut wait = BACKOFF.0;
        while let Err(failure) = self.publisher.publish(dead.clone()).await {
            warn!(code = failure.code(), "dead letter not published yet");
            if !self.pause(&mut wait).await {
                return;
            }
        }
        info!(code, reason, "delivery dead-lettered");
        self.metrics.dead.with_label_values(&[code]).inc();
        settled(delivery.ack());
    }

    /// Waits before another try, longer each time; false if the process stops.
    async fn pause(&self, wait: &mut Duration) -> bool {
        let slept = self.shutdown.run_until_cancelled(tokio::time::sleep(*wait)).await;
        *wait = (*wait * 2).min(BACKOFF.1);
        slept.is_some()
    }
}

/// A verdict that came too late means that the delivery comes again: the dispatcher's fence knows it.
fn settled(in_time: bool) {
    if !in_time {
        info!("delivery settled too late, it comes again");
    }
}
