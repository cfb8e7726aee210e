//! The adapter on lapin.
//!
//! - `socket`, `connection`: from a URL to a connection that is kept open; publishing and consuming each
//!   have their own, because an alarm of the broker silences the whole connection that publishes.
//! - `probe`: whether the broker confirms. `publisher`, `confirms`: the window of messages in flight and what each confirm means.
//!   `lanes`: which channel a message goes over. `holds`: exchanges that refuse are left alone for a while.
//! - `consumer`, `acks`: subscriptions that outlive their channels, and merged acknowledgements. `wary`: after a message
//!   that cannot be read they take one at a time.
//! - `desk`: an operator's visit to a queue. `stream`: one reading of a stream.
//! - `declare`, `properties`: the topology and the messages in lapin's types.

mod acks;
mod confirms;
mod connection;
mod consumer;
mod declare;
mod desk;
mod holds;
mod lanes;
mod probe;
mod properties;
mod publisher;
mod socket;
mod stream;
mod wary;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use connection::{Live, Role, Shared};
#[cfg(feature = "testing")]
pub(crate) use properties::Envelope;
pub use {
    consumer::RabbitDeliveries,
    declare::Compared,
    desk::{Depth, Desk, Seen},
    properties::Properties,
    publisher::RabbitPublisher,
    stream::{Library, Place, StreamReader},
};

use super::{BrokerError, Consumer, Counters, Links, Options, State};

/// Bound on confirms and acknowledgements at closing; with the time of two goodbyes it stays well below
/// a pod's grace.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// A RabbitMQ broker: two connections that are kept open until [`RabbitMq::close`], or until the last
/// clone is dropped.
#[derive(Clone)]
pub struct RabbitMq {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    publish: Live,
    consume: Live,
    publisher: RabbitPublisher,
    /// Publisher, subscriptions and acknowledgements.
    workers: TaskTracker,
    /// The two connections.
    supervisors: TaskTracker,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.drain.cancel();
        self.shared.halt.cancel();
    }
}

impl RabbitMq {
    /// Checks the options and begins to connect, for ever. A broker that is not there is no error.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn start(options: Options) -> Result<Self, BrokerError> {
        options.check()?;
        let shared = Arc::new(Shared {
            endpoint: socket::Endpoint::new(&options)?,
            options,
            links: watch::Sender::new(Links::new()),
            counters: Arc::default(),
            last_error: Mutex::new(None),
            wary: wary::Wary::default(),
            alone: tokio::sync::Mutex::default(),
            drain: CancellationToken::new(),
            halt: CancellationToken::new(),
        });
        let (workers, supervisors) = (TaskTracker::new(), TaskTracker::new());
        let supervise = |role| {
            let (sender, live) = watch::channel(None);
            supervisors.spawn(connection::supervise(Arc::clone(&shared), role, sender));
            live
        };
        let (publish, consume) = (supervise(Role::Publish), supervise(Role::Consume));
        let (publisher, intakes) = RabbitPublisher::new(Arc::clone(&shared));
        for intake in intakes {
            workers.spawn(publisher::run(Arc::clone(&shared), publish.clone(), intake));
        }
        Ok(Self { inner: Arc::new(Inner { shared, publish, consume, publisher, workers, supervisors }) })
    }

    /// A publisher; all of one broker share a connection, its channels and their windows.
    #[must_use]
    pub fn publisher(&self) -> RabbitPublisher {
        self.inner.publisher.clone()
    }

    /// How the connections are now.
    #[must_use]
    pub fn state(&self) -> State {
        self.inner.shared.links.borrow().state()
    }

    /// Follows the state of the connections.
    #[must_use]
    pub fn links(&self) -> watch::Receiver<Links> {
        self.inner.shared.links.subscribe()
    }

    /// Asks the broker for a confirm every 5 s until it is closed; [`Links::confirms`] tells what came of it. Needs
    /// write permission on [`PROBE`](super::topology::PROBE). Once is enough.
    pub fn ask_for_confirms(&self) {
        let Inner { shared, publish, supervisors, .. } = &*self.inner;
        supervisors.spawn(probe::run(Arc::clone(shared), publish.clone()));
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.inner.shared.counters
    }

    /// Waits until both connections are up, for at most `limit`.
    pub async fn wait_until_up(&self, limit: Duration) -> Result<(), BrokerError> {
        let mut links = self.links();
        let up = links.wait_for(|links| links.state() == State::Up);
        if matches!(timeout(limit, up).await, Ok(Ok(_))) {
            return Ok(());
        }
        let last = self.inner.shared.last_error.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(last.unwrap_or(BrokerError::Unavailable { source: None }))
    }

    /// Publishes what was taken in, waits for its confirms, sends the acknowledgements given so far, then
    /// closes channels and connections. Deliveries still in hand become stale.
    pub async fn close(&self) {
        let Inner { shared, workers, supervisors, .. } = &*self.inner;
        shared.drain.cancel();
        workers.close();
        if timeout(DRAIN_LIMIT, workers.wait()).await.is_err() {
            tracing::warn!("confirms or acknowledgements outstanding at close");
        }
        shared.halt.cancel();
        supervisors.close();
        if timeout(DRAIN_LIMIT, supervisors.wait()).await.is_err() {
            tracing::warn!("broker connections not closed in time");
        }
    }
}

impl Consumer for RabbitMq {
    type Deliveries = RabbitDeliveries;

    fn subscribe(&self, queue: &str, prefetch: u16) -> RabbitDeliveries {
        let Inner { shared, consume, workers, .. } = &*self.inner;
        RabbitDeliveries::new(shared, workers, consume.clone(), queue, prefetch)
    }
}
