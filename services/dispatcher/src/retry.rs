//! When a message that failed is due again: pure, jitter and all.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Attempts that a message has. Twelve with the delays below span some 25 minutes.
pub const MAX_ATTEMPTS: u32 = 12;
/// Upper end of the first delay.
const FIRST: Duration = Duration::from_secs(1);
/// Upper end of the longest delay.
const LONGEST: Duration = Duration::from_mins(15);
/// Delays between askings for a status: most messages are settled within seconds.
const FOLLOW: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_hours(1),
    Duration::from_hours(6),
];
/// How long a status is asked for.
const FOLLOW_DAYS: i64 = 7;

/// What comes after a failure that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Due again after this long.
    Retry(Duration),
    /// That was the last attempt.
    GiveUp,
}

/// After a failure, with `failures` that counted before it, and `jitter` in 0..1: full jitter, so that
/// messages that failed together do not come back together.
#[must_use]
pub fn after_failure(failures: u32, jitter: f64) -> Next {
    if failures + 1 >= MAX_ATTEMPTS {
        return Next::GiveUp;
    }
    let ceiling = FIRST.saturating_mul(1_u32 << failures.min(20)).min(LONGEST);
    Next::Retry(ceiling.mul_f64(jitter.clamp(0.0, 1.0)).max(Duration::from_millis(100)))
}

/// A wait that is not the message's fault, spread over half as much again: what waited together comes
/// back over a while.
#[must_use]
pub fn spread(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 2.0)
}

/// When to ask for a status again, after asking number `asked` (from 1); `None` once it has been asked
/// for seven days.
#[must_use]
pub fn follow_again(asked: u32, sent: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
    let place = usize::try_from(asked).unwrap_or(usize::MAX).min(FOLLOW.len() - 1);
    ((now - sent).num_days() < FOLLOW_DAYS).then_some(FOLLOW[place])
}

/// When a status is asked for first, after the sending.
#[must_use]
pub fn follow_first() -> Duration {
    FOLLOW[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_a_second_to_a_quarter_of_an_hour_and_the_twelfth_attempt_is_the_last() {
        let ceilings: Vec<Next> = (0..12).map(|failures| after_failure(failures, 1.0)).collect();
        let seconds = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900];
        for (failures, ceiling) in seconds.into_iter().enumerate() {
            assert_eq!(ceilings[failures], Next::Retry(Duration::from_secs(ceiling)), "{failures}");
        }
        assert_eq!(ceilings[11], Next::GiveUp);
        assert_eq!(after_failure(u32::MAX - 1, 0.5), Next::GiveUp);
    }

    #[test]
    fn jitter_takes_any_part_of_the_delay_and_never_all_of_it_away() {
        assert_eq!(after_failure(3, 0.5), Next::Retry(Duration::from_secs(4)));
        assert_eq!(after_failure(3, 0.0), Next::Retry(Duration::from_millis(100)));
        assert_eq!(after_failure(3, 7.0), Next::Retry(Duration::from_secs(8)));
        assert_eq!(spread(Duration::from_secs(10), 1.0), Duration::from_secs(15));
        assert_eq!(spread(Duration::from_secs(10), 0.0), Duration::from_secs(10));
    }

    #[test]
    fn a_status_is_asked_for_ever_more_rarely_and_not_after_seven_days() {
        let sent = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let delays: Vec<u64> =
            (1..8).map(|asked| follow_again(asked, sent, sent).unwrap().as_secs()).collect();
        assert_eq!(follow_first().as_secs(), 5);
        assert_eq!(delays, [30, 120, 600, 3_600, 21_600, 21_600, 21_600]);
        let days = chrono::TimeDelta::days;
        assert!(follow_again(40, sent, sent + days(7) - chrono::TimeDelta::seconds(1)).is_some());
        assert_eq!(follow_again(40, sent, sent + days(7)), None);
    }
}
