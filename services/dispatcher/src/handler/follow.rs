//! What became of a sent message: asked for after fresh messages, ever more rarely, for some days.

use std::borrow::Cow;

use chrono::DateTime;
use shared::store::ledger::{Ledger, Settlement};
use shared::store::quota::QuotaStore;
use shared::wire::FollowRequest;

use super::ledger::Stage;
use super::verdict::Subject;
use super::{End, Enti, Handler, Step, Verdict, jitter};
use crate::account::Turn;
use crate::budget::Priority;
use crate::io_api::{IoApi, StatusAnswer};
use crate::retry;

impl<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti> Handler<A, L, Q, E> {
    /// Handles one asking. `usable` says whether its delivery is still ours.
    pub async fn follow(&self, request: &FollowRequest, usable: impl Fn() -> bool + Send + Sync) -> Verdict {
        let step = if usable() {
            match self.ask(request).await {
                Ok(step) => step,
                Err(step) => as_asking(step),
            }
        } else {
            Step::End(End::GiveBack)
        };
        let subject = Subject { message: &request.message, person: &request.codice_fiscale, sending: None };
        self.carry_out(subject, step, Stage::After).await
    }

    async fn ask(&self, request: &FollowRequest) -> Result<Step, Step> {
        let message = &request.message;
        let sender = self.sender(message)?;
        let turn = sender.account.turn(Turn::Asking).await?;
        let token = sender.account.call(Priority::Status, &message.ente).await?;
        let asked = self.parts.api.status(&sender.key.secret, &request.codice_fiscale, &request.io_id);
        let call = self.timed(message, "get_message", asked).await;
        drop(turn);
        if call.answer != StatusAnswer::Retryable {
            sender.account.answered(Priority::Status, &token, call.remaining).await;
        }
        let io_id = request.io_id.clone();
        let rejected = |stato: &'static str| {
            Step::Settle(Settlement::Rejected { io_id: request.io_id.clone(), stato: Cow::Borrowed(stato) })
        };
        Ok(match call.answer {
            StatusAnswer::Processed => Step::Settle(Settlement::Delivered { io_id }),
            StatusAnswer::Rejected => rejected("REJECTED"),
            StatusAnswer::Failed => rejected("FAILED"),
            StatusAnswer::Pending | StatusAnswer::Retryable => self.later(request),
            StatusAnswer::Throttled { retry_after } => {
                return Err(self.throttled(&sender.account, retry_after).await);
            }
            StatusAnswer::KeyRefused => return Err(self.key_refused(&sender, message)),
        })
    }

    /// Asks again, or no more.
    fn later(&self, request: &FollowRequest) -> Step {
        let sent = DateTime::from_timestamp_millis(request.inviato_ms).unwrap_or(DateTime::UNIX_EPOCH);
        let again = retry::follow_again(request.message.attempt, sent, self.parts.clock.now());
        Step::Settle(match again {
            Some(delay) => Settlement::FollowLater { after: retry::spread(delay, jitter()) },
            None => Settlement::FollowEnded,
        })
    }
}

/// A wait is one of the asking, not of the message, which was sent.
fn as_asking(step: Step) -> Step {
    match step {
        Step::Settle(Settlement::Retry { after, .. }) => Step::Settle(Settlement::FollowLater { after }),
        Step::Settle(_) | Step::Tell(_) | Step::End(_) => step,
    }
}
