//! Work in and out of RabbitMQ: the ports that the services are written against, and their adapters.
//!
//! - [`Publisher`], [`Consumer`], [`Deliveries`]: the ports; each states what it guarantees.
//! - [`message`]: what is sent ([`Outgoing`]) and what is received ([`Delivery`]).
//! - [`topology`]: exchanges, queues and bindings as data; [`permissions`]: who may do what with them.
//! - [`rabbitmq`]: the adapter on lapin. `memory`: the double for tests. `contract`: what both must pass.

#[cfg(feature = "testing")]
pub mod contract;
mod error;
#[cfg(feature = "testing")]
pub mod memory;
pub mod message;
mod options;
pub mod permissions;
pub mod rabbitmq;
mod state;
pub mod topology;

use std::future::Future;

pub use error::{BrokerError, Cause};
pub use message::{DeadLetter, Delivery, Outgoing};
pub use options::{MAX_PUBLISH_WINDOW, Options, Tls};
pub use rabbitmq::RabbitMq;
pub use state::{Counters, Links, State};

/// Log targets that the process must silence: at `warn` lapin prints whole returned messages (bodies
/// included), at `trace` its transport prints the URI with its password.
/// This module logs what matters of their events without either.
pub const SILENCED_LOG_TARGETS: [&str; 4] = ["lapin", "amq_protocol", "amq_protocol_tcp", "amq_protocol_uri"];

/// Publishes, and returns only after the broker has confirmed that the message is safe on its queues.
///
/// A message can reach its queue more than once (a confirm that is lost makes it go out again), never
/// less than once when the answer is `Ok`. An `Err` that is not [`BrokerError::Invalid`] says that nobody
/// knows: the message may be on its queue.
pub trait Publisher: Clone + Send + Sync + 'static {
    /// Publishes one message.
    fn publish(&self, outgoing: Outgoing) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Publishes many, in a bounded window of unconfirmed messages; the answers are in the order of the
    /// messages, and one failure does not stop the others.
    fn publish_all(
        &self,
        outgoing: Vec<Outgoing>,
    ) -> impl Future<Output = Vec<Result<(), BrokerError>>> + Send;
}

/// Takes messages from queues.
pub trait Consumer: Clone + Send + Sync + 'static {
    /// The stream of deliveries of one queue.
    type Deliveries: Deliveries;

    /// Starts taking from `queue`, at most `prefetch` unsettled deliveries at a time.
    ///
    /// Returns at once: a broker or a queue that is not there yet is waited for.
    fn subscribe(&self, queue: &str, prefetch: u16) -> Self::Deliveries;
}

/// The deliveries of one queue, across any number of lost and restored connections.
pub trait Deliveries: Send + 'static {
    /// The next delivery, or `None` once stopped or once the broker is closed; never `None` because of a
    /// fault. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Delivery>> + Send;

    /// Stops taking. Deliveries handed out before can still be settled; those that were only buffered go
    /// back to the queue when the last of them is settled.
    fn stop(&mut self) -> impl Future<Output = ()> + Send;
}
