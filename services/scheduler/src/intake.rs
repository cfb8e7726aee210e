//! Intake: every delivery of `promemoria.events` ends taken, known, or refused where an operator sees it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use shared::broker::{DeadLetter, Deliveries, Delivery, Outgoing, Publisher, topology};
use shared::clock::Clock;
use shared::crash_point;
use shared::domain::event::{CaseEvent, Refusal, RefusalCode};
use shared::journal::{LINE_IN_TIME, event_line};
use shared::outbox::Outbox;
use shared::store::{CaseStore, Crashes};
use shared::suspects::{Admission, Coming, ENDED_EVERYONE, Leave, Suspect, Suspects};
use shared::take::{Taken, Taker};
use shared::trace::{Cause, Place, Span, Traces};
use shared::wire::Outcome;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use crate::inforce::InForce;
use crate::metrics::Metrics;
use crate::wake::Wake;

/// The queue of case events.
pub(crate) const QUEUE: &str = "promemoria.events";

/// Events of one case are taken one after the other, in one lane. As many events as lanes are in hand at
/// once: enough to hide the store's and the broker's round trips.
const LANES: usize = 256;

/// First and longest wait before something that failed is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Takes events in.
pub(crate) struct Intake<P> {
    pub(crate) taker: Taker<CaseStore>,
    pub(crate) outbox: Outbox<P>,
    pub(crate) in_force: InForce,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) wake: Wake,
    pub(crate) clock: Clock,
    pub(crate) suspects: Suspects<Crashes>,
    pub(crate) traces: Traces,
}

/// Where events of one case go one after the other.
type Lanes = Arc<[mpsc::Sender<Checked>]>;

/// An event in its lane, with the leave that a redelivered one needs.
type Checked = (Delivery, CaseEvent, Option<Leave<Crashes>>);

