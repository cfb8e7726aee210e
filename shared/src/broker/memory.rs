//! A broker in memory, for tests of what is built on the ports. It passes [`super::contract`].

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::watch;

use super::{
    BrokerError, Consumer, Deliveries, Delivery, Outgoing, Publisher,
    message::Settlement,
    rabbitmq::{Envelope, Properties},
    topology::{Binding, Routing, Topology},
};

/// A broker in memory; clones are the same broker, and each is its publisher and its consumer.
#[derive(Clone)]
pub struct MemoryBroker {
    inner: Arc<Inner>,
}

struct Inner {
    topology: Topology,
    state: Mutex<Content>,
    /// Rises with every change that a waiting subscriber could care about.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Content {
    queues: BTreeMap<String, VecDeque<Stored>>,
    in_hand: BTreeMap<u64, (String, Stored)>,
    /// Deliveries with a tag up to this one are of lost connections.
    stale_up_to: u64,
    last_tag: u64,
    failures: u32,
    closed: bool,
}

#[derive(Clone)]
struct Stored {
    exchange: String,
    routing_key: String,
    redelivered: bool,
    properties: Properties,
    body: Bytes,
}

impl MemoryBroker {
    /// An empty broker with this topology.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        let state = Mutex::default();
        Self { inner: Arc::new(Inner { topology, state, changed: watch::Sender::new(0) }) }
    }

    /// The bodies waiting in a queue, oldest first; those in hand are not among them.
    #[must_use]
    pub fn waiting(&self, queue: &str) -> Vec<Bytes> {
        let state = self.inner.state();
        state.queues.get(queue).into_iter().flatten().map(|it| it.body.clone()).collect()
    }

    /// How many deliveries are in hand.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.inner.state().in_hand.len()
    }

    /// Makes the next `count` publishes fail as if the broker were away.
    pub fn fail_publishes(&self, count: u32) {
        self.inner.state().failures = count;
    }

    /// Loses the connection: what is in hand goes back, flagged, and its verdicts come too late.
    pub fn sever(&self) {
        let mut state = self.inner.state();
        state.stale_up_to = state.last_tag;
        for (_, (queue, stored)) in std::mem::take(&mut state.in_hand).into_iter().rev() {
            state.give_back(&queue, stored);
        }
        drop(state);
        self.inner.announce();
    }

    /// Closes the broker: streams end, publishes fail, verdicts come too late.
    pub fn close(&self) {
        self.sever();
        self.inner.state().closed = true;
        self.inner.announce();
    }

    fn publish_now(&self, outgoing: Outgoing) -> Result<(), BrokerError> {
        let envelope = Envelope::seal(outgoing)?;
        let (exchange, routing_key) = (envelope.exchange.to_string(), envelope.routing_key.to_string());
        let queues = self.inner.route(&exchange, &routing_key)?;
        let mut state = self.inner.state();
        if state.closed {
            return Err(BrokerError::Closed);
        }
        if state.failures > 0 {
            state.failures -= 1;
            return Err(BrokerError::Unavailable { source: None });
        }
        if queues.is_empty() && envelope.mandatory {
            return Err(BrokerError::Unroutable { exchange, routing_key });
        }
        let body = envelope.body.clone();
        let properties = envelope.into_properties();
        let stored = Stored { exchange, routing_key, redelivered: false, properties, body };
        for queue in queues {
            state.queues.entry(queue).or_default().push_back(stored.clone());
        }
        drop(state);
        self.inner.announce();
        Ok(())
    }
}

impl Content {
    fn give_back(&mut self, queue: &str, stored: Stored) {
        let stored = Stored { redelivered: true, ..stored };
        self.queues.entry(queue.to_owned()).or_default().push_front(stored);
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, Content> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// The queues that a message goes to, by the exchange or by its alternate.
    fn route(&self, exchange: &str, key: &str) -> Result<Vec<String>, BrokerError> {
        let Some(found) = self.topology.exchanges.iter().find(|it| it.name == exchange) else {
            let source = format!("no exchange {exchange}").into();
            return Err(BrokerError::Topology { object: exchange.to_owned(), source });
        };
        let takes = |binding: &&Binding| {
            binding.exchange == exchange
                && match found.routing {
                    Routing::Fanout => true,
                    Routing::Direct => binding.routing_key == key,
                    Routing::Topic => matches_topic(&words(&binding.routing_key), &words(key)),
                }
        };
        let bindings = self.topology.bindings.iter();
        let queues: Vec<String> = bindings.filter(takes).map(|it| it.queue.clone()).collect();
        match &found.alternate {
            Some(alternate) if queues.is_empty() => self.route(alternate, key),
            _ => Ok(queues),
        }
    }
}

fn words(key: &str) -> Vec<&str> {
    key.split('.').collect()
}

fn matches_topic(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), _) => (0..=key.len()).any(|skipped| matches_topic(rest, &key[skipped..])),
        (Some((word, pattern)), Some((found, key))) => {
            (*word == "*" || word == found) && matches_topic(pattern, key)
        }
        _ => false,
    }
}

