//! What every adapter of the ports must do, as tests that run on any of them.
//!
//! The real adapter runs them in `tests/tests/ports/rabbitmq.rs` on a real RabbitMQ, the double in memory
//! beside it. Waiting is always for an event, with a deadline.

use std::{collections::BTreeSet, time::Duration};

use chrono::DateTime;

use super::{
    BrokerError, Consumer, DeadLetter, Deliveries, Delivery, Outgoing, Publisher,
    topology::{Binding, Exchange, NO_DELIVERY_LIMIT, Queue, Routing, Topology},
};

/// How long any single event is waited for. Only a failing test comes near it.
const DEADLINE: Duration = Duration::from_secs(30);

/// An adapter under test, on a broker that holds [`topology`] of [`Rig::prefix`] and nothing in it.
pub trait Rig: Sync {
    /// Its publisher.
    type Publisher: Publisher;
    /// Its consumer.
    type Consumer: Consumer;

    /// Begins the name of every exchange and queue.
    fn prefix(&self) -> &str;
    /// A publisher.
    fn publisher(&self) -> Self::Publisher;
    /// A consumer.
    fn consumer(&self) -> Self::Consumer;
    /// Cuts the connections; the adapter comes back by itself.
    fn sever(&self) -> impl Future<Output = ()> + Send;
}

/// Two work queues, `.one` and `.two`, on the direct exchange `.work`, and a topic exchange `.open` of
/// which what nobody takes ends in `.rest`.
#[must_use]
pub fn topology(prefix: &str) -> Topology {
    let name = |suffix: &str| format!("{prefix}.{suffix}");
    let exchange = |suffix, routing, alternate| Exchange { name: name(suffix), routing, alternate };
    let queue = |suffix| Queue {
        name: name(suffix),
        dead_letter_exchange: None,
        delivery_limit: NO_DELIVERY_LIMIT,
        keeps_last: false,
    };
    let binding = |exchange, queue, key: &str| Binding {
        exchange: name(exchange),
        queue: name(queue),
        routing_key: key.to_owned(),
    };
    Topology {
        exchanges: vec![
            exchange("rest", Routing::Fanout, None),
            exchange("open", Routing::Topic, Some(name("rest"))),
            exchange("work", Routing::Direct, None),
        ],
        queues: vec![queue("one"), queue("two"), queue("rest")],
        streams: Vec::new(),
        bindings: vec![
            binding("rest", "rest", ""),
            binding("work", "one", "one"),
            binding("work", "two", "two"),
        ],
    }
}

/// Waits for an event.
///
/// # Panics
///
/// When it does not come before the deadline.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(DEADLINE, event).await else {
        panic!("{what}: not within {DEADLINE:?}");
    };
    value
}

/// The next delivery.
///
/// # Panics
///
/// When none comes before the deadline, or the stream has ended.
pub async fn take(deliveries: &mut impl Deliveries) -> Delivery {
    match soon("a delivery", deliveries.next()).await {
        Some(delivery) => delivery,
        None => panic!("the stream ended"),
    }
}

fn work<R: Rig>(rig: &R, key: &str, id: usize) -> Outgoing {
    Outgoing::new(&format!("{}.work", rig.prefix()), key, format!("m-{id}"), format!("body {id}"))
}

async fn publish_numbered<R: Rig>(rig: &R, key: &str, count: usize) {
    let messages = (0..count).map(|id| work(rig, key, id)).collect();
    let answers = soon("confirms", rig.publisher().publish_all(messages)).await;
    assert!(answers.iter().all(Result::is_ok), "not all confirmed: {answers:?}");
}

fn id_of(delivery: &Delivery) -> String {
    delivery.message_id().unwrap_or_default().to_owned()
}

fn settle(delivery: Delivery) {
    assert!(delivery.ack(), "an ack on a sound connection is taken");
}

/// What a [`Publisher`] must do.
///
/// # Panics
///
/// When it does not.
pub async fn publisher_contract<R: Rig>(rig: &R) {
    a_confirmed_message_is_on_its_queue(rig).await;
    answers_come_in_the_order_of_the_messages_and_name_the_unroutable(rig).await;
    what_nobody_must_take_may_get_lost(rig).await;
    the_alternate_exchange_catches_what_no_binding_takes(rig).await;
    an_exchange_that_is_missing_fails_only_its_own_message(rig).await;
    a_message_that_can_never_be_sent_is_refused(rig).await;
}

async fn a_confirmed_message_is_on_its_queue<R: Rig>(rig: &R) {
    let sent = soon("a confirm", rig.publisher().publish(work(rig, "one", 1))).await;
    assert!(sent.is_ok(), "{sent:?}");
    rig.sever().await;
    let mut deliveries = rig.consumer().subscribe(&format!("{}.one", rig.prefix()), 10);
    let delivery = take(&mut deliveries).await;
    assert_eq!((&delivery.body[..], delivery.routing_key.as_str()), (&b"body 1"[..], "one"));
    assert!(!delivery.redelivered);
    settle(delivery);
}

