//! What a `POST /profiles` said. Asking changes nothing at IO, so every failure may be asked again.

use std::time::Duration;

use serde::Deserialize;

use super::observation::{Answered, Observation};
use super::refusal::{Denial, Misconfigured, Refusal, denial};

/// May the service write to the person?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileAnswer {
    /// Yes.
    Allowed,
    /// The person blocked the service, or has not opted in.
    NotAllowed,
    /// Not on IO, or the inbox is off.
    NotFound,
    /// 429.
    Throttled {
        /// How long, 1 s to 60 s.
        retry_after: Duration,
    },
    /// 401.
    KeyRefused,
    /// A fault that every message of the service would meet.
    Misconfigured(Misconfigured),
    /// This person will always be refused.
    Refused(Refusal),
    /// IO is away, whoever is asked about: no connection, no answer, or a gateway's.
    Unavailable,
    /// IO failed at this question, or answered what nobody can read: ask again, a bounded number of times.
    Retryable,
}

/// Reads what was seen of a `POST /profiles`.
#[must_use]
pub fn profiled(seen: &Observation) -> ProfileAnswer {
    let answered = match seen {
        Observation::NotFormed => return ProfileAnswer::KeyRefused,
        Observation::NotConnected | Observation::TimedOut | Observation::Reset | Observation::Closed => {
            return ProfileAnswer::Unavailable;
        }
        Observation::Answered(answered) => answered,
    };
    match answered.status {
        200 => allowed(answered),
        300..=399 => ProfileAnswer::Misconfigured(Misconfigured::Redirect),
        401 => ProfileAnswer::KeyRefused,
        404 if answered.problem().is_some() => ProfileAnswer::NotFound,
        408 => ProfileAnswer::Unavailable,
        429 => ProfileAnswer::Throttled { retry_after: answered.retry_after },
        400..=499 => match denial(answered) {
            Denial::Refused(refusal) => ProfileAnswer::Refused(refusal),
            Denial::Misconfigured(what) => ProfileAnswer::Misconfigured(what),
            Denial::Premium => ProfileAnswer::Misconfigured(Misconfigured::Permission),
            Denial::Unreadable => ProfileAnswer::Retryable,
        },
        500 if answered.problem().is_some() => ProfileAnswer::Retryable,
        500..=599 => ProfileAnswer::Unavailable,
        _ => ProfileAnswer::Retryable,
    }
}

/// Only a plain `true` is a yes.
fn allowed(answered: &Answered) -> ProfileAnswer {
    #[derive(Deserialize)]
    struct Profile {
        sender_allowed: bool,
    }
    match answered.json::<Profile>() {
        Some(Profile { sender_allowed: true }) => ProfileAnswer::Allowed,
        Some(Profile { sender_allowed: false }) => ProfileAnswer::NotAllowed,
        None => ProfileAnswer::Retryable,
    }
}
