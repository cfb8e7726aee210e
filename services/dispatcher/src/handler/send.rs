//! May it go, does it go, what came of it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use shared::crash_point;
use shared::domain::ente::{Ente, ServizioEnte};
use shared::store::ledger::{Fence, Intent, Ledger, Settlement};
use shared::store::quota::QuotaStore;
use shared::wire::{DispatchRequest, Level, MessageRef};
use tokio::time::Instant;
use tracing::warn;

use super::failures::{discard, give_up, too_many_repetitions, unknown_sender, unreachable, wait};
use super::ledger::{ABANDONED, Stage};
use super::verdict::Subject;
use super::{End, Enti, Handler, Step, Verdict};
use crate::account::{Account, Blame, Turn};
use crate::budget::{Busy, Priority};
use crate::io_api::{Call, IoApi, ProfileAnswer, SubmitAnswer};
use crate::keys::Key;

/// How long a try may take beyond the request itself: a wait for the budget before, the record after.
const INTENT_MARGIN: Duration = Duration::from_secs(10);
/// How long an ente's messages go STANDARD after IO refused Premium (contract.md 10.23).
const STANDARD_FOR: Duration = Duration::from_hours(1);
/// A recipient that IO does not let us write to.
const UNREACHABLE: &str = "destinatario-non-raggiungibile";
/// A message past its use.
const EXPIRED: &str = "scadenza-passata";
/// Codice of a refusal of Premium for a message that is none.
const FEATURE: &str = "io-feature";

/// Who sends.
pub(super) struct Sender<Q> {
    ente: Arc<Ente>,
    pub(super) account: Arc<Account<Q>>,
    pub(super) key: Key,
}

impl<Q> Sender<Q> {
    /// The service's settings.
    pub(super) fn keys(&self, message: &MessageRef) -> Option<&ServizioEnte> {
        self.ente.servizi.get(&message.servizio)
    }
}

impl From<Busy> for Step {
    fn from(busy: Busy) -> Self {
        wait(busy.after)
    }
}

impl From<End> for Step {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti> Handler<A, L, Q, E> {
    /// Handles one message. `usable` says whether its delivery is still ours.
    pub async fn dispatch(
        &self,
        request: &DispatchRequest,
        usable: impl Fn() -> bool + Send + Sync,
    ) -> Verdict {
        let (step, stage) = match self.send(request, &usable).await {
            Ok(step) => (step, Stage::After),
            Err(step) => (step, Stage::Before),
        };
        let subject =
            Subject { message: &request.message, person: &request.codice_fiscale, sending: Some(request) };
        self.carry_out(subject, step, stage).await
    }

    /// Decides, and sends. `Err` is a step as well: the way out of what never passed the fence.
    async fn send(
        &self,
        request: &DispatchRequest,
        usable: &(impl Fn() -> bool + Sync),
    ) -> Result<Step, Step> {
        let message = &request.message;
        if !usable() {
            return Err(Step::End(End::GiveBack));
        }
        self.in_time(request)?;
        let sender = self.sender(message)?;
        self.within_the_retry_budget(message, &sender.account).await?;
        // Held over both calls: a message whose profile is known is never behind one that only begins.
        let turn = sender.account.turn(Turn::Sending).await?;
        self.may_write(request, &sender).await?;
        let token = sender.account.call(Priority::Submit, &message.ente).await?;
        if !usable() || self.parts.stopping.is_cancelled() {
            return Err(Step::End(End::GiveBack));
        }
        self.in_time(request)?;
        crash_point!("dispatcher.before-fence", &message.evento, request.codice_fiscale.expose().as_bytes());
        self.pass_the_fence(request).await?;
        crash_point!("dispatcher.fenced");
        let token = if token.is_fresh() {
            Ok(token)
        } else {
            sender.account.call(Priority::Submit, &message.ente).await
        };
        let token = match token {
            Ok(token) => token,
            Err(busy) => return Ok(busy.into()),
        };
        let call =
            self.timed(message, "submit_message", self.parts.api.submit(&sender.key.secret, request)).await;
        crash_point!("dispatcher.answered");
        drop(turn);
        let blame = match call.answer {
            SubmitAnswer::NotSent | SubmitAnswer::Retryable | SubmitAnswer::Unknown(_) => {
                sender.account.failed(Priority::Submit).await
            }
            _ => sender.account.answered(Priority::Submit, &token, call.remaining).await,
        };
        Ok(self.submitted(request, &sender, call.answer, blame).await)
    }