impl<P: Publisher> Intake<P> {
    /// Takes deliveries until `shutdown`, then finishes those in hand; ends when `in_hand` is empty.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut deliveries: impl Deliveries,
        shutdown: CancellationToken,
        in_hand: TaskTracker,
    ) {
        let lanes: Lanes = (0..LANES).map(|_| self.lane(&shutdown, &in_hand)).collect();
        while let Some(Some(delivery)) = shutdown.run_until_cancelled(deliveries.next()).await {
            if delivery.redelivered {
                // Beside the others, because a suspect waits for its turn.
                let (intake, shutdown, lanes) = (Arc::clone(&self), shutdown.clone(), Arc::clone(&lanes));
                in_hand.spawn(async move { intake.again(delivery, &lanes, &shutdown).await });
            } else if !self.first(delivery, &lanes, (&shutdown, &in_hand)).await {
                break;
            }
        }
        deliveries.stop().await;
        drop(lanes);
    }

    /// Checks an event that comes for the first time and puts it into its lane; false if there are none left.
    async fn first(
        self: &Arc<Self>,
        delivery: Delivery,
        lanes: &Lanes,
        (shutdown, in_hand): (&CancellationToken, &TaskTracker),
    ) -> bool {
        // A panic ends this event's try: what is dropped comes again, and in the end to the dead letters.
        let Ok(checked) = catch_unwind(AssertUnwindSafe(|| self.check(&delivery))) else { return true };
        match checked {
            // A lane ends only at shutdown.
            Ok(event) => lanes[lane_of(&event)].send((delivery, event, None)).await.is_ok(),
            Err(refusal) => {
                // Beside the lanes: dead letters without a queue must not hold up what is good.
                let (intake, shutdown) = (Arc::clone(self), shutdown.clone());
                let span = intake.refused(&refusal);
                in_hand.spawn(async move {
                    span.within(intake.refuse(delivery, &refusal, &shutdown)).await;
                });
                true
            }
        }
    }

    /// The same for one that was given out before, perhaps to a process that ended of it.
    async fn again(&self, delivery: Delivery, lanes: &Lanes, shutdown: &CancellationToken) {
        let suspect = Suspect::of(QUEUE, &delivery.body);
        let leave = match shutdown.run_until_cancelled(self.suspects.admit(suspect, Coming::Again)).await {
            None => return, // what is dropped goes back to the queue
            Some(Admission::GiveUp) => {
                let code = RefusalCode::Attempts;
                let traceparent = delivery.trace();
                let refusal = Refusal {
                    code,
                    reason: ENDED_EVERYONE.to_owned(),
                    event_id: None,
                    subject: None,
                    traceparent,
                };
                self.refused(&refusal).within(self.refuse(delivery, &refusal, shutdown)).await;
                return;
            }
            Some(Admission::Handle(leave)) => leave,
        };
        if !delivery.usable() {
            // It was lost while it waited: somebody else's by now.
            leave.over().await;
            return;
        }
        match self.check(&delivery) {
            Ok(event) => {
                let lane = &lanes[lane_of(&event)];
                // A lane that ended drops it, and what is dropped goes back to the queue.
                drop(lane.send((delivery, event, Some(leave))).await);
            }
            Err(refusal) => {
                self.refused(&refusal).within(self.refuse(delivery, &refusal, shutdown)).await;
                leave.over().await;
            }
        }
    }

    fn lane(self: &Arc<Self>, shutdown: &CancellationToken, in_hand: &TaskTracker) -> mpsc::Sender<Checked> {
        let (sender, mut receiver) = mpsc::channel::<Checked>(8);
        let (intake, shutdown, tracker) = (Arc::clone(self), shutdown.clone(), in_hand.clone());
        in_hand.spawn(async move {
            while let Some((delivery, mut event, leave)) = receiver.recv().await {
                let begun = Instant::now();
                let span = intake.begin(&mut event);
                let (taking, shutdown) = (Arc::clone(&intake), shutdown.clone());
                // A task of its own: a panic ends this event's try and not the lane.
                let taking = tracker.spawn(async move {
                    span.within(taking.take(delivery, &event, &shutdown)).await;
                });
                match (taking.await, leave) {
                    (Ok(()), Some(leave)) => leave.over().await,
                    (Ok(()), None) => {}
                    (Err(_), _) => error!("taking an event panicked, it comes again"),
                }
                intake.metrics.stage("intake", begun.into_std());
            }
        });
        sender
    }

    /// The span of an event. One without a context of its own, and that is kept, gets it from here: what comes
    /// of it months later is linked to this.
    fn begin(&self, event: &mut CaseEvent) -> Span {
        // The check has compared the routing key with ente and type: it is nobody else's text.
        let routing_key = format!("{}.{}", event.ente, event.tipo);
        let taken = Place { exchange: topology::EVENTS, routing_key: &routing_key, queue: Some(QUEUE) };
        let span = self.traces.process(&taken, Cause::Event(event.traceparent));
        span.note_event((&event.ente, &event.servizio, &event.tipo));
        event.traceparent = event.traceparent.or_else(|| span.kept());
        span
    }

    /// The span of an event that is refused: its routing key may be any text.
    fn refused(&self, refusal: &Refusal) -> Span {
        let taken = Place { exchange: topology::EVENTS, routing_key: "", queue: Some(QUEUE) };
        let span = self.traces.process(&taken, Cause::Event(refusal.traceparent));
        span.fail(refusal.code.as_str());
        span
    }

    fn check(&self, delivery: &Delivery) -> Result<CaseEvent, Refusal> {
        let in_force = self.in_force.current();
        let read = CaseEvent::parse(
            &delivery.body,
            delivery.content_type(),
            &delivery.routing_key,
            &in_force.catalogue,
            |id| in_force.enti.ente(id).map(AsRef::as_ref),
        );
        // The event's own context begins its trace; the header names a hop of it, and serves where that is all.
        match read {
            Ok(event) => {
                Ok(CaseEvent { traceparent: event.traceparent.or_else(|| delivery.trace()), ..event })
            }
            Err(refusal) => {
                Err(Refusal { traceparent: refusal.traceparent.or_else(|| delivery.trace()), ..refusal })
            }
        }
    }

    async fn take(&self, delivery: Delivery, event: &CaseEvent, shutdown: &CancellationToken) {
        crash_point!("intake.received", &event.id, &delivery.body);
        let mut is_again = false;
        loop {
            let begun = Instant::now();
            let Some((taken, was_tried)) = self.taken(event, shutdown).await else { break };
            crash_point!("intake.committed");
            let is_known = matches!(taken, Taken::Known(..));
            let Some((result, outcomes, line)) = owed(taken, delivery.redelivered, is_again || was_tried)
            else {
                let refusal = Refusal::conflict(event);
                self.refuse(delivery, &refusal, shutdown).await;
                return;
            };
            self.wake.ente(&event.ente);
            if !is_again {
                self.metrics.event(&event.ente, &event.tipo, result);
                self.metrics.unknown_fields(&event.ente, &event.tipo, event.unknown);
                self.metrics.told(&event.ente, &outcomes);
            }
            let line = line.map(|at_ms| event_line(event, &delivery.routing_key, &delivery.body, at_ms));
            if !self.insist(shutdown, line.as_slice(), &outcomes).await {
                break;
            }
            // Known still, after a line of it was confirmed: no rebuild has passed it by.
            if line.is_none() || begun.elapsed() < LINE_IN_TIME || (is_again && is_known) {
                crash_point!("intake.told");
                settled(delivery.ack());
                return;
            }
            is_again = true;
        }
        settled(delivery.requeue());
    }

    /// Takes an event, as often as the store fails, and whether it did; none if shutdown comes first, or its ente went
    /// away.
    async fn taken(&self, event: &CaseEvent, shutdown: &CancellationToken) -> Option<(Taken, bool)> {
        let in_force = self.in_force.current();
        let ente = in_force.enti.ente(&event.ente)?; // went away between check and take: check it again
        let (mut wait, mut was_tried) = (BACKOFF.0, false);
        loop {
            match self.taker.take(event, &in_force.catalogue, ente, None).await {
                Ok(taken) => return Some((taken, was_tried)),
                Err(failure) => {
                    warn!(ente = %event.ente, tipo = %event.tipo, error = %failure, "event not taken yet");
                }
            }
            was_tried = true;
            shutdown.run_until_cancelled(tokio::time::sleep(wait)).await?;
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    /// Refuses an event: a copy in `promemoria.dead`, `evento.rifiutato` to the ente it came for.
    async fn refuse(&self, delivery: Delivery, refusal: &Refusal, shutdown: &CancellationToken) {
        let code = refusal.code.as_str();
        let in_force = self.in_force.current();
        let mut words = delivery.routing_key.splitn(2, '.');
        let ente = words.next().and_then(|id| in_force.enti.ente(id)).map(|ente| ente.id.clone());
        let tipo = words.next().filter(|tipo| in_force.catalogue.tipi_evento().contains(tipo));
        info!(ente, tipo, code, reason = %refusal.reason, "event refused");
        self.metrics.event(ente.as_deref().unwrap_or("-"), tipo.unwrap_or("-"), "refused");
        self.metrics.dead(code);
        let why = DeadLetter { code, reason: &refusal.reason, queue: QUEUE, at: self.clock.now() };
        let dead = Outgoing::dead_letter(&delivery, &why);
        let told = ente.map(|ente| rejected(ente, refusal, &delivery));
        let told: Vec<Outcome> = told.into_iter().collect();
        if self.insist(shutdown, &[dead], &told).await {
            settled(delivery.ack());
        } else {
            settled(delivery.requeue());
        }
    }

    /// Publishes until all is confirmed, side by side; false if shutdown came first.
    async fn insist(&self, shutdown: &CancellationToken, work: &[Outgoing], told: &[Outcome]) -> bool {
        let mut wait = BACKOFF.0;
        loop {
            let mut all = work.to_vec();
            all.extend(self.outbox.messages(told));
            if self.outbox.publish(all).await == 0 {
                return true;
            }
            if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return false;
            }
            wait = (wait * 2).min(BACKOFF.1);
        }
    }
}

