//! Refusals of IO, as bounded codes: their texts may echo what was sent.

use super::observation::{Answered, Body};

/// A refusal that the same message will always meet. Its code is `data.codice` of `messaggio.fallito`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 400 "Invalid message structure".
    Structure,
    /// 400 on the payment's amount.
    Payment,
    /// 403 "Recipient forbidden": the account may write to test recipients only.
    Recipient,
    /// 403 or 404 on the remote content configuration.
    Configuration,
    /// 403 on attachments or third-party data.
    Attachment,
    /// 403 on another feature that the account does not have.
    Feature,
    /// Any other refusal of the 4xx class.
    Other,
}

impl Refusal {
    /// All of them.
    #[cfg(test)]
    const ALL: [Self; 7] = [
        Self::Structure,
        Self::Payment,
        Self::Recipient,
        Self::Configuration,
        Self::Attachment,
        Self::Feature,
        Self::Other,
    ];

    /// The code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Structure => "io-structure",
            Self::Payment => "io-payment",
            Self::Recipient => "io-recipient",
            Self::Configuration => "io-configuration",
            Self::Attachment => "io-attachment",
            Self::Feature => "io-feature",
            Self::Other => "io-refused",
        }
    }
}

/// A fault of ours or of the account that every message of the service would meet: the service is paused
/// and its messages wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misconfigured {
    /// 403 "You are not allowed here": no permission to write, unknown service, or address not authorised.
    Permission,
    /// 403 "Production call forbidden".
    Production,
    /// 403 in the gateway's own shape, for example a missing client certificate.
    Gateway,
    /// 404 for the path itself: `io.base_url` is wrong.
    Path,
    /// 3xx, never followed: the key would go to another host.
    Redirect,
}

impl Misconfigured {
    /// Bounded name, for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Production => "production",
            Self::Gateway => "gateway",
            Self::Path => "path",
            Self::Redirect => "redirect",
        }
    }
}

/// What a 4xx other than 401, 408 and 429 says. The numbers are the rows of io-api.md section 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    Refused(Refusal),
    Misconfigured(Misconfigured),
    /// Row 6, "a Premium message".
    Premium,
    /// The body did not come whole: which denial it is will show at the next try.
    Unreadable,
}

/// Reads a 4xx.
pub(super) fn denial(answered: &Answered) -> Denial {
    match answered.status {
        400 => Denial::Refused(bad_request(answered)),
        403 | 404 if answered.body == Body::Broken => Denial::Unreadable,
        403 => forbidden(answered),
        404 if answered.problem().is_some() => Denial::Refused(Refusal::Configuration), // row 10
        404 => Denial::Misconfigured(Misconfigured::Path),
        _ => Denial::Refused(Refusal::Other),
    }
}

/// Rows 4, 5, 8 and 16.
fn bad_request(answered: &Answered) -> Refusal {
    match answered.problem().map(|problem| problem.title) {
        Some(title) if title.starts_with("Invalid") => Refusal::Structure,
        Some(title) if title.contains("payment") => Refusal::Payment,
        _ => Refusal::Other,
    }
}

/// Rows 2, 3, 6, 7, 9, 11, 13, 14 and 15.
fn forbidden(answered: &Answered) -> Denial {
    let Some(problem) = answered.problem() else {
        return Denial::Misconfigured(Misconfigured::Gateway);
    };
    match problem.title.as_str() {
        "You are not allowed here" => not_allowed(&problem.detail),
        "Production call forbidden" => Denial::Misconfigured(Misconfigured::Production),
        "Recipient forbidden" => Denial::Refused(Refusal::Recipient),
        "Attachments call forbidden" => Denial::Refused(Refusal::Attachment),
        "No configuration id for remote content" | "Not your configuration" => {
            Denial::Refused(Refusal::Configuration)
        }
        _ => Denial::Refused(Refusal::Other),
    }
}

/// Row 6 names a feature; rows 2, 3 and 7 cannot be told apart.
fn not_allowed(detail: &str) -> Denial {
    if detail.contains("a Premium message") {
        Denial::Premium
    } else if detail.contains("third party message") {
        Denial::Refused(Refusal::Attachment)
    } else if detail.contains("to send ") {
        Denial::Refused(Refusal::Feature)
    } else {
        Denial::Misconfigured(Misconfigured::Permission)
    }
}

#[cfg(test)]
mod tests {
    use shared::domain::failure::FAILURES;

    use super::Refusal;

    #[test]
    fn an_ente_finds_every_code_in_the_docs() {
        for refusal in Refusal::ALL {
            assert!(FAILURES.iter().any(|(code, _)| *code == refusal.code()), "{}", refusal.code());
        }
    }
}