    /// Nothing goes out after its use.
    fn in_time(&self, request: &DispatchRequest) -> Result<(), Step> {
        let now = self.parts.clock.now().timestamp_millis();
        match request.utile_fino_ms {
            Some(until) if now > until => Err(discard(EXPIRED)),
            _ => Ok(()),
        }
    }

    /// A repetition goes only as far as its account's fresh messages pay for it.
    async fn within_the_retry_budget(&self, message: &MessageRef, account: &Account<Q>) -> Result<(), Step> {
        let repeats = message.attempt > 1 && self.history(Stage::Before, message).await?.repeats;
        if !repeats {
            account.fresh();
        } else if !account.may_repeat() {
            self.parts.metrics.own.retries_held.with_label_values(&[account.name()]).inc();
            return Err(too_many_repetitions());
        }
        Ok(())
    }

    /// The ente, its account and the service's key, unless the service is paused.
    pub(super) fn sender(&self, message: &MessageRef) -> Result<Sender<Q>, Step> {
        let ente = self.parts.enti.ente(&message.ente).ok_or_else(|| unknown_sender(message))?;
        let keys = ente.servizi.get(&message.servizio).ok_or_else(|| unknown_sender(message))?;
        let key = self.keys.current(&message.ente, &message.servizio, keys).map_err(wait)?;
        let account = self.parts.accounts.of(&ente.io);
        Ok(Sender { ente, account, key })
    }

    /// Makes a call and measures it.
    pub(super) async fn timed<T>(
        &self,
        message: &MessageRef,
        operation: &'static str,
        call: impl Future<Output = Call<T>> + Send,
    ) -> Call<T> {
        let began = Instant::now();
        let call = call.await;
        let metrics = &self.parts.metrics.own;
        let seconds = began.elapsed().as_secs_f64();
        metrics.io_request_duration.with_label_values(&[operation]).observe(seconds);
        metrics.io_requests.with_label_values(&[message.ente.as_str(), operation, call.status]).inc();
        call
    }

    /// The profile: may the service write to the person?
    async fn may_write(&self, request: &DispatchRequest, sender: &Sender<Q>) -> Result<(), Step> {
        let (message, account) = (&request.message, &sender.account);
        let token = account.call(Priority::Profile, &message.ente).await?;
        let asked = self.parts.api.profile(&sender.key.secret, &request.codice_fiscale);
        let call = self.timed(message, "get_profile", asked).await;
        let blame = match call.answer {
            ProfileAnswer::Unavailable | ProfileAnswer::Retryable => account.failed(Priority::Profile).await,
            _ => account.answered(Priority::Profile, &token, call.remaining).await,
        };
        match call.answer {
            ProfileAnswer::Allowed => Ok(()),
            ProfileAnswer::NotAllowed | ProfileAnswer::NotFound => Err(discard(UNREACHABLE)),
            ProfileAnswer::Throttled { retry_after } => Err(self.throttled(account, retry_after).await),
            ProfileAnswer::KeyRefused => Err(self.key_refused(sender, message)),
            ProfileAnswer::Misconfigured(what) => Err(self.misconfigured(sender, message, what)),
            ProfileAnswer::Refused(refusal) => Err(give_up(refusal.code())),
            ProfileAnswer::Unavailable => Err(unreachable(blame)),
            ProfileAnswer::Retryable => Err(self.failed(Stage::Before, message, blame).await),
        }
    }

