//! The simulated recipients: fictitious citizens, each with its own fate. Their codes have the right shape
//! and check letter, the surname `ZZZ` that no one bears, and a name that recalls the fate. Anyone else is
//! on IO and reachable.

use std::time::Duration;

/// The documented test citizen: on IO, reachable. The only one here whose check letter is not right.
pub const ON_IO: &str = "AAAAAA00A00A000A";
/// Not on IO: no profile (404); a message is accepted, then `REJECTED`.
pub const NOT_ON_IO: &str = "ZZZNIO80A01H501B";
/// Blocked the service: `sender_allowed` is false; a message is accepted, then `REJECTED`.
pub const SERVICE_BLOCKED: &str = "ZZZBLC80A01H501O";
/// Chose MANUAL and did not opt in: `sender_allowed` is false; a message is accepted, then `REJECTED`.
pub const MANUAL_NOT_OPTED_IN: &str = "ZZZMNL80A01H501Y";
/// Looks reachable, but its messages end `REJECTED` (the profile changed in between).
pub const REJECTED: &str = "ZZZRGT80A01H501G";
/// Looks reachable, but its messages end `FAILED`.
pub const FAILED: &str = "ZZZFLT80A01H501J";
/// Reachable, but its messages stay `ACCEPTED` for [`SLOW_AFTER`].
pub const SLOW: &str = "ZZZLNT80A01H501F";

/// Time that a message to [`SLOW`] stays `ACCEPTED`.
pub const SLOW_AFTER: Duration = Duration::from_mins(1);

/// Every simulated recipient.
pub const ALL: [&str; 7] = [ON_IO, NOT_ON_IO, SERVICE_BLOCKED, MANUAL_NOT_OPTED_IN, REJECTED, FAILED, SLOW];

/// What `/profiles` answers about a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Allowed,
    Denied,
    Missing,
}

/// Where a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Processed,
    Rejected,
    Failed,
}

/// Profile of a recipient.
pub(crate) fn profile(fiscal_code: &str) -> Profile {
    match fiscal_code {
        NOT_ON_IO => Profile::Missing,
        SERVICE_BLOCKED | MANUAL_NOT_OPTED_IN => Profile::Denied,
        _ => Profile::Allowed,
    }
}

/// End of a message to a recipient, and the time it takes to get there.
pub(crate) fn fate(fiscal_code: &str, usual: Duration) -> (Fate, Duration) {
    match fiscal_code {
        NOT_ON_IO | SERVICE_BLOCKED | MANUAL_NOT_OPTED_IN | REJECTED => (Fate::Rejected, usual),
        FAILED => (Fate::Failed, usual),
        SLOW => (Fate::Processed, SLOW_AFTER.max(usual)),
        _ => (Fate::Processed, usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_right_check_letter(code: &str) -> bool {
        const ODD: [u32; 26] =
            [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
        let rank = |c: char| c.to_digit(10).unwrap_or_else(|| u32::from(c) - u32::from('A'));
        let sum: u32 = code
            .chars()
            .take(15)
            .enumerate()
            .map(|(at, c)| if at % 2 == 0 { ODD[rank(c) as usize] } else { rank(c) })
            .sum();
        code.chars().last().map(rank) == Some(sum % 26)
    }

    #[test]
    fn every_simulated_recipient_but_the_documented_one_has_a_right_check_letter() {
        for code in ALL {
            assert!(crate::codec::is_fiscal_code(code), "{code}");
            assert_eq!(has_right_check_letter(code), code != ON_IO, "{code}");
        }
    }
}