async fn answers_come_in_the_order_of_the_messages_and_name_the_unroutable<R: Rig>(rig: &R) {
    const COUNT: usize = 400;
    let lost = |id: usize| id % 40 == 7;
    let message = |id| work(rig, if lost(id) { "nowhere" } else { "two" }, id);
    let answers = soon("confirms", rig.publisher().publish_all((0..COUNT).map(message).collect())).await;
    assert_eq!(answers.len(), COUNT);
    for (id, answer) in answers.iter().enumerate() {
        let expected = match answer {
            Ok(()) => !lost(id),
            Err(BrokerError::Unroutable { routing_key, .. }) => lost(id) && routing_key == "nowhere",
            Err(_) => false,
        };
        assert!(expected, "message {id}: {answer:?}");
    }
    let mut missing: BTreeSet<String> =
        (0..COUNT).filter(|id| !lost(*id)).map(|id| format!("m-{id}")).collect();
    let mut deliveries = rig.consumer().subscribe(&format!("{}.two", rig.prefix()), 50);
    while !missing.is_empty() {
        // A doubtful message is published again, so one can come twice.
        let delivery = take(&mut deliveries).await;
        missing.remove(&id_of(&delivery));
        settle(delivery);
    }
    drain(&mut deliveries, rig, "two").await;
}

/// Empties a queue: takes all that comes before a last message.
async fn drain<R: Rig>(deliveries: &mut impl Deliveries, rig: &R, key: &str) {
    let last = soon("a confirm", rig.publisher().publish(work(rig, key, usize::MAX))).await;
    assert!(last.is_ok(), "{last:?}");
    loop {
        let delivery = take(deliveries).await;
        let id = id_of(&delivery);
        settle(delivery);
        if id == format!("m-{}", usize::MAX) {
            return;
        }
    }
}

async fn what_nobody_must_take_may_get_lost<R: Rig>(rig: &R) {
    let sent = soon("a confirm", rig.publisher().publish(work(rig, "nowhere", 1).optional())).await;
    assert!(sent.is_ok(), "{sent:?}");
}

async fn the_alternate_exchange_catches_what_no_binding_takes<R: Rig>(rig: &R) {
    let message = Outgoing::new(&format!("{}.open", rig.prefix()), "a.b", "m-1", "stray");
    let sent = soon("a confirm", rig.publisher().publish(message)).await;
    assert!(sent.is_ok(), "{sent:?}");
    let delivery = take(&mut rig.consumer().subscribe(&format!("{}.rest", rig.prefix()), 10)).await;
    assert_eq!((delivery.routing_key.as_str(), &delivery.body[..]), ("a.b", &b"stray"[..]));
    settle(delivery);
}

async fn an_exchange_that_is_missing_fails_only_its_own_message<R: Rig>(rig: &R) {
    let mut messages: Vec<_> = (0..50).map(|id| work(rig, "one", id)).collect();
    messages.insert(25, Outgoing::new(&format!("{}.absent", rig.prefix()), "k", "m-x", "x"));
    let answers = soon("confirms", rig.publisher().publish_all(messages)).await;
    for (index, answer) in answers.iter().enumerate() {
        let expected = matches!((index, answer), (25, Err(BrokerError::Topology { .. })))
            || (index != 25 && answer.is_ok());
        assert!(expected, "message {index}: {answer:?}");
    }
    drain(&mut rig.consumer().subscribe(&format!("{}.one", rig.prefix()), 50), rig, "one").await;
}

async fn a_message_that_can_never_be_sent_is_refused<R: Rig>(rig: &R) {
    let answer = soon("an answer", rig.publisher().publish(work(rig, &"k".repeat(256), 1))).await;
    assert!(matches!(answer, Err(BrokerError::Invalid { field: "routing_key", .. })), "{answer:?}");
}

/// What a [`Consumer`] must do.
///
/// # Panics
///
/// When it does not.
pub async fn consumer_contract<R: Rig>(rig: &R) {
    a_dead_letter_copy_keeps_body_and_headers(rig).await;
    what_is_in_hand_comes_again_after_a_cut_and_its_verdict_is_void(rig).await;
    acks_settle_exactly_what_was_acked(rig).await;
    what_is_given_back_or_dropped_comes_again(rig).await;
    a_stopped_stream_ends_and_what_is_in_hand_can_still_be_settled(rig).await;
}

