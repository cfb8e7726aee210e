//! Exchanges that refused a message: what else is meant for them fails at once, for a while.
//!
//! A refusal takes the channel with it. Where the broker has the record of a stream and lost the stream, it
//! takes the connection, each time; and whatever else goes over that would come to a stand.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The first hold; each after another is twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// What a refusal cost, and so how long a hold may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// The channel: what is mended is noticed soon.
    Channel,
    /// The connection, and with it everything that was on its way.
    Connection,
}

impl Cost {
    fn longest_hold(self) -> Duration {
        match self {
            Self::Channel => Duration::from_secs(5),
            Self::Connection => Duration::from_mins(1),
        }
    }
}

/// What an exchange's refusals lead to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It refused nothing of late.
    Free,
    /// It refused, and may be tried again: with one message, alone.
    Trial,
    /// Not now; with what it said.
    Held(String),
}

struct Hold {
    until: Instant,
    pause: Duration,
    said: String,
}

/// The exchanges that refused, until they take something again.
#[derive(Default)]
pub(super) struct Holds(HashMap<String, Hold>);

impl Holds {
    /// Whether a message for this exchange may be offered.
    pub(super) fn admit(&self, exchange: &str, now: impl FnOnce() -> Instant) -> Admission {
        match self.0.get(exchange) {
            None => Admission::Free,
            Some(hold) if hold.until <= now() => Admission::Trial,
            Some(hold) => Admission::Held(hold.said.clone()),
        }
    }

    /// Notes a refusal; returns when the exchange may be tried again.
    pub(super) fn refused(&mut self, exchange: &str, said: String, cost: Cost, now: Instant) -> Instant {
        let before = self.0.get(exchange).map(|hold| hold.pause);
        let pause = before.map_or(FIRST, |pause| (pause * 2).min(cost.longest_hold()));
        let until = now + pause;
        self.0.insert(exchange.to_owned(), Hold { until, pause, said });
        until
    }

    /// Notes that the exchange took something; true if it was held.
    pub(super) fn taken(&mut self, exchange: &str) -> bool {
        self.0.remove(exchange).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_is_held_twice_as_long_each_time_until_it_takes_something() {
        let (mut holds, mut now) = (Holds::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let again = holds.refused("x", "gone".to_owned(), Cost::Connection, now);
            pauses.push(again.duration_since(now).as_secs());
            assert_eq!(holds.admit("x", || now), Admission::Held("gone".to_owned()));
            assert_eq!(holds.admit("y", || now), Admission::Free);
            now = again;
            assert_eq!(holds.admit("x", || now), Admission::Trial);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(holds.taken("x") && !holds.taken("x"));
        assert_eq!(holds.admit("x", || now), Admission::Free);
        assert_eq!(holds.refused("x", String::new(), Cost::Channel, now), now + FIRST, "it begins afresh");
        let last = (0..8).map(|_| holds.refused("x", String::new(), Cost::Channel, now)).last();
        assert_eq!(last, Some(now + Duration::from_secs(5)));
    }
}