impl Publisher for MemoryBroker {
    async fn publish(&self, outgoing: Outgoing) -> Result<(), BrokerError> {
        self.publish_now(outgoing)
    }

    async fn publish_all(&self, outgoing: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        outgoing.into_iter().map(|it| self.publish_now(it)).collect()
    }
}

impl Consumer for MemoryBroker {
    type Deliveries = MemoryDeliveries;

    fn subscribe(&self, queue: &str, prefetch: u16) -> MemoryDeliveries {
        let changed = self.inner.changed.subscribe();
        let inner = Arc::clone(&self.inner);
        let (queue, prefetch) = (queue.to_owned(), usize::from(prefetch));
        MemoryDeliveries { inner, queue, prefetch, changed, taken: Vec::new(), stopped: false }
    }
}

/// The deliveries of one queue in memory.
pub struct MemoryDeliveries {
    inner: Arc<Inner>,
    queue: String,
    prefetch: usize,
    changed: watch::Receiver<u64>,
    taken: Vec<u64>,
    stopped: bool,
}

impl MemoryDeliveries {
    fn take(&mut self) -> Option<Delivery> {
        let mut state = self.inner.state();
        self.taken.retain(|tag| state.in_hand.contains_key(tag));
        if self.taken.len() >= self.prefetch {
            return None;
        }
        let stored = state.queues.get_mut(&self.queue)?.pop_front()?;
        state.last_tag += 1;
        let tag = state.last_tag;
        state.in_hand.insert(tag, (self.queue.clone(), stored.clone()));
        self.taken.push(tag);
        Some(Delivery {
            body: stored.body,
            exchange: stored.exchange,
            routing_key: stored.routing_key,
            redelivered: stored.redelivered,
            properties: stored.properties,
            tag,
            settlement: Some(Arc::<Inner>::clone(&self.inner)),
        })
    }
}

impl Deliveries for MemoryDeliveries {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            self.changed.mark_unchanged();
            if self.stopped || self.inner.state().closed {
                return None;
            }
            if let Some(delivery) = self.take() {
                return Some(delivery);
            }
            self.changed.changed().await.ok()?;
        }
    }

    async fn stop(&mut self) {
        self.stopped = true;
    }
}

impl Inner {
    fn settle(&self, tag: u64, give_back: bool) -> bool {
        let mut state = self.state();
        let Some((queue, stored)) = state.in_hand.remove(&tag) else { return false };
        if give_back {
            state.give_back(&queue, stored);
        }
        drop(state);
        self.announce();
        true
    }
}

impl Settlement for Inner {
    fn usable(&self, tag: u64) -> bool {
        let state = self.state();
        tag > state.stale_up_to && !state.closed
    }

    fn ack(&self, tag: u64) -> bool {
        self.settle(tag, false)
    }

    fn requeue(&self, tag: u64) -> bool {
        self.settle(tag, true)
    }

    fn abandoned(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_patterns_match_as_in_amqp() {
        let matches = |pattern, key| matches_topic(&words(pattern), &words(key));
        assert!(matches("#", "a.b.c"));
        assert!(matches("a.*.c", "a.b.c"));
        assert!(matches("a.#", "a"));
        assert!(matches("#.c", "a.b.c"));
        assert!(!matches("a.*", "a.b.c"));
        assert!(!matches("a", "b"));
    }

    #[tokio::test]
    async fn a_failure_asked_for_is_a_broker_that_is_away() {
        let broker = MemoryBroker::new(Topology::fleet());
        broker.fail_publishes(1);
        let message = || Outgoing::new("promemoria.work", "render", "1", "x");
        assert!(matches!(broker.publish(message()).await, Err(BrokerError::Unavailable { .. })));
        assert!(broker.publish(message()).await.is_ok());
        assert_eq!(broker.waiting("promemoria.render").len(), 1);
    }
}
