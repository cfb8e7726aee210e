//! What was seen of one HTTP call, before anybody says what it means.

use std::time::Duration;

use serde::Deserialize;

/// Pause when a 429 does not say how long, or says it badly: IO's window of 5 s (io-api.md section 5).
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);
/// Shortest pause obeyed: the header counts whole seconds, so 0 means less than one.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause obeyed: a header of hours would stop an ente for a slip of the gateway.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// No connection was made (refused, DNS, TLS, connect timeout): not one byte of the request left.
    NotConnected,
    /// The request could not be formed (a key that no header can hold): nothing left.
    NotFormed,
    /// Connected, and no complete head of an answer within the timeout.
    TimedOut,
    /// The connection was reset after it was made.
    Reset,
    /// The connection ended, or spoke something else than HTTP, where the answer should have been.
    Closed,
    /// A head of an answer came.
    Answered(Answered),
}

/// An answer, as far as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// Pause that a 429 asks for, 1 s to 60 s.
    pub retry_after: Duration,
    /// `x-rate-limit-remaining`.
    pub remaining: Option<u32>,
    /// `Location`, which holds a fiscal code: only its last segment is ever used.
    pub location: Option<Location>,
    /// The body.
    pub body: Body,
}

/// The `Location` header. It holds a fiscal code, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Location(pub String);

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Location(…)")
    }
}

/// A body of at most 64 KiB. IO's error texts echo what they were sent, so `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// All of it came.
    Whole(Vec<u8>),
    /// It was cut, or went on beyond the cap or the timeout.
    Broken,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Broken => f.write_str("Broken"),
        }
    }
}

/// An error body that the IO handlers write. `detail` may echo personal data: it is only compared.
#[derive(Deserialize)]
pub(super) struct ProblemJson {
    pub(super) title: String,
    #[serde(default)]
    pub(super) detail: String,
    pub(super) status: u16,
}

impl Answered {
    /// The body as the value that it should be.
    pub(super) fn json<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        match &self.body {
            Body::Whole(bytes) => serde_json::from_slice(bytes).ok(),
            Body::Broken => None,
        }
    }

    /// The body as a problem of IO's handlers: what the gateway says in its own shape is none.
    pub(super) fn problem(&self) -> Option<ProblemJson> {
        self.json::<ProblemJson>().filter(|problem| problem.status == self.status)
    }
}

impl Observation {
    /// The metric label: the status where it is one that IO documents, else its class; `none` without an
    /// answer.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotConnected | Self::NotFormed | Self::TimedOut | Self::Reset | Self::Closed => "none",
            Self::Answered(answered) => status_label(answered.status),
        }
    }

    /// What went wrong, for the call's span; bounded.
    pub(super) fn error(&self) -> Option<&'static str> {
        match self {
            Self::NotConnected => Some("not-connected"),
            Self::NotFormed => Some("not-formed"),
            Self::TimedOut => Some("timeout"),
            Self::Reset => Some("reset"),
            Self::Closed => Some("closed"),
            Self::Answered(answered) => (answered.status >= 400).then(|| self.label()),
        }
    }

    /// Calls left to the account, where IO says so.
    #[must_use]
    pub fn remaining(&self) -> Option<u32> {
        match self {
            Self::Answered(answered) => answered.remaining,
            _ => None,
        }
    }
}

/// The statuses of io-api.md sections 3 and 4, and a class for all others.
fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        201 => "201",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        408 => "408",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => ["1xx", "2xx", "3xx", "4xx", "5xx"]
            .get(usize::from(status / 100).wrapping_sub(1))
            .unwrap_or(&"other"),
    }
}

/// The pause that a 429 asks for: the first of `x-rate-limit-retry-after` and `Retry-After` that is a
/// number of seconds, clamped to 1 s to 60 s; 5 s if neither is.
#[must_use]
pub(super) fn pause(headers: [Option<&str>; 2]) -> Duration {
    headers
        .into_iter()
        .flatten()
        .find_map(seconds)
        .map_or(DEFAULT_PAUSE, |pause| pause.clamp(MIN_PAUSE, MAX_PAUSE))
}

/// Whole seconds, however many digits they have.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().map_or(MAX_PAUSE, Duration::from_secs))
}

/// `x-rate-limit-remaining`, if it is a number.
#[must_use]
pub(super) fn remaining(header: Option<&str>) -> Option<u32> {
    header?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_of_a_429_survives_every_header() {
        let cases = [
            ([None, None], 5),
            ([Some("3"), None], 3),
            ([Some("3"), Some("9")], 3),
            ([None, Some("9")], 9),
            ([Some("soon"), Some("9")], 9),
            ([Some("0"), None], 1),
            ([Some("99999999"), None], 60),
            ([Some("99999999999999999999999999"), None], 60),
            ([Some("-1"), None], 5),
            ([Some("Wed, 21 Oct 2026 07:28:00 GMT"), None], 5),
            ([Some(""), Some(" 7 ")], 7),
        ];
        for (headers, seconds) in cases {
            assert_eq!(pause(headers), Duration::from_secs(seconds), "{headers:?}");
        }
    }

    #[test]
    fn the_budget_left_is_a_number_or_nothing() {
        let cases = [(None, None), (Some("0"), Some(0)), (Some(" 149 "), Some(149)), (Some("-1"), None)];
        for (header, left) in cases {
            assert_eq!(remaining(header), left, "{header:?}");
        }
        assert_eq!(remaining(Some("many")), None);
    }

    #[test]
    fn debug_shows_neither_body_nor_location() {
        let answered = Answered {
            status: 400,
            retry_after: DEFAULT_PAUSE,
            remaining: None,
            location: Some(Location("/api/v1/messages/RSSMRA85T10A562S/1".to_owned())),
            body: Body::Whole(b"value RSSMRA85T10A562S".to_vec()),
        };
        assert!(!format!("{answered:?}").contains("RSSMRA"));
    }
}