async fn a_dead_letter_copy_keeps_body_and_headers<R: Rig>(rig: &R) {
    let body = [0_u8, 255, b'{', 10];
    let mut message = work(rig, "one", 1).with_header("traceparent", "00-ab-cd-01");
    message.body = body.to_vec().into();
    "application/cloudevents+json".clone_into(&mut message.content_type);
    assert!(soon("a confirm", rig.publisher().publish(message)).await.is_ok());
    let queue = format!("{}.one", rig.prefix());
    let delivery = take(&mut rig.consumer().subscribe(&queue, 10)).await;
    let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default();
    let why = DeadLetter { code: "json", reason: "not JSON", queue: &queue, at };
    let mut copy = Outgoing::dead_letter(&delivery, &why);
    copy.exchange = format!("{}.rest", rig.prefix());
    assert!(soon("a confirm", rig.publisher().publish(copy)).await.is_ok());
    settle(delivery);
    let dead = take(&mut rig.consumer().subscribe(&format!("{}.rest", rig.prefix()), 10)).await;
    assert_eq!(&dead.body[..], &body);
    assert_eq!((dead.message_id(), dead.content_type()), (Some("m-1"), Some("application/cloudevents+json")));
    let expected = [
        ("traceparent", "00-ab-cd-01"),
        ("x-promemoria-code", "json"),
        ("x-promemoria-reason", "not JSON"),
        ("x-promemoria-routing-key", "one"),
        ("x-promemoria-queue", &queue),
        ("x-promemoria-at", "2026-09-21T14:13:20.000Z"),
    ];
    for (name, value) in expected {
        assert_eq!(dead.header(name), Some(value), "{name}");
    }
    settle(dead);
}

async fn what_is_in_hand_comes_again_after_a_cut_and_its_verdict_is_void<R: Rig>(rig: &R) {
    publish_numbered(rig, "one", 3).await;
    let mut deliveries = rig.consumer().subscribe(&format!("{}.one", rig.prefix()), 10);
    let held = [take(&mut deliveries).await, take(&mut deliveries).await];
    assert!(held.iter().all(Delivery::usable));
    rig.sever().await;
    let mut again = BTreeSet::new();
    while again.len() < 3 {
        let delivery = take(&mut deliveries).await;
        assert!(delivery.redelivered || id_of(&delivery) == "m-2");
        again.insert(id_of(&delivery));
        settle(delivery);
    }
    for stale in held {
        assert!(!stale.usable());
        assert!(!stale.ack(), "the ack of a lost connection's delivery is void");
    }
}

async fn acks_settle_exactly_what_was_acked<R: Rig>(rig: &R) {
    const PREFETCH: usize = 100;
    const COUNT: usize = 160;
    publish_numbered(rig, "two", COUNT).await;
    let mut deliveries = rig.consumer().subscribe(&format!("{}.two", rig.prefix()), 100);
    let mut held = Vec::new();
    for _ in 0..PREFETCH {
        held.push(take(&mut deliveries).await);
    }
    // 60 of the first 100, in runs and alone, the oldest in hand among those that stay.
    let (acked, mut kept): (Vec<_>, Vec<_>) =
        held.into_iter().enumerate().partition(|(index, _)| index % 5 > 1);
    let acked: BTreeSet<_> = acked.into_iter().rev().map(|(_, it)| (id_of(&it), settle(it)).0).collect();
    assert_eq!(acked.len(), COUNT - PREFETCH);
    // The window was full: each of these 60 comes only because an ack arrived.
    for index in PREFETCH..COUNT {
        kept.push((index, take(&mut deliveries).await));
    }
    let open: BTreeSet<_> = kept.iter().map(|(_, it)| id_of(it)).collect();
    assert!(open.is_disjoint(&acked));
    rig.sever().await;
    let mut again = BTreeSet::new();
    while again.len() < PREFETCH {
        let delivery = take(&mut deliveries).await;
        assert!(delivery.redelivered);
        again.insert(id_of(&delivery));
        settle(delivery);
    }
    assert_eq!(again, open);
    drop(kept);
}

async fn what_is_given_back_or_dropped_comes_again<R: Rig>(rig: &R) {
    publish_numbered(rig, "one", 2).await;
    let mut deliveries = rig.consumer().subscribe(&format!("{}.one", rig.prefix()), 10);
    let (first, second) = (take(&mut deliveries).await, take(&mut deliveries).await);
    assert!(first.requeue());
    drop(second);
    let mut again = BTreeSet::new();
    for _ in 0..2 {
        let delivery = take(&mut deliveries).await;
        assert!(delivery.redelivered);
        again.insert(id_of(&delivery));
        settle(delivery);
    }
    assert_eq!(again, BTreeSet::from(["m-0".to_owned(), "m-1".to_owned()]));
}

async fn a_stopped_stream_ends_and_what_is_in_hand_can_still_be_settled<R: Rig>(rig: &R) {
    publish_numbered(rig, "two", 5).await;
    let queue = format!("{}.two", rig.prefix());
    let mut deliveries = rig.consumer().subscribe(&queue, 10);
    let held = take(&mut deliveries).await;
    soon("the stop", deliveries.stop()).await;
    assert!(soon("the end", deliveries.next()).await.is_none());
    assert!(held.usable());
    settle(held);
    drop(deliveries);
    let mut others = rig.consumer().subscribe(&queue, 10);
    let mut rest = BTreeSet::new();
    while rest.len() < 4 {
        let delivery = take(&mut others).await;
        rest.insert(id_of(&delivery));
        settle(delivery);
    }
    assert!(!rest.contains("m-0"), "an ack given after the stop is kept");
}