/// What is owed to an event that was taken: the word for the metric, its outcomes, and the instant of its journal line
/// if that may be missing; none for a conflict. An event that is known as it comes for the first time was told and written
/// by whoever took it. Not so one that was `redelivered`, whose taker may have died in between; nor one that was `tried`
/// before: a store that fails may have taken it all the same, and a confirm that came late need not be true
/// (docs/ARCHITECTURE.md, "A channel for each stream").
fn owed(taken: Taken, redelivered: bool, tried: bool) -> Option<(&'static str, Vec<Outcome>, Option<i64>)> {
    Some(match taken {
        Taken::New(outcomes, at_ms) => ("accepted", outcomes, Some(at_ms)),
        Taken::Known(outcomes, at_ms) if tried && !redelivered => ("accepted", outcomes, Some(at_ms)),
        Taken::Known(outcomes, at_ms) if redelivered => ("duplicate", outcomes, Some(at_ms)),
        Taken::Known(..) => ("duplicate", Vec::new(), None),
        Taken::Conflict => return None,
    })
}

fn lane_of(event: &CaseEvent) -> usize {
    let case = shared::domain::plan::case_id(&event.servizio, &event.pratica, Some(&event.ente));
    usize::from(u16::from_be_bytes([case[0], case[1]])) % LANES
}

/// `evento.rifiutato` (contract.md sections 4 and 10.3).
fn rejected(ente: String, refusal: &Refusal, delivery: &Delivery) -> Outcome {
    let evento = refusal.event_id.as_deref().or_else(|| delivery.message_id()).unwrap_or("-");
    let digest = shared::store::keys::hex(&Sha256::digest(&delivery.body)[..8]);
    let outcome = Outcome {
        ente,
        tipo: "evento.rifiutato",
        subject: refusal.subject.clone().unwrap_or_else(|| "-".to_owned()),
        servizio: None,
        data: serde_json::Map::new(),
        identity: format!("{evento}/{digest}"),
        traceparent: refusal.traceparent,
    };
    outcome
        .with("codice", refusal.code.as_str())
        .with("motivo", refusal.reason.as_str())
        .with("evento", evento)
}

/// A verdict that the broker did not get means that the delivery comes again, which is harmless: the event
/// is known by then.
fn settled(reached: bool) {
    if !reached {
        debug!("the delivery's channel is gone, it comes again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_have_been_told_and_written_is_told_and_written_again() {
        let line = |taken, redelivered, tried| owed(taken, redelivered, tried).map(|(_, _, line)| line);
        assert_eq!(line(Taken::New(Vec::new(), 7), false, false), Some(Some(7)));
        assert_eq!(line(Taken::Known(Vec::new(), 7), false, false), Some(None), "published twice");
        assert_eq!(line(Taken::Known(Vec::new(), 7), true, false), Some(Some(7)), "its taker died");
        assert_eq!(
            line(Taken::Known(Vec::new(), 7), false, true),
            Some(Some(7)),
            "the commit's answer was lost"
        );
        assert_eq!(line(Taken::Conflict, true, true), None);
    }
}
