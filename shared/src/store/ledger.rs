//! The ledger of messages, as the dispatcher sees it: may this one be sent now, and what came of it.

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::domain::catalogue::InDubbio;
use crate::wire::{Level, MessageRef};

/// A try that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Names this try: no two tries share it, and repeating a fence with it changes nothing.
    pub token: String,
    /// How long the try may take, by the store's clock. A try that has neither settled nor ended by then
    /// was abandoned: its worker died, and nobody knows whether the message went.
    pub lasts: Duration,
}

/// May the message be sent now?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fence {
    /// Yes: the intent is recorded, and from now on a cancellation comes too late.
    Go,
    /// No: a later emission of the message exists, or another worker's try is still running. What happens
    /// next is theirs to tell.
    Stale,
    /// No: it was cancelled before.
    Cancelled {
        /// Reason, as in `messaggio.scartato`.
        motivo: Cow<'static, str>,
    },
    /// No: it ended before. For a message that was sent this is the sending, also when its status has
    /// been learnt since. Its outcome may not have been told: tell it again.
    Settled(Settlement),
    /// No: this emission is in doubt already. The intent is not recorded; what was told of the doubt may not
    /// have been heard: tell it again.
    Abandoned,
}

/// What came of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "esito", rename_all = "kebab-case")]
pub enum Settlement {
    /// IO made it. Final, apart from its status.
    Sent {
        /// IO's id, unless the answer was broken.
        io_id: Option<String>,
        /// Level at which it went.
        level: Level,
        /// It should have gone ADVANCED: its reminder must be armed (contract.md 10.23).
        ripiego: bool,
        /// Its status is to be asked for.
        follow: bool,
        /// When, Unix milliseconds.
        inviato_ms: i64,
    },
    /// Nobody knows, and policy `assume_sent` takes it as sent. Final, unless IO's answer comes after all.
    Assumed {
        /// Level at which it may have gone, where it is known.
        level: Option<Level>,
        /// As of [`Settlement::Sent`].
        ripiego: bool,
        /// When, Unix milliseconds.
        inviato_ms: i64,
    },
    /// Deliberately not sent. Final.
    Discarded {
        /// `motivo` of `messaggio.scartato`.
        motivo: Cow<'static, str>,
    },
    /// Given up. Final.
    Failed {
        /// `codice` of `messaggio.fallito`.
        codice: Cow<'static, str>,
    },
    /// The request left and no answer came.
    InDoubt {
        /// `Hold`: it waits for an operator. `Resend`: it is due again after `after`, once. `Expire`: it waits
        /// for an operator, and after `after` it is given up.
        politica: InDubbio,
        /// Bounded name of what was seen.
        evidence: Cow<'static, str>,
        /// Which doubt of this message it is, from 1.
        tentativo: u32,
        /// For `Resend` longer than a gateway can hold the first try; for `Expire` the rest of its use.
        after: Option<Duration>,
    },
    /// Due again later.
    Retry {
        /// From now, by the store's clock.
        after: Duration,
        /// It counts among [`History::failures`].
        burns_attempt: bool,
        /// A call was made and failed: the next try is a repetition ([`History::repeats`]). Stands until a request
        /// leaves.
        called: bool,
    },
    /// IO refuses Premium for this ente: due again at once, to be rendered as STANDARD. Burns nothing.
    PremiumRefused,
    /// Status PROCESSED. Final.
    Delivered {
        /// IO's id.
        io_id: String,
    },
    /// Status REJECTED or FAILED. Final.
    Rejected {
        /// IO's id.
        io_id: String,
        /// IO's word.
        stato: Cow<'static, str>,
    },
    /// Status not known yet: ask again later.
    FollowLater {
        /// From now, by the store's clock.
        after: Duration,
    },
    /// Status not known after days: it is not asked for any more.
    FollowEnded,
}

/// What the ledger did with a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is recorded, now or by an earlier call with the same settlement.
    Recorded,
    /// The message had ended otherwise: that stands.
    Already(Settlement),
    /// A later emission of the message exists, or another try of this one: nothing was recorded.
    Stale,
    /// The request of an earlier try of this emission may have left: it is in doubt, and nobody need have told it
    /// yet. Nothing was recorded.
    InDoubt,
}

/// What happened to a message before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Retries that burned an attempt.
    pub failures: u32,
    /// Doubts before this emission, of which at most one is resent.
    pub doubts: u32,
    /// A call for it failed before, or it is sent again after a doubt: to call again is a repetition.
    pub repeats: bool,
}

/// The ledger. Each operation is atomic and may be repeated: after a [`StoreError::Unavailable`] it may
/// have happened or not.
pub trait Ledger: Send + Sync + 'static {
    /// Asks whether the message may be sent now, and if so records the intent. The request may leave only
    /// after `Go`, and within `intent.lasts`.
    fn fence(
        &self,
        message: &MessageRef,
        intent: &Intent,
    ) -> impl Future<Output = Result<Fence, StoreError>> + Send;

    /// Records what came of it, by compare-and-set: an ended message stays as it ended, with the one
    /// exceptions: a doubt is closed by a late answer to the same emission, and a late `Sent` also ends what is
    /// only assumed to be sent, or waits to be sent again.
    fn settle(
        &self,
        message: &MessageRef,
        settlement: &Settlement,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// The same for a try that never passed the fence. A delivery that came again may be turned away while the
    /// request of the try before it has left: what is not to be sent now must not undo that one's intent or doubt.
    fn turn_back(
        &self,
        message: &MessageRef,
        settlement: &Settlement,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// The try of this token passed the fence and will not send: back to the schedule after `after`. Not what
    /// another try is about.
    fn withdraw(
        &self,
        message: &MessageRef,
        token: &str,
        after: Duration,
    ) -> impl Future<Output = Result<Settled, StoreError>> + Send;

    /// What happened to the message before. Asked only after a failure.
    fn history(&self, message: &MessageRef) -> impl Future<Output = Result<History, StoreError>> + Send;

    /// Messages of the ente are rendered as STANDARD for this long.
    fn standard_for(&self, ente: &str, time: Duration)
    -> impl Future<Output = Result<(), StoreError>> + Send;
}
