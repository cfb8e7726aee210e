//! The end of what ended every process that took it ([`shared::suspects`]).

use std::borrow::Cow;

use shared::store::ledger::{Ledger, Settlement};
use shared::store::quota::QuotaStore;
use shared::suspects::ENDED_EVERYONE;
use shared::wire::{DispatchRequest, FollowRequest};

use super::failures::give_up;
use super::ledger::Stage;
use super::verdict::{ATTEMPTS, Subject};
use super::{End, Enti, Handler, Step, Verdict};
use crate::io_api::IoApi;

/// To the dead letters.
const DEAD: End = End::Dead { code: ATTEMPTS, reason: Cow::Borrowed(ENDED_EVERYONE) };

impl<A: IoApi, L: Ledger, Q: QuotaStore, E: Enti> Handler<A, L, Q, E> {
    /// Ends a message as failed, unless the request of one of those tries may have left: that one is in doubt, and
    /// its policy decides.
    pub async fn give_up_dispatch(&self, request: &DispatchRequest) -> Verdict {
        let subject =
            Subject { message: &request.message, person: &request.codice_fiscale, sending: Some(request) };
        let mut verdict = self.carry_out(subject, give_up(ATTEMPTS), Stage::Before).await;
        if let End::Dead { code: ATTEMPTS, .. } = verdict.end {
            verdict.end = DEAD;
        }
        verdict
    }

    /// Asks no more what became of a message: it was sent, and stays so.
    pub async fn give_up_follow(&self, request: &FollowRequest) -> Verdict {
        let subject = Subject { message: &request.message, person: &request.codice_fiscale, sending: None };
        let verdict = self.carry_out(subject, Step::Settle(Settlement::FollowEnded), Stage::After).await;
        Verdict { end: DEAD, ..verdict }
    }
}
