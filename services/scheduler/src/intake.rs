//! Intake: every delivery of `promemoria.events` ends taken, known, or refused where an operator sees it.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use shared::broker::{DeadLetter, Deliveries, Delivery, Outgoing, Publisher};
use shared::clock::Clock;
use shared::domain::event::{CaseEvent, Refusal};
use shared::outbox::Outbox;
use shared::wire::Outcome;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::inforce::InForce;
use crate::metrics::Metrics;
use crate::take::{Taken, Taker};
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
    pub(crate) taker: Taker,
    pub(crate) outbox: Outbox<P>,
    pub(crate) in_force: InForce,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) wake: Wake,
    pub(crate) clock: Clock,
}

impl<P: Publisher> Intake<P> {
    /// Takes deliveries until `shutdown`, then finishes those in hand; ends when `in_hand` is empty.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut deliveries: impl Deliveries,
        shutdown: CancellationToken,
        in_hand: TaskTracker,
    ) {
        let lanes: Vec<_> = (0..LANES).map(|_| self.lane(&shutdown, &in_hand)).collect();
        while let Some(Some(delivery)) = shutdown.run_until_cancelled(deliveries.next()).await {
            match self.check(&delivery) {
                Ok(event) => {
                    let lane = &lanes[lane_of(&event)];
                    if lane.send((delivery, event)).await.is_err() {
                        break; // the lane ended: only shutdown does that
                    }
                }
                Err(refusal) => self.refuse(delivery, &refusal, &shutdown).await,
            }
        }
        deliveries.stop().await;
        drop(lanes);
    }

    fn lane(
        self: &Arc<Self>,
        shutdown: &CancellationToken,
        in_hand: &TaskTracker,
    ) -> mpsc::Sender<(Delivery, CaseEvent)> {
        let (sender, mut receiver) = mpsc::channel::<(Delivery, CaseEvent)>(8);
        let (intake, shutdown) = (Arc::clone(self), shutdown.clone());
        in_hand.spawn(async move {
            while let Some((delivery, event)) = receiver.recv().await {
                intake.take(delivery, &event, &shutdown).await;
            }
        });
        sender
    }

    fn check(&self, delivery: &Delivery) -> Result<CaseEvent, Refusal> {
        let in_force = self.in_force.current();
        CaseEvent::parse(
            &delivery.body,
            delivery.content_type(),
            &delivery.routing_key,
            &in_force.catalogue,
            |id| in_force.enti.ente(id).map(AsRef::as_ref),
        )
    }

    async fn take(&self, delivery: Delivery, event: &CaseEvent, shutdown: &CancellationToken) {
        let in_force = self.in_force.current();
        let Some(ente) = in_force.enti.ente(&event.ente) else {
            settled(delivery.requeue()); // its file went away between check and take: check it again
            return;
        };
        let mut wait = BACKOFF.0;
        let taken = loop {
            match self.taker.take(event, &in_force.catalogue, ente).await {
                Ok(taken) => break taken,
                Err(failure) => {
                    warn!(ente = %event.ente, tipo = %event.tipo, error = %failure, "event not taken yet");
                }
            }
            if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                settled(delivery.requeue());
                return;
            }
            wait = (wait * 2).min(BACKOFF.1);
        };
        let (result, outcomes) = match taken {
            Taken::New(outcomes) => ("accepted", outcomes),
            // Only a redelivery can mean that its outcomes were not told.
            Taken::Known(outcomes) if delivery.redelivered => ("duplicate", outcomes),
            Taken::Known(_) => ("duplicate", Vec::new()),
            Taken::Conflict => {
                let refusal = Refusal::conflict(event);
                self.refuse(delivery, &refusal, shutdown).await;
                return;
            }
        };
        self.wake.ente(&event.ente);
        self.metrics.event(&event.ente, &event.tipo, result);
        self.metrics.unknown_fields(&event.ente, &event.tipo, event.unknown);
        self.metrics.told(&event.ente, &outcomes);
        if self.insist(shutdown, &[], &outcomes).await {
            settled(delivery.ack());
        } else {
            settled(delivery.requeue());
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

    /// Publishes until all is confirmed; false if shutdown came first.
    async fn insist(&self, shutdown: &CancellationToken, work: &[Outgoing], told: &[Outcome]) -> bool {
        let mut wait = BACKOFF.0;
        loop {
            if self.outbox.publish(work.to_vec()).await == 0 && self.outbox.tell(told.to_vec()).await {
                return true;
            }
            if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return false;
            }
            wait = (wait * 2).min(BACKOFF.1);
        }
    }
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
