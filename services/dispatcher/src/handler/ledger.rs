//! Patience with the store: nothing else can go on while it is away, and what was sent must be recorded.

use std::future::Future;
use std::time::Duration;

use shared::crash_point;
use shared::domain::event::RefusalCode;
use shared::store::StoreError;
use shared::store::ledger::{History, Ledger, Settled, Settlement};
use shared::store::quota::QuotaStore;
use shared::wire::MessageRef;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use super::verdict::{self, Recorded, Subject};
use super::{End, Enti, Handler, Step, Verdict};
use crate::io_api::IoApi;

/// First pause between tries; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// A store that comes back is noticed within this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Longest wait with a delivery in hand: well within the 30 minutes after which RabbitMQ takes it away.
const PATIENCE: Duration = Duration::from_mins(10);

/// What is seen of a try that did not come back, in outcomes of doubt.
pub(super) const ABANDONED: &str = "abandoned";

/// Whether the request may have left already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not: a stop of the process ends the patience.
    Before,
    /// It has: what came of it must be recorded, stop or no stop.
    After,
}

impl<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti> Handler<A, L, Q, E> {
    /// Repeats an operation of the ledger until the store answers.
    pub(super) async fn patiently<T, F>(&self, stage: Stage, operation: impl Fn() -> F) -> Result<T, End>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match operation().await {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if let StoreError::Unreadable(_) = failure {
                error!(code = failure.code(), %failure, "record of a message cannot be read");
                return Err(End::Dead {
                    code: RefusalCode::Store.as_str(),
                    reason: "its record cannot be read".into(),
                });
            }
            let stops = stage == Stage::Before && self.parts.stopping.is_cancelled();
            if stops || began.elapsed() >= PATIENCE {
                return Err(End::GiveBack);
            }
            warn!(code = failure.code(), "store not answering, trying again");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What happened to the message before.
    pub(super) async fn history(&self, stage: Stage, message: &MessageRef) -> Result<History, End> {
        self.patiently(stage, || self.parts.ledger.history(message)).await
    }

    /// Carries a step out: records it if it is new, and says what to tell. `stage` is where the try was.
    pub(super) async fn carry_out(&self, subject: Subject<'_>, step: Step, stage: Stage) -> Verdict {
        let (hash, at) = (&self.parts.hash, Instant::now());
        let recorded =
            |settlement, stage| Recorded { message: subject.message.clone(), settlement, stage, at };
        // That it was sent is true of whichever try. Any other end may be one of before a loss, since when the same number
        // was given to an emission that is leaving now: it must not be undone.
        let found = |settlement| {
            let stage = if is_sent(&settlement) { Stage::After } else { Stage::Before };
            recorded(settlement, stage)
        };
        let new = match step {
            Step::Settle(settlement) => recorded(settlement, stage),
            Step::Tell(settlement) => return verdict::of(subject, found(settlement), hash),
            Step::End(end) => return end.into(),
        };
        let settled = self.patiently(Stage::After, || self.record(&new)).await;
        if let (Ok(Settled::InDoubt), Stage::Before, Some(request)) = (&settled, stage, subject.sending) {
            // Whoever left it in doubt may have died before it was told.
            let doubt = self.doubt(request, ABANDONED).await;
            return Box::pin(self.carry_out(subject, doubt, Stage::After)).await;
        }
        crash_point!("dispatcher.settled");
        let (message_key, attempt) = (&subject.message.chiave, subject.message.attempt);
        let is_sent_now = is_sent(&new.settlement);
        match settled {
            Ok(Settled::Recorded) => {
                self.count(subject, &new.settlement);
                verdict::of(subject, new, hash)
            }
            Ok(Settled::Already(other)) => {
                if is_sent_now && !is_sent(&other) {
                    error!(%message_key, attempt, "sent, and recorded as ended otherwise");
                }
                verdict::of(subject, found(other), hash)
            }
            Ok(Settled::Stale | Settled::InDoubt) => {
                if !is_sent_now {
                    return End::Ack.into();
                }
                // IO made it: the ente must know of this one too, whatever becomes of the other.
                error!(%message_key, attempt, "sent by an emission that was superseded");
                verdict::superseded(subject, &new.settlement, hash)
            }
            Err(end) => {
                if is_sent_now {
                    error!(%message_key, attempt, "sent, and not recorded: it will show as in doubt");
                }
                end.into()
            }
        }
    }

    async fn record(&self, new: &Recorded) -> Result<Settled, StoreError> {
        match new.stage {
            Stage::Before => self.parts.ledger.turn_back(&new.message, &new.settlement).await,
            Stage::After => self.parts.ledger.settle(&new.message, &new.settlement).await,
        }
    }

    /// Records once more what was told late ([`LINE_IN_TIME`](shared::journal::LINE_IN_TIME)): a rebuild that went on
    /// meanwhile may have read only as far as before that telling. Changes nothing where the store lost nothing. False
    /// if the process stops before the store answers.
    pub async fn record_again(&self, recorded: &Recorded) -> bool {
        let (message_key, attempt) = (&recorded.message.chiave, recorded.message.attempt);
        info!(%message_key, attempt, "told late, recorded once more");
        let again = self.patiently(Stage::Before, || self.record(recorded)).await;
        again != Err(End::GiveBack)
    }

    /// Metrics of what was recorded now.
    fn count(&self, subject: Subject<'_>, settlement: &Settlement) {
        let message = subject.message;
        if let (true, Some(request)) = (is_sent(settlement), subject.sending) {
            self.count_sent(request);
        }
        if let Some(outcome) = verdict::name(settlement) {
            let labels = [message.ente.as_str(), message.messaggio.as_str(), outcome];
            self.parts.metrics.fleet.messages.with_label_values(&labels).inc();
        }
    }
}

fn is_sent(settlement: &Settlement) -> bool {
    matches!(settlement, Settlement::Sent { .. })
}
