//! What happens after each kind of failure.

use std::borrow::Cow;
use std::time::Duration;

use shared::domain::catalogue::Ruling;
use shared::store::ledger::{Ledger, Settlement};
use shared::store::quota::QuotaStore;
use shared::wire::{DispatchRequest, MessageRef};
use tracing::{error, warn};

use super::ledger::Stage;
use super::send::Sender;
use super::verdict::ATTEMPTS;
use super::{Enti, Handler, Step, jitter};
use crate::account::Blame;
use crate::io_api::{IoApi, Misconfigured};
use crate::keys::AfterRefusal;
use crate::retry::{self, Next};

/// How long a message waits whose ente or service has no settings.
const UNKNOWN_SENDER_WAIT: Duration = Duration::from_mins(1);
/// How long a message waits after IO could not be reached, while its account is not paused.
const UNREACHABLE_WAIT: Duration = Duration::from_secs(2);
/// How long a repetition waits for which its account has no budget: long enough to earn some.
const REPETITION_WAIT: Duration = Duration::from_secs(10);

/// Due again later, through no fault of its own.
pub(super) fn wait(time: Duration) -> Step {
    Step::Settle(Settlement::Retry {
        after: retry::spread(time, jitter()),
        burns_attempt: false,
        called: false,
    })
}

/// Due again later after a call that failed, without blame.
fn wait_to_repeat(time: Duration) -> Step {
    Step::Settle(Settlement::Retry {
        after: retry::spread(time, jitter()),
        burns_attempt: false,
        called: true,
    })
}

/// A repetition for which its account has no budget now.
pub(super) fn too_many_repetitions() -> Step {
    wait_to_repeat(REPETITION_WAIT)
}

/// Not sent, deliberately.
pub(super) fn discard(motivo: &'static str) -> Step {
    Step::Settle(Settlement::Discarded { motivo: Cow::Borrowed(motivo) })
}

/// Given up.
pub(super) fn give_up(codice: &'static str) -> Step {
    Step::Settle(Settlement::Failed { codice: Cow::Borrowed(codice) })
}

/// The ente, or its service, is not among the settings in force: its file may be on its way back.
pub(super) fn unknown_sender(message: &MessageRef) -> Step {
    warn!(ente = message.ente, servizio = message.servizio, "no settings for the sender");
    wait(UNKNOWN_SENDER_WAIT)
}

/// IO could not be reached: no message is to blame.
pub(super) fn unreachable(blame: Blame) -> Step {
    wait_to_repeat(blame.pause.max(UNREACHABLE_WAIT))
}

impl<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti> Handler<A, L, Q, E> {
    /// A failure that may be the message's own: it counts, unless the account was failing anyway.
    pub(super) async fn failed(&self, stage: Stage, message: &MessageRef, blame: Blame) -> Step {
        if !blame.counts {
            return wait_to_repeat(blame.pause);
        }
        let failures = match self.history(stage, message).await {
            Ok(history) => history.failures,
            Err(end) => return Step::End(end),
        };
        match retry::after_failure(failures, jitter()) {
            Next::GiveUp => give_up(ATTEMPTS),
            Next::Retry(after) => {
                let after = after.max(blame.pause);
                Step::Settle(Settlement::Retry { after, burns_attempt: true, called: true })
            }
        }
    }

    /// Nobody knows whether it went.
    pub(super) async fn doubt(&self, request: &DispatchRequest, evidence: &'static str) -> Step {
        let doubts = match self.history(Stage::After, &request.message).await {
            Ok(history) => history.doubts,
            Err(end) => return Step::End(end),
        };
        let now_ms = self.parts.clock.now().timestamp_millis();
        let ruling = request.in_dubbio.ruling(doubts, request.utile_fino_ms);
        let (message, politica) = (&request.message, ruling.policy());
        warn!(
            message_key = message.chiave,
            attempt = message.attempt,
            evidence,
            policy = politica.as_str(),
            "in doubt"
        );
        let after = match ruling {
            Ruling::AssumeSent => {
                return Step::Settle(Settlement::Assumed {
                    level: Some(request.livello),
                    ripiego: request.ripiego,
                    inviato_ms: now_ms,
                });
            }
            Ruling::Hold => None,
            Ruling::Resend => Some(self.parts.policy.resend_after),
            // The first millisecond after its use.
            Ruling::ExpireAt(end) => {
                Some(Duration::from_millis(end.saturating_sub(now_ms).max(0).unsigned_abs() + 1))
            }
        };
        Step::Settle(Settlement::InDoubt {
            politica,
            evidence: Cow::Borrowed(evidence),
            tentativo: doubts + 1,
            after,
        })
    }

    /// IO refused the key: the other one is tried by coming back at once, else the service is paused.
    pub(super) fn key_refused(&self, sender: &Sender<Q>, message: &MessageRef) -> Step {
        let Some(keys) = sender.keys(message) else { return unknown_sender(message) };
        match self.keys.refused(&message.ente, &message.servizio, keys, &sender.key) {
            AfterRefusal::OtherKey => {
                warn!(ente = message.ente, servizio = message.servizio, "IO key refused, using the other");
                Step::Settle(Settlement::Retry { after: Duration::ZERO, burns_attempt: false, called: false })
            }
            AfterRefusal::Paused(pause) => {
                error!(
                    ente = message.ente,
                    servizio = message.servizio,
                    pause_s = pause.as_secs(),
                    "IO keys refused, service paused"
                );
                wait(pause)
            }
        }
    }

    /// Every message of the service would meet the same: it is paused.
    pub(super) fn misconfigured(
        &self,
        sender: &Sender<Q>,
        message: &MessageRef,
        what: Misconfigured,
    ) -> Step {
        let Some(keys) = sender.keys(message) else { return unknown_sender(message) };
        let pause = self.keys.pause(&message.ente, &message.servizio, keys);
        error!(
            ente = message.ente,
            servizio = message.servizio,
            code = what.code(),
            pause_s = pause.as_secs(),
            "IO refuses all of the service, service paused"
        );
        wait(pause)
    }
}