    /// 429: the account waits, and so does the message.
    pub(super) async fn throttled(&self, account: &Account<Q>, retry_after: Duration) -> Step {
        account.throttled(retry_after).await;
        wait(retry_after)
    }

    /// The last look before the request leaves, which records that it is about to.
    async fn pass_the_fence(&self, request: &DispatchRequest) -> Result<(), Step> {
        let intent = Intent { token: self.token(), lasts: self.parts.policy.request_timeout + INTENT_MARGIN };
        let message = &request.message;
        match self.patiently(Stage::Before, || self.parts.ledger.fence(message, &intent)).await? {
            Fence::Go => Ok(()),
            Fence::Stale => Err(Step::End(End::Ack)),
            Fence::Cancelled { motivo } => Err(Step::Tell(Settlement::Discarded { motivo })),
            Fence::Settled(settlement) => Err(Step::Tell(settlement)),
            Fence::Abandoned => Err(self.doubt(request, ABANDONED).await),
        }
    }

    /// What came of the submit.
    async fn submitted(
        &self,
        request: &DispatchRequest,
        sender: &Sender<Q>,
        answer: SubmitAnswer,
        blame: Blame,
    ) -> Step {
        let message = &request.message;
        match answer {
            SubmitAnswer::Created { io_id } => {
                if let Some(keys) = sender.keys(message) {
                    self.keys.accepted(&message.ente, &message.servizio, keys);
                }
                self.sent(request, io_id)
            }
            SubmitAnswer::Throttled { retry_after } => self.throttled(&sender.account, retry_after).await,
            SubmitAnswer::KeyRefused => self.key_refused(sender, message),
            SubmitAnswer::PremiumRefused => self.premium_refused(request).await,
            SubmitAnswer::Misconfigured(what) => self.misconfigured(sender, message, what),
            SubmitAnswer::Refused(refusal) => give_up(refusal.code()),
            SubmitAnswer::NotSent => unreachable(blame),
            SubmitAnswer::Retryable => self.failed(Stage::After, message, blame).await,
            SubmitAnswer::Unknown(evidence) => self.doubt(request, evidence.as_str()).await,
        }
    }

    fn sent(&self, request: &DispatchRequest, io_id: Option<String>) -> Step {
        if io_id.is_none() {
            warn!(
                message_key = request.message.chiave,
                "created without an id: its status cannot be followed"
            );
        }
        Step::Settle(Settlement::Sent {
            follow: self.parts.policy.track_status && io_id.is_some(),
            io_id,
            level: request.livello,
            ripiego: request.ripiego,
            inviato_ms: self.parts.clock.now().timestamp_millis(),
        })
    }

    /// The ente goes STANDARD for a while, this message at once.
    async fn premium_refused(&self, request: &DispatchRequest) -> Step {
        if request.livello != Level::Advanced {
            return give_up(FEATURE);
        }
        let ente = &request.message.ente;
        warn!(ente, "IO refuses Premium, going STANDARD for an hour");
        match self.patiently(Stage::After, || self.parts.ledger.standard_for(ente, STANDARD_FOR)).await {
            Ok(()) => Step::Settle(Settlement::PremiumRefused),
            Err(end) => Step::End(end),
        }
    }

    /// Metrics of a message that was sent now.
    pub(super) fn count_sent(&self, request: &DispatchRequest) {
        let (metrics, now_ms) = (&self.parts.metrics, self.parts.clock.now().timestamp_millis());
        let since = |ms: i64| {
            let ms = u64::try_from(now_ms.saturating_sub(ms)).unwrap_or(0);
            Duration::from_millis(ms).as_secs_f64()
        };
        metrics.count_premium(request);
        let ente = [request.message.ente.as_str()];
        metrics.own.sent_lag.with_label_values(&ente).observe(since(request.dovuto_ms));
        if let Some(taken) = request.accolto_ms {
            let message = [request.message.messaggio.as_str()];
            metrics.own.end_to_end.with_label_values(&message).observe(since(taken));
        }
    }
}
