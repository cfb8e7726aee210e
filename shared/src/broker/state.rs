//! What readiness probes and metrics may ask of the broker's adapter.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// The two connections of a process: one alarm must not stop consuming, so publishing has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Links {
    /// The connection that publishes.
    pub publish: State,
    /// The connection that consumes and acknowledges.
    pub consume: State,
    /// Whether the broker answered when it was last [asked](super::RabbitMq::ask_for_confirms) for a confirm. A
    /// node that lost its majority may keep its connections and confirm nothing.
    pub confirms: bool,
}

impl Links {
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
    blocked: AtomicU64,
    resent: AtomicU64,
    returned: AtomicU64,
    consumer_faults: AtomicU64,
    stale_settlements: AtomicU64,
    abandoned: AtomicU64,
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
    /// Times the broker blocked a connection.
    blocked, count_blocked;
    /// Messages published again because their fate was not known.
    resent, count_resent;
    /// Messages that came back because no queue took them.
    returned, count_returned;
    /// Consumers that ended without being asked to: cancelled by the server, or with their channel.
    consumer_faults, count_consumer_fault;
    /// Settlements of deliveries whose channel was gone: these messages come again.
    stale_settlements, count_stale_settlement;
    /// Deliveries dropped without a verdict, given back to their queue.
    abandoned, count_abandoned;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_link_names_the_state() {
        use State::{Blocked, Closed, Connecting, Up};
        let state = |publish, consume| Links { publish, consume, confirms: true }.state();
        assert_eq!(state(Up, Up), Up);
        assert_eq!(state(Up, Connecting), Connecting);
        assert_eq!(state(Blocked, Up), Blocked);
        assert_eq!(state(Blocked, Connecting), Connecting);
        assert_eq!(state(Closed, Up), Closed);
    }
}
