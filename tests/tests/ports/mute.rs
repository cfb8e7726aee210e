//! Up but mute: the connections are as they should be, and a queue, a permission or a stream is not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use shared::broker::contract::{soon, take};
use shared::broker::permissions::Role;
use shared::broker::rabbitmq::{Library, Place};
use shared::broker::topology::{
    DISPATCH, JOURNAL, JOURNAL_EVENTS, JOURNAL_OUTCOMES, RENDER, RENDER_QUEUE, Topology, WORK,
};
use shared::broker::{BrokerError, Consumer as _, Links, Options, Outgoing, Publisher, RabbitMq, State};
use shared::clock::Clock;
use shared::journal::reach;
use shared::outbox::Outbox;
use shared::wire::Outcome;

use tests::brokers::Brokers;

use crate::rabbitmq::{Rabbit, START};
use crate::shared_brokers;

const PASSWORD: &str = "trial";

async fn administrator(url: &str) -> Channel {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    connection.create_channel().await.unwrap()
}

async fn delete(url: &str, queue: &str) {
    administrator(url).await.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
}

/// What an administrator's import does.
async fn declare_all(url: &str) {
    let options = Options { url: url.to_owned().into(), ..Options::default() };
    let broker = RabbitMq::start(options).unwrap();
    broker.wait_until_up(START).await.unwrap();
    broker.close().await;
}

async fn shows(broker: &RabbitMq, what: &str, holds: impl FnMut(&Links) -> bool) {
    soon(what, broker.links().wait_for(holds)).await.unwrap();
}

