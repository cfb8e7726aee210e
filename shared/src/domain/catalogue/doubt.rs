//! What to do when nobody knows whether a message was sent.

use serde::{Deserialize, Serialize};

/// Policy for a send whose outcome is unknown (contract.md section 5): of a message type, as the ente or the
/// catalogue chooses, else of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDubbio {
    /// Keep it for an operator: at most one copy.
    #[default]
    Hold,
    /// Send it again, once, after longer than a gateway can hold the first: at most two copies.
    Resend,
    /// Take it as sent: at most one copy, and no human.
    AssumeSent,
    /// Keep it for an operator until its use ends, then give it up: at most one copy.
    Expire,
}

/// What a policy comes to for one message in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// An operator decides.
    Hold,
    /// It is sent again.
    Resend,
    /// It counts as sent.
    AssumeSent,
    /// An operator decides until then, Unix milliseconds; afterwards it is given up.
    ExpireAt(i64),
}

impl InDubbio {
    /// Every policy with its spelling, in settings, catalogue and outcomes.
    pub const ALL: [(&'static str, Self); 4] = [
        ("hold", Self::Hold),
        ("resend", Self::Resend),
        ("assume_sent", Self::AssumeSent),
        ("expire", Self::Expire),
    ];

    /// From its spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(spelling, _)| *spelling == text).map(|(_, policy)| policy)
    }

    /// Its spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Resend => "resend",
            Self::AssumeSent => "assume_sent",
            Self::Expire => "expire",
        }
    }

    /// What it comes to after `doubts` earlier ones, for a message that is of use until then (Unix
    /// milliseconds). A message that was sent again already, or whose use has no end, waits for an operator.
    #[must_use]
    pub fn ruling(self, doubts: u32, useful_until_ms: Option<i64>) -> Ruling {
        match (self, useful_until_ms) {
            (Self::Resend, _) if doubts == 0 => Ruling::Resend,
            (Self::AssumeSent, _) => Ruling::AssumeSent,
            (Self::Expire, Some(end)) => Ruling::ExpireAt(end),
            (Self::Hold | Self::Resend, _) | (Self::Expire, None) => Ruling::Hold,
        }
    }
}

impl Ruling {
    /// The policy that it is, for outcomes and logs.
    #[must_use]
    pub fn policy(self) -> InDubbio {
        match self {
            Self::Hold => InDubbio::Hold,
            Self::Resend => InDubbio::Resend,
            Self::AssumeSent => InDubbio::AssumeSent,
            Self::ExpireAt(_) => InDubbio::Expire,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_has_its_ruling() {
        let rows = [
            (InDubbio::Hold, 0, Some(9), Ruling::Hold),
            (InDubbio::Resend, 0, None, Ruling::Resend),
            (InDubbio::Resend, 1, None, Ruling::Hold),
            (InDubbio::AssumeSent, 0, None, Ruling::AssumeSent),
            (InDubbio::AssumeSent, 1, None, Ruling::AssumeSent),
            (InDubbio::Expire, 0, Some(9), Ruling::ExpireAt(9)),
            (InDubbio::Expire, 1, Some(9), Ruling::ExpireAt(9)),
            (InDubbio::Expire, 0, None, Ruling::Hold),
        ];
        for (policy, doubts, end, ruling) in rows {
            assert_eq!(policy.ruling(doubts, end), ruling, "{policy:?} after {doubts}, {end:?}");
        }
    }

    #[test]
    fn a_policy_is_spelt_the_same_everywhere() {
        for (spelling, policy) in InDubbio::ALL {
            assert_eq!(policy.as_str(), spelling);
            assert_eq!(serde_json::to_value(policy).unwrap(), spelling);
        }
    }
}
