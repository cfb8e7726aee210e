//! What only a real broker, or the cable to it, can do to us.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicPublishOptions, QueueDeleteOptions},
};
use shared::broker::{
    BrokerError, Consumer, Deliveries, Options, Outgoing, Publisher, RabbitMq, State,
    contract::{Rig, soon, take},
    topology::{DEAD_QUEUE, EVENTS, EVENTS_QUEUE, PROBE_QUEUE, Topology},
};

use tests::brokers::{Brokers, Server};

use crate::proxy::Proxy;
use crate::rabbitmq::{Rabbit, START, unique};

fn message(rabbit: &Rabbit, key: &str, id: usize) -> Outgoing {
    Outgoing::new(&rabbit.name("work"), key, format!("m-{id}"), format!("body {id}"))
}

async fn reaches(rabbit: &Rabbit, state: State) {
    let mut links = rabbit.broker.links();
    soon("a state", links.wait_for(|links| links.state() == state)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_comes_back_to_a_queue_that_was_deleted() {
    let rabbit = Rabbit::new(|_| ()).await;
    let mut deliveries = rabbit.broker.subscribe(&rabbit.name("one"), 10);
    rabbit.publisher().publish(message(&rabbit, "one", 1)).await.unwrap();
    assert!(take(&mut deliveries).await.ack());
    let other = Connection::connect(&rabbit.direct, ConnectionProperties::default()).await.unwrap();
    let channel = other.create_channel().await.unwrap();
    channel.queue_delete(rabbit.name("one").into(), QueueDeleteOptions::default()).await.unwrap();
    // The queue comes back with the consumer; until then the message has nowhere to go.
    let publisher = rabbit.publisher();
    let sent = async {
        while publisher.publish(message(&rabbit, "one", 2)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let (delivery, ()) =
        soon("the queue's return", async { tokio::join!(take(&mut deliveries), sent) }).await;
    assert_eq!(delivery.message_id(), Some("m-2"));
    assert!(delivery.ack());
    assert_eq!(rabbit.broker.counters().consumer_faults(), 1);
    rabbit.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_waits_out_an_absence_and_gives_up_in_time() {
    let rabbit = Rabbit::new(|options| options.publish_timeout = Duration::from_secs(3)).await;
    rabbit.proxy.unplug();
    reaches(&rabbit, State::Connecting).await;
    let late = soon("an answer", rabbit.publisher().publish(message(&rabbit, "one", 1))).await;
    assert!(matches!(late, Err(BrokerError::Unavailable { .. })), "{late:?}");
    rabbit.proxy.cut();
    rabbit.close().await;
    // Not with so short a patience: on a busy machine the confirm alone may take longer than it.
    let rabbit = Rabbit::new(|options| options.publish_timeout = Duration::from_mins(1)).await;
    rabbit.proxy.unplug();
    reaches(&rabbit, State::Connecting).await;
    let (publisher, message) = (rabbit.publisher(), message(&rabbit, "one", 2));
    let waiting = tokio::spawn(async move { publisher.publish(message).await });
    rabbit.proxy.cut();
    soon("the publish", waiting).await.unwrap().unwrap();
    rabbit.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_without_a_confirm_is_never_a_success() {
    let rabbit = Rabbit::new(|options| options.publish_timeout = Duration::from_millis(500)).await;
    rabbit.publisher().publish(message(&rabbit, "one", 1)).await.unwrap();
    rabbit.proxy.die();
    let unknown = soon("an answer", rabbit.publisher().publish(message(&rabbit, "one", 2))).await;
    assert!(matches!(unknown, Err(BrokerError::TimedOut { .. })), "{unknown:?}");
    rabbit.sever().await;
    let again = message(&rabbit, "one", 3);
    soon("the return", async { while rabbit.publisher().publish(again.clone()).await.is_err() {} }).await;
    rabbit.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_the_broker_confirms_is_known_and_its_queue_comes_back() {
    let rabbit = Rabbit::of_fleet("probe").await;
    rabbit.broker.ask_for_confirms();
    let mut links = rabbit.broker.links();
    soon("a confirm", links.wait_for(|links| links.confirms)).await.unwrap();
    let other = Connection::connect(&rabbit.direct, ConnectionProperties::default()).await.unwrap();
    let channel = other.create_channel().await.unwrap();
    channel.queue_delete(PROBE_QUEUE.into(), QueueDeleteOptions::default()).await.unwrap();
    soon("its absence", links.wait_for(|links| !links.confirms)).await.unwrap();
    assert_eq!(rabbit.broker.state(), State::Up, "the connections are as they were");
    soon("a confirm again", links.wait_for(|links| links.confirms)).await.unwrap();
    // The cable delivers nothing, and nobody says so.
    rabbit.proxy.die();
    soon("silence", links.wait_for(|links| !links.confirms)).await.unwrap();
    rabbit.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_expires_is_a_dead_letter_and_says_so() {
    let rabbit = Rabbit::of_fleet("expires").await;
    soon("the topology", rabbit.broker.wait_until_up(START)).await.unwrap();
    let other = Connection::connect(&rabbit.direct, ConnectionProperties::default()).await.unwrap();
    let channel = other.create_channel().await.unwrap();
    let (key, options) = ("borgochiaro.domanda.protocollata", BasicPublishOptions::default());
    let soon_gone = BasicProperties::default().with_expiration("1".into()).with_delivery_mode(2);
    channel.basic_publish(EVENTS.into(), key.into(), options, b"{}", soon_gone).await.unwrap();
    let mut dead = rabbit.broker.subscribe(DEAD_QUEUE, 1);
    let letter = take(&mut dead).await;
    assert_eq!(letter.header("x-first-death-reason"), Some("expired"));
    assert_eq!(letter.header("x-first-death-queue"), Some(EVENTS_QUEUE));
    assert_eq!((&letter.routing_key[..], &letter.body[..]), (key, &b"{}"[..]));
    assert!(letter.ack());
    rabbit.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_under_load_lose_nothing() {
    const COUNT: usize = 5_000;
    let rabbit = Rabbit::new(|_| ()).await;
    let mut deliveries = rabbit.broker.subscribe(&rabbit.name("two"), 500);
    let publisher = rabbit.publisher();
    let messages = (0..COUNT).map(|id| message(&rabbit, "two", id)).collect();
    let publishing = tokio::spawn(async move { publisher.publish_all(messages).await });
    let (mut seen, mut cuts) = (BTreeSet::new(), 0);
    while seen.len() < COUNT {
        let delivery = take(&mut deliveries).await;
        seen.insert(delivery.message_id().unwrap().to_owned());
        // False right after a cut: then it comes again.
        let _again = !delivery.ack();
        if seen.len() / 1_000 > cuts && cuts < 3 {
            cuts += 1;
            rabbit.proxy.cut();
        }
    }
    let answers = soon("confirms", publishing).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    assert!(rabbit.broker.counters().connections() > 2, "the cuts were not felt");
    rabbit.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_flushes_confirms_and_acks() {
    let rabbit = Rabbit::new(|_| ()).await;
    let publisher = rabbit.publisher();
    let messages = (0..100).map(|id| message(&rabbit, "one", id)).collect();
    assert!(publisher.publish_all(messages).await.iter().all(Result::is_ok));
    let mut deliveries = rabbit.broker.subscribe(&rabbit.name("one"), 200);
    // The last ten stay in hand, so that what is acknowledged is one run from the oldest on, and one
    // multiple ack. Single acks behind a delivery that is still in hand are no promise at a close: RabbitMQ
    // 3.10 was seen to drop them with the channel, and the messages come again.
    let mut kept = Vec::new();
    for taken in 0..100 {
        let delivery = take(&mut deliveries).await;
        if taken >= 90 {
            kept.push(delivery);
        } else {
            assert!(delivery.ack());
        }
    }
    let left: Vec<String> = kept.iter().map(|it| it.message_id().unwrap().to_owned()).collect();
    rabbit.broker.close().await;
    assert_eq!(rabbit.broker.state(), State::Closed);
    assert!(deliveries.next().await.is_none());
    assert!(matches!(publisher.publish(message(&rabbit, "one", 1)).await, Err(BrokerError::Closed)));
    let stale =
        kept.into_iter().filter(|it| !it.usable()).map(shared::broker::Delivery::ack).collect::<Vec<_>>();
    assert_eq!(stale, [false; 10]);
    let options =
        Options { url: rabbit.direct.clone().into(), topology: rabbit.topology(), ..Options::default() };
    let broker = RabbitMq::start(options).unwrap();
    let mut rest = broker.subscribe(&rabbit.name("one"), 200);
    for _ in 0..10 {
        let delivery = take(&mut rest).await;
        assert!(delivery.redelivered && left.iter().any(|id| Some(id.as_str()) == delivery.message_id()));
        assert!(delivery.ack());
    }
    broker.publisher().publish(message(&rabbit, "one", 999)).await.unwrap();
    assert_eq!(take(&mut rest).await.message_id(), Some("m-999"));
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topology_that_is_missing_or_different_is_named() {
    let rabbit = Rabbit::new(|_| ()).await;
    let refusal = async |options: Options| {
        let broker = RabbitMq::start(options).unwrap();
        let refused = broker.wait_until_up(Duration::from_secs(2)).await.unwrap_err();
        broker.close().await;
        match refused {
            BrokerError::Topology { object, .. } => object,
            other => format!("{other:?}"),
        }
    };
    let url = || rabbit.direct.clone().into();
    let mut missing = rabbit.topology();
    missing.queues[0].name = unique("absent");
    let absent = missing.queues[0].name.clone();
    assert_eq!(
        refusal(Options { url: url(), topology: missing, declare: false, ..Options::default() }).await,
        absent
    );
    let mut different = rabbit.topology();
    different.queues[0].delivery_limit = 3;
    let queue = rabbit.name("one");
    assert_eq!(refusal(Options { url: url(), topology: different, ..Options::default() }).await, queue);
    rabbit.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleets_topology_is_accepted_and_then_found() {
    let rabbit = Rabbit::of_fleet("topology").await;
    let check = Options { url: rabbit.direct.clone().into(), declare: false, ..Options::default() };
    let checking = RabbitMq::start(check).unwrap();
    checking.wait_until_up(START).await.unwrap();
    checking.close().await;
    // Streams that are there keep their age, whatever the settings say by now.
    let topology = Topology::fleet().keeping_journal(Duration::from_hours(24));
    let other = Options { url: rabbit.direct.clone().into(), topology, ..Options::default() };
    let other = RabbitMq::start(other).unwrap();
    other.wait_until_up(START).await.unwrap();
    other.close().await;
    rabbit.close().await;
}

/// On a broker of its own: an alarm and a restart concern everybody on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_blocks_publishing_only_and_a_restart_is_survived() {
    let brokers = Arc::new(Brokers::start(&tests::brokers::Options::from_env().unwrap()).await.unwrap());
    let slow = |options: &mut Options| options.publish_timeout = Duration::from_secs(2);
    let rabbit = Rabbit::on(Arc::clone(&brokers), slow).await;
    let mut deliveries = rabbit.broker.subscribe(&rabbit.name("one"), 10);
    for id in 0..20 {
        rabbit.publisher().publish(message(&rabbit, "one", id)).await.unwrap();
    }
    brokers.control(&["set_vm_memory_high_watermark", "absolute", "1"]).await.unwrap();
    let refused = soon("an answer", rabbit.publisher().publish(message(&rabbit, "two", 1))).await;
    assert!(matches!(refused, Err(BrokerError::TimedOut { .. })), "{refused:?}");
    reaches(&rabbit, State::Blocked).await;
    assert_eq!(rabbit.broker.counters().blocked(), 1);
    // More than the prefetch: acknowledgements get through.
    for _ in 0..20 {
        assert!(take(&mut deliveries).await.ack());
    }
    brokers.control(&["set_vm_memory_high_watermark", "0.4"]).await.unwrap();
    reaches(&rabbit, State::Up).await;
    rabbit.publisher().publish(message(&rabbit, "one", 50)).await.unwrap();
    assert_eq!(take(&mut deliveries).await.message_id(), Some("m-50"));
    brokers.restart(Server::RabbitMq).await.unwrap();
    let again = message(&rabbit, "one", 51);
    soon("the return", async { while rabbit.publisher().publish(again.clone()).await.is_err() {} }).await;
    let mut delivery = take(&mut deliveries).await;
    while delivery.message_id() != Some("m-51") {
        assert!(delivery.ack());
        delivery = take(&mut deliveries).await;
    }
    assert!(delivery.ack());
    rabbit.close().await;
    brokers.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_hands_over_to_another() {
    let second = Proxy::to("127.0.0.1:1".to_owned()).await;
    let other = second.address();
    let rabbit = Rabbit::new(|options| options.nodes = vec![other]).await;
    let direct = rabbit.direct.rsplit('@').next().unwrap().split('/').next().unwrap();
    rabbit.publisher().publish(message(&rabbit, "one", 1)).await.unwrap();
    // The node in use goes, and does not come back; the other is there now.
    second.lead_to(direct);
    rabbit.proxy.unplug();
    let publisher = rabbit.publisher();
    let again = message(&rabbit, "one", 2);
    soon("the other node", async { while publisher.publish(again.clone()).await.is_err() {} }).await;
    let mut deliveries = rabbit.broker.subscribe(&rabbit.name("one"), 10);
    assert_eq!(take(&mut deliveries).await.message_id(), Some("m-1"));
    rabbit.close().await;
}
