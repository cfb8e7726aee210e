//! When an account's calls fail in a row, all of its messages wait, and none of them is blamed.

use std::time::Duration;

use crate::budget::Priority;

/// Failures in a row that say that it is IO's side, not the message.
const THRESHOLD: u32 = 10;
/// First pause; it doubles at each further trip.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause: IO back is noticed within a minute.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// The failures of an account. Submits have a count of their own: a message asks for its profile before each, and a
/// profile that was answered says nothing of a submit. Were it to end their count, an account that has fewer messages
/// under way than failures are needed would never pause, and leave each of them in doubt.
#[derive(Debug, Default)]
pub struct Breakers {
    submits: Breaker,
    questions: Breaker,
}

impl Breakers {
    /// The count that a call belongs to.
    pub fn of(&mut self, call: Priority) -> &mut Breaker {
        match call {
            Priority::Submit => &mut self.submits,
            Priority::Profile | Priority::Status => &mut self.questions,
        }
    }
}

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    trips: u32,
}

impl Breaker {
    /// A call got no answer of use. Returns the pause when it is one too many; after a pause the first
    /// failure trips it again.
    pub fn failed(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if self.failures < THRESHOLD {
            return None;
        }
        let pause = FIRST_PAUSE.saturating_mul(1_u32 << self.trips.min(8)).min(LONGEST_PAUSE);
        self.trips = self.trips.saturating_add(1);
        Some(pause)
    }

    /// A call was answered, whatever the answer.
    pub fn worked(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pause: Option<Duration>) -> u64 {
        pause.map_or(0, |pause| pause.as_secs())
    }

    #[test]
    fn the_tenth_failure_in_a_row_trips_and_pauses_double_up_to_a_minute() {
        let mut breaker = Breaker::default();
        let pauses: Vec<u64> = (0..16).map(|_| seconds(breaker.failed())).collect();
        assert_eq!(pauses, [0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 10, 20, 40, 60, 60, 60]);
    }

    #[test]
    fn a_question_that_was_answered_says_nothing_of_a_submit() {
        let mut breakers = Breakers::default();
        for _ in 0..9 {
            breakers.of(Priority::Profile).worked();
            assert_eq!(seconds(breakers.of(Priority::Submit).failed()), 0);
            breakers.of(Priority::Status).worked();
        }
        assert_eq!(seconds(breakers.of(Priority::Submit).failed()), 5);
    }

    #[test]
    fn one_answer_starts_the_count_again() {
        let mut breaker = Breaker::default();
        for _ in 0..20 {
            breaker.failed();
        }
        breaker.worked();
        assert_eq!(seconds(breaker.failed()), 0);
    }
}
