//! What readiness probes and metrics may ask of the broker's adapter.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A refusal is told for so long after its exchange may be tried again: whoever has something for it tries
/// within that time, and if nobody has, nothing is mute.
const TOLD: Duration = Duration::from_secs(30);
/// A message that no queue took is told for so long; whoever tries it again does so sooner.
const RETURN_TOLD: Duration = Duration::from_secs(10);

/// How a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not usable now; attempts go on.
    Connecting,
    /// Usable.
    Up,
    /// The broker takes nothing from it (memory or disk alarm); what is published waits.
    Blocked,
    /// Closed by this process.
    Closed,
}

/// The two connections of a process (one alarm must not stop consuming, so publishing has its own), and what does
/// not get through although they are up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// The connection that publishes.
    pub publish: State,
    /// The connection that consumes and acknowledges.
    pub consume: State,
    /// Whether the broker answered when it was last [asked](super::RabbitMq::ask_for_confirms) for a confirm. A
    /// node that lost its majority may keep its connections and confirm nothing.
    pub confirms: bool,
    /// The queues of the consumers that are not subscribed now, by a number of the consumer.
    unsubscribed: BTreeMap<u64, String>,
    /// What is refused, and until when that is told.
    refusals: BTreeMap<String, Instant>,
}

impl Links {
    /// Before the first attempt to connect.
    pub(super) fn new() -> Self {
        let (publish, consume) = (State::Connecting, State::Connecting);
        Self { publish, consume, confirms: false, unsubscribed: BTreeMap::new(), refusals: BTreeMap::new() }
    }

    /// The queues that nothing is taken from although it was asked for. Each is tried again for ever; a
    /// connection may be up without: its queue is gone, or the permission on it.
    pub fn unsubscribed(&self) -> impl Iterator<Item = &str> {
        self.unsubscribed.values().map(String::as_str)
    }

    /// The exchanges that refuse what is published, and `exchange routing_key` where no queue took it.
    pub fn refusing(&self) -> impl Iterator<Item = &str> {
        let now = Instant::now();
        self.refusals.iter().filter(move |(_, until)| **until > now).map(|(name, _)| name.as_str())
    }

    /// True if that is news.
    pub(super) fn waits(&mut self, consumer: u64, queue: &str) -> bool {
        self.unsubscribed.insert(consumer, queue.to_owned()).is_none()
    }

    /// True if that is news.
    pub(super) fn waits_no_more(&mut self, consumer: u64) -> bool {
        self.unsubscribed.remove(&consumer).is_some()
    }

    /// Notes an exchange that is not tried before `again`.
    pub(super) fn refuses(&mut self, exchange: &str, again: Instant) {
        self.refusals.insert(exchange.to_owned(), again + TOLD);
    }

    /// Notes a message that no queue took.
    pub(super) fn returns(&mut self, exchange: &str, routing_key: &str) {
        let now = Instant::now();
        self.refusals.retain(|_, until| *until > now);
        self.refusals.insert(format!("{exchange} {routing_key}"), now + RETURN_TOLD);
    }

    /// Takes back both: it was confirmed. True if that is news.
    pub(super) fn takes(&mut self, exchange: &str, routing_key: &str) -> bool {
        let refused = self.refusals.remove(exchange).is_some();
        self.refusals.remove(&format!("{exchange} {routing_key}")).is_some() || refused
    }

    /// Both in one word: the worse of the two.
    #[must_use]
    pub fn state(&self) -> State {
        let both = [self.publish, self.consume];
        let worst = [State::Closed, State::Connecting, State::Blocked];
        worst.into_iter().find(|state| both.contains(state)).unwrap_or(State::Up)
    }
}

/// What happened so far. All only grow; a process exports them as Prometheus counters.
#[derive(Debug, Default)]
pub struct Counters {
    connections: AtomicU64,
    lost: AtomicU64,
    blocked: AtomicU64,
    resent: AtomicU64,
    returned: AtomicU64,
    refused: AtomicU64,
    consumer_faults: AtomicU64,
    not_subscribed: AtomicU64,
    stale_settlements: AtomicU64,
    abandoned: AtomicU64,
    streams_made: AtomicU64,
}

impl Counters {
    /// The faults among them, by the label that they are exported with.
    #[must_use]
    pub fn faults(&self) -> [(&'static str, u64); 10] {
        [
            ("connection-lost", self.lost()),
            ("blocked", self.blocked()),
            ("resent", self.resent()),
            ("returned", self.returned()),
            ("refused", self.refused()),
            ("consumer-ended", self.consumer_faults()),
            ("not-subscribed", self.not_subscribed()),
            ("stale-settlement", self.stale_settlements()),
            ("abandoned", self.abandoned()),
            ("stream-made", self.streams_made()),
        ]
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident, $bump:ident;)*) => {
        impl Counters {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(&self) -> u64 {
                    self.$name.load(Ordering::Relaxed)
                }

                pub(crate) fn $bump(&self) {
                    self.$name.fetch_add(1, Ordering::Relaxed);
                }
            )*
        }
    };
}

counters! {
    /// Connections opened.
    connections, count_connection;
    /// Connections lost.
    lost, count_lost;
    /// Times the broker blocked a connection.
    blocked, count_blocked;
    /// Messages published again because their fate was not known.
    resent, count_resent;
    /// Messages that came back because no queue took them.
    returned, count_returned;
    /// Messages over which the broker closed the channel or the connection.
    refused, count_refused;
    /// Consumers that ended without being asked to: cancelled by the server, or with their channel.
    consumer_faults, count_consumer_fault;
    /// Attempts to subscribe that failed.
    not_subscribed, count_not_subscribed;
    /// Settlements of deliveries whose channel was gone: these messages come again.
    stale_settlements, count_stale_settlement;
    /// Deliveries dropped without a verdict, given back to their queue.
    abandoned, count_abandoned;
    /// Streams that were missing and that this process made while it ran: their history is gone.
    streams_made, count_stream_made;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_link_names_the_state() {
        use State::{Blocked, Closed, Connecting, Up};
        let state = |publish, consume| Links { publish, consume, ..Links::new() }.state();
        assert_eq!(state(Up, Up), Up);
        assert_eq!(state(Up, Connecting), Connecting);
        assert_eq!(state(Blocked, Up), Blocked);
        assert_eq!(state(Blocked, Connecting), Connecting);
        assert_eq!(state(Closed, Up), Closed);
    }

    #[test]
    fn what_does_not_get_through_is_told_until_it_does() {
        let mut links = Links::new();
        assert!(links.waits(1, "a") && !links.waits(1, "a") && links.waits(2, "a"));
        assert!(links.waits_no_more(1));
        assert_eq!(links.unsubscribed().collect::<Vec<_>>(), ["a"], "the other consumer still waits");
        let now = Instant::now();
        links.refuses("x", now);
        links.returns("y", "k");
        assert_eq!(links.refusing().collect::<Vec<_>>(), ["x", "y k"]);
        assert!(!links.takes("y", "other"), "another key may have a queue");
        assert!(links.takes("x", "k") && links.takes("y", "k"));
        assert_eq!(links.refusing().count(), 0);
        // Nobody has anything for it any more.
        let Some(long_ago) = now.checked_sub(TOLD) else { return };
        links.refuses("x", long_ago);
        assert_eq!(links.refusing().count(), 0);
    }
}
