//! What a `POST /messages` did: the table of answers.
//!
//! The line that matters runs between what certainly made no message (it may be sent again) and what may
//! have made one (it may not): everything that is not known to be on the first side is on the second.

use std::time::Duration;

use serde::Deserialize;
use shared::domain::FiscalCode;

use super::observation::{Answered, Observation};
use super::refusal::{Denial, Misconfigured, Refusal, denial};

/// What the submit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitAnswer {
    /// The message exists. Without its id (the body of the 201 was broken and `Location` did not help)
    /// its status cannot be followed; it is never sent again.
    Created {
        /// IO's id.
        io_id: Option<String>,
    },
    /// 429: not taken, and the whole account waits.
    Throttled {
        /// How long, 1 s to 60 s.
        retry_after: Duration,
    },
    /// 401, or a key that no header can hold.
    KeyRefused,
    /// 403: the account has no Premium contract.
    PremiumRefused,
    /// A fault that every message of the service would meet.
    Misconfigured(Misconfigured),
    /// This message will never be taken.
    Refused(Refusal),
    /// The request never left: it may be sent again freely.
    NotSent,
    /// IO said that it failed, before it made the message: it may be sent again, a bounded number of times.
    Retryable,
    /// The request left and nobody knows what became of it.
    Unknown(Evidence),
}

/// Why the outcome is unknown. Bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// No answer in time.
    Timeout,
    /// Connection reset after the request left.
    Reset,
    /// Connection ended in place of an answer.
    Closed,
    /// 408 or 5xx of a gateway, which may have lost the answer.
    Gateway,
    /// A success that is not 201, or a status out of range.
    Unexpected,
}

impl Evidence {
    /// Bounded name, for the store and the logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Gateway => "gateway",
            Self::Unexpected => "unexpected-status",
        }
    }
}

/// Reads what was seen of a `POST /messages`.
#[must_use]
pub fn submitted(seen: &Observation) -> SubmitAnswer {
    let answered = match seen {
        Observation::NotConnected => return SubmitAnswer::NotSent,
        Observation::NotFormed => return SubmitAnswer::KeyRefused,
        Observation::TimedOut => return SubmitAnswer::Unknown(Evidence::Timeout),
        Observation::Reset => return SubmitAnswer::Unknown(Evidence::Reset),
        Observation::Closed => return SubmitAnswer::Unknown(Evidence::Closed),
        Observation::Answered(answered) => answered,
    };
    match answered.status {
        201 => SubmitAnswer::Created { io_id: created_id(answered) },
        300..=399 => SubmitAnswer::Misconfigured(Misconfigured::Redirect),
        401 => SubmitAnswer::KeyRefused,
        408 => SubmitAnswer::Unknown(Evidence::Gateway),
        429 => SubmitAnswer::Throttled { retry_after: answered.retry_after },
        400..=499 => match denial(answered) {
            Denial::Refused(refusal) => SubmitAnswer::Refused(refusal),
            Denial::Misconfigured(what) => SubmitAnswer::Misconfigured(what),
            Denial::Premium => SubmitAnswer::PremiumRefused,
            Denial::Unreadable => SubmitAnswer::Retryable,
        },
        // The handler queues the message only after everything else went well, so its own 500 made none.
        500 if answered.problem().is_some() => SubmitAnswer::Retryable,
        500..=599 => SubmitAnswer::Unknown(Evidence::Gateway),
        _ => SubmitAnswer::Unknown(Evidence::Unexpected),
    }
}

/// The id of a created message: from the body, else the last segment of the relative `Location`.
fn created_id(answered: &Answered) -> Option<String> {
    #[derive(Deserialize)]
    struct Created {
        id: String,
    }
    let of_body = answered.json::<Created>().map(|created| created.id);
    let of_location =
        || answered.location.as_ref()?.0.trim_end_matches('/').rsplit('/').next().map(str::to_owned);
    of_body.filter(|id| is_message_id(id)).or_else(|| of_location().filter(|id| is_message_id(id)))
}

/// IO's ids are ULIDs of 26 characters; a margin is left for other forms, and none for a fiscal code.
fn is_message_id(id: &str) -> bool {
    (8..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && FiscalCode::parse(id).is_err()
}

#[cfg(test)]
#[path = "answer_corpus.rs"]
mod corpus;
#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