/// Publishes until it is confirmed; how often that failed.
async fn confirmed(publisher: &impl Publisher, message: &Outgoing) -> usize {
    let mut failures = 0;
    soon("a confirm", async {
        while publisher.publish(message.clone()).await.is_err() {
            failures += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    failures
}

/// A user with these permissions in the virtual host of the same name, who may configure nothing.
async fn permit(name: &str, write: &str, read: &str) {
    let [write, read] = [write, read].map(|pattern| pattern.replace('\\', "\\\\"));
    let allow = format!(
        "catch rabbit_auth_backend_internal:add_user(<<\"{name}\">>, <<\"{PASSWORD}\">>, <<\"tests\">>), \
         ok = rabbit_auth_backend_internal:set_permissions(<<\"{name}\">>, <<\"{name}\">>, <<\"^$\">>, \
         <<\"{write}\">>, <<\"{read}\">>, <<\"tests\">>)."
    );
    shared_brokers().await.control(&["eval", &allow]).await.unwrap();
}

/// The patterns that the renderer's user is shipped with.
fn patterns() -> [String; 2] {
    let definitions = Topology::fleet().definitions("/");
    let permissions = definitions["permissions"].as_array().unwrap();
    let own = permissions.iter().find(|it| it["user"] == Role::Renderer.user()).unwrap();
    ["write", "read"].map(|what| own[what].as_str().unwrap().to_owned())
}

/// A process of the fleet as a user of its own.
async fn renderer(vhost: &str) -> (RabbitMq, String, Arc<Brokers>) {
    let brokers = shared_brokers().await;
    let direct = brokers.vhost(vhost).await.unwrap();
    let [write, read] = patterns();
    permit(vhost, &write, &read).await;
    declare_all(&direct).await;
    let options = Options {
        url: direct.replace("guest:guest", &format!("{vhost}:{PASSWORD}")).into(),
        declare: false,
        topology: Topology::used_by(Role::Renderer),
        ..Options::default()
    };
    let broker = RabbitMq::start(options).unwrap();
    broker.wait_until_up(START).await.unwrap();
    (broker, direct, brokers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_without_its_queue_is_told_and_comes_back_when_that_is_declared() {
    let (broker, direct, _brokers) = renderer("mute-consumer").await;
    let mut deliveries = broker.subscribe(RENDER_QUEUE, 10);
    let consuming = tokio::spawn(async move { take(&mut deliveries).await.ack() });
    shows(&broker, "the subscription", |links| links.unsubscribed().next().is_none()).await;
    delete(&direct, RENDER_QUEUE).await;
    shows(&broker, "its end", |links| links.unsubscribed().eq([RENDER_QUEUE])).await;
    assert_eq!(broker.state(), State::Up, "the connections are as they were");
    declare_all(&direct).await;
    shows(&broker, "the consumer's return", |links| links.unsubscribed().next().is_none()).await;
    let options = Options { url: direct.into(), ..Options::default() };
    let other = RabbitMq::start(options).unwrap();
    assert_eq!(confirmed(&other.publisher(), &Outgoing::new(WORK, RENDER, "m-1", "work")).await, 0);
    assert!(soon("the delivery", consuming).await.unwrap());
    other.close().await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_refuses_is_told_and_left_alone_for_a_while() {
    let (broker, _, _brokers) = renderer("mute-exchange").await;
    permit("mute-exchange", "^$", ".*").await;
    let (publisher, work) = (broker.publisher(), Outgoing::new(WORK, DISPATCH, "m-1", "work"));
    let refused = soon("an answer", publisher.publish(work.clone())).await;
    assert!(matches!(&refused, Err(BrokerError::Topology { object, .. }) if object == WORK), "{refused:?}");
    shows(&broker, "the refusal", |links| links.refusing().eq([WORK])).await;
    assert_eq!(broker.state(), State::Up, "the connections are as they were");
    // Within the hold nothing is offered.
    let before = Instant::now();
    let held = soon("an answer", publisher.publish(work.clone())).await;
    assert!(matches!(&held, Err(BrokerError::Topology { object, .. }) if object == WORK), "{held:?}");
    if before.elapsed() < Duration::from_millis(500) {
        assert_eq!(broker.counters().refused(), 1);
    }
    permit("mute-exchange", ".*", ".*").await;
    confirmed(&publisher, &work).await;
    shows(&broker, "the mended exchange", |links| links.refusing().next().is_none()).await;
    broker.close().await;
}

/// The offsets and ids of the first lines of a stream.
async fn lines(url: &str, stream: &str, count: usize) -> Vec<(Option<u64>, String)> {
    let options = Options { url: url.to_owned().into(), ..Options::default() };
    let library = Library::open(&options).await.unwrap();
    let mut reader = library.read(stream, Place::First).await.unwrap();
    let mut found = Vec::new();
    while found.len() < count {
        let line = reader.next().await.unwrap();
        found.push((line.offset(), line.message_id().unwrap_or_default().to_owned()));
    }
    library.close().await;
    found
}

fn outcome(identity: &str) -> Outcome {
    Outcome {
        ente: "alfa".to_owned(),
        tipo: "messaggio.inviato",
        subject: "-".to_owned(),
        servizio: None,
        data: serde_json::Map::new(),
        identity: identity.to_owned(),
        traceparent: None,
    }
}

async fn tell(broker: &RabbitMq, identity: &str) -> bool {
    let outbox = Outbox::new(broker.publisher(), Clock::system());
    soon("an answer", outbox.tell(vec![outcome(identity)])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_deleted_comes_back_before_an_outcome_counts_as_told() {
    let rabbit = Rabbit::of_fleet("stream-deleted").await;
    for identity in ["m-1", "m-2", "m-3"] {
        assert!(tell(&rabbit.broker, identity).await);
    }
    let options = Options { url: rabbit.direct.clone().into(), ..Options::default() };
    assert_eq!(reach(&options, [0, 3]).await.unwrap(), [0, 3], "as far as it was read");
    assert_eq!(reach(&options, [0, 9]).await.unwrap(), [0, 3]);
    assert_eq!(rabbit.broker.counters().streams_made(), 0, "the first process of a fleet makes them");

    delete(&rabbit.direct, JOURNAL_OUTCOMES).await;
    // One who may not declare: not safe, and told as what it is.
    let checking = Options { declare: false, topology: Topology::default(), ..options.clone() };
    let checking = RabbitMq::start(checking).unwrap();
    assert!(!tell(&checking, "m-4").await);
    shows(&checking, "what has no queue", |links| links.refusing().next().is_some()).await;
    // One who may makes it again, and only then the outcome is safe.
    while !tell(&rabbit.broker, "m-5").await {}
    let line = (Some(0), outcome("m-5").id());
    assert_eq!(lines(&rabbit.direct, JOURNAL_OUTCOMES, 1).await, [line]);
    assert_eq!(rabbit.broker.counters().streams_made(), 1);
    assert!(tell(&checking, "m-4").await);
    assert_eq!(reach(&options, [0, 3]).await.unwrap(), [0, 2], "it ends before the place that was read");
    checking.close().await;
    rabbit.close().await;
}

/// Makes the broker lose a stream and keep its record, as three nodes do that are killed within a second of its
/// declaration.
fn loss(vhost: &str, stream: &str) -> String {
    format!(
        "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"{vhost}\">>, queue, <<\"{stream}\">>)), \
         Id = maps:get(name, amqqueue:get_type_state(Q)), \
         {{ok, _, _}} = ra:process_command({{rabbit_stream_coordinator, node()}}, {{delete_stream, Id, #{{}}}})."
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_the_broker_lost_does_not_take_the_rest_along() {
    let rabbit = Rabbit::of_fleet("stream-lost").await;
    let (brokers, publisher) = (shared_brokers().await, rabbit.broker.publisher());
    let line = Outgoing::new(JOURNAL, "events.alfa", "m-0", "{}");
    assert_eq!(confirmed(&publisher, &line).await, 0);
    brokers.control(&["eval", &loss("stream-lost", JOURNAL_EVENTS)]).await.unwrap();

    let work = |id: usize| Outgoing::new(WORK, RENDER, format!("w-{id}"), "work");
    let mut messages: Vec<_> = (0..50).map(work).collect();
    messages.insert(25, line.clone());
    let answers = soon("answers", publisher.publish_all(messages)).await;
    for (index, answer) in answers.iter().enumerate() {
        let expected = matches!((index, answer), (25, Err(BrokerError::Topology { .. })))
            || (index != 25 && answer.is_ok());
        assert!(expected, "message {index}: {answer:?}");
    }
    shows(&rabbit.broker, "the refusal", |links| links.refusing().eq([JOURNAL])).await;
    // Many lines, and few of them are offered: work goes on over whole connections.
    let (before, since) = (rabbit.broker.counters().lost(), Instant::now());
    for id in 0..20 {
        let refused = publisher.publish_all(vec![line.clone(); 10]).await;
        assert!(refused.iter().all(|it| matches!(it, Err(BrokerError::Topology { .. }))), "{refused:?}");
        assert!(publisher.publish(work(id)).await.is_ok());
    }
    let lost = rabbit.broker.counters().lost() - before;
    assert!(lost <= 1 + since.elapsed().as_secs(), "{lost} connections lost in {:?}", since.elapsed());
    let options = Options { url: rabbit.direct.clone().into(), ..Options::default() };
    let library = Library::open(&options).await.unwrap();
    let read = library.read(JOURNAL_EVENTS, Place::Last).await.map(drop);
    assert!(
        matches!(&read, Err(BrokerError::Topology { object, .. }) if object == JOURNAL_EVENTS),
        "{read:?}"
    );
    library.close().await;

    // docs/runbook.md, "A journal stream is lost": the record goes, and whoever may declares it anew.
    let forget = format!(
        "N = rabbit_misc:r(<<\"stream-lost\">>, queue, <<\"{JOURNAL_EVENTS}\">>), {{ok, Q}} = rabbit_amqqueue:lookup(N), \
         U = <<\"tests\">>, try rabbit_amqqueue:internal_delete(N, U) \
         catch error:_ -> rabbit_amqqueue:internal_delete(Q, U) end."
    );
    brokers.control(&["eval", &forget]).await.unwrap();
    confirmed(&publisher, &line).await;
    shows(&rabbit.broker, "the mended journal", |links| links.refusing().next().is_none()).await;
    assert_eq!(rabbit.broker.counters().streams_made(), 1);
    assert_eq!(lines(&rabbit.direct, JOURNAL_EVENTS, 1).await, [(Some(0), "m-0".to_owned())]);
    rabbit.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_queue_refuses_is_no_success() {
    let rabbit = Rabbit::new(|_| ()).await;
    let channel = administrator(&rabbit.direct).await;
    let (queue, key) = (rabbit.name("full"), "full");
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.as_str().into(), durable, arguments).await.unwrap();
    let exchange = rabbit.name("work");
    let (options, table) = (QueueBindOptions::default(), FieldTable::default());
    channel
        .queue_bind(queue.as_str().into(), exchange.as_str().into(), key.into(), options, table)
        .await
        .unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let filling =
        channel.basic_publish(exchange.as_str().into(), key.into(), options, b"x", properties).await;
    assert!(filling.unwrap().await.unwrap().is_ack());

    let publisher = rabbit.broker.publisher();
    let message = Outgoing::new(&exchange, key, "m-1", "no room");
    let mut messages = vec![message.clone()];
    messages.extend((0..20).map(|id| Outgoing::new(&exchange, "one", format!("m-{id}"), "room")));
    let answers = soon("answers", publisher.publish_all(messages)).await;
    assert!(matches!(answers[0], Err(BrokerError::Nacked { attempts: 3 })), "{:?}", answers[0]);
    assert!(answers[1..].iter().all(Result::is_ok), "its neighbours have their queue");
    channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
    assert_eq!(confirmed(&publisher, &message).await, 0);
    rabbit.close().await;
}
