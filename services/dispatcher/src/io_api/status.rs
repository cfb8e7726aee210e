//! What a `GET /messages/{fiscal_code}/{id}` said. Asking changes nothing at IO.

use std::time::Duration;

use serde::Deserialize;

use super::observation::{Answered, Observation};

/// What became of a sent message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusAnswer {
    /// Not settled yet: ACCEPTED, THROTTLED, or a word that this build does not know.
    Pending,
    /// In the person's inbox. Final.
    Processed,
    /// Not on IO, or the service is not allowed. Final.
    Rejected,
    /// IO gave up. Final.
    Failed,
    /// 429.
    Throttled {
        /// How long, 1 s to 60 s.
        retry_after: Duration,
    },
    /// 401.
    KeyRefused,
    /// No answer, or one of no use: ask again later. A 500 is also what IO says when it cannot learn the
    /// state of a payment, and a 404 what it says before its record is there (io-api.md section 4).
    Retryable,
}

/// Reads what was seen of a `GET /messages/{fiscal_code}/{id}`.
#[must_use]
pub fn followed(seen: &Observation) -> StatusAnswer {
    match seen {
        Observation::NotFormed => StatusAnswer::KeyRefused,
        Observation::NotConnected | Observation::TimedOut | Observation::Reset | Observation::Closed => {
            StatusAnswer::Retryable
        }
        Observation::Answered(answered) => match answered.status {
            200 => status(answered),
            401 => StatusAnswer::KeyRefused,
            429 => StatusAnswer::Throttled { retry_after: answered.retry_after },
            _ => StatusAnswer::Retryable,
        },
    }
}

fn status(answered: &Answered) -> StatusAnswer {
    #[derive(Deserialize)]
    struct Message {
        status: String,
    }
    match answered.json::<Message>().as_ref().map(|message| message.status.as_str()) {
        Some("PROCESSED") => StatusAnswer::Processed,
        Some("REJECTED") => StatusAnswer::Rejected,
        Some("FAILED") => StatusAnswer::Failed,
        Some(_) => StatusAnswer::Pending,
        None => StatusAnswer::Retryable,
    }
}
