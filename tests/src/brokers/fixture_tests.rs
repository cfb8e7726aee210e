//! The fixture on this machine's programs, and on Docker images where they are here.

use std::io::Write as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use tokio::time::timeout;

use super::process::is_alive;
use super::ready::redis_ping;
use super::source::find;
use super::{Brokers, Options, Origin, Server, Source};

const DEADLINE: Duration = Duration::from_secs(30);

async fn start(source: Source) -> Brokers {
    let options = Options::from_env().unwrap().with_source(source);
    let brokers = Brokers::start(&options).await.unwrap();
    say(&format!("brokers: {brokers}"));
    brokers
}

/// To the process's own error stream: a passing test's captured output is not shown.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

async fn publish_and_consume(url: &str, queue: &str) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let declare = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), lapin::types::AMQPValue::LongString("quorum".into()));
    channel.queue_declare(queue.into(), declare, arguments).await.unwrap();
    let confirm = channel
        .basic_publish(
            "".into(),
            queue.into(),
            BasicPublishOptions::default(),
            b"one",
            BasicProperties::default(),
        )
        .await
        .unwrap();
    assert!(timeout(DEADLINE, confirm).await.unwrap().unwrap().is_ack());
    let mut deliveries = channel
        .basic_consume(queue.into(), "test".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await
        .unwrap();
    let delivery = timeout(DEADLINE, deliveries.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(delivery.data, b"one");
    delivery.ack(BasicAckOptions::default()).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

async fn set(url: &str, key: &str, value: &str) {
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET").arg(key).arg(value).exec_async(&mut connection).await.unwrap();
}

async fn get(url: &str, key: &str) -> Option<String> {
    let mut connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    redis::cmd("GET").arg(key).query_async(&mut connection).await.unwrap()
}

/// What every source must give.
async fn exercise(brokers: &Brokers) {
    publish_and_consume(brokers.amqp_url(), "one").await;
    redis_ping(brokers.redis_url()).await.unwrap();

    let own = brokers.vhost("one-test").await.unwrap();
    assert_eq!(brokers.vhost("one-test").await.unwrap(), own);
    // The same queue name in both: only a virtual host of its own keeps the two apart.
    publish_and_consume(&own, "one").await;
    let refused = brokers.vhost("One Test").await.unwrap_err().to_string();
    assert!(refused.contains("only a-z"), "{refused}");

    let other = brokers.redis_db(63).unwrap();
    set(brokers.redis_url(), "key", "in 0").await;
    set(&other, "key", "in 63").await;
    assert_eq!(get(brokers.redis_url(), "key").await.as_deref(), Some("in 0"));
    assert!(brokers.redis_db(64).is_err());
    restart_and_freeze(brokers).await;
}

async fn restart_and_freeze(brokers: &Brokers) {
    let before = brokers.pids(Server::RabbitMq).await.unwrap();
    brokers.restart(Server::RabbitMq).await.unwrap();
    let after = brokers.pids(Server::RabbitMq).await.unwrap();
    assert!(!after.is_empty() && before != after, "{before:?} {after:?}");
    publish_and_consume(brokers.amqp_url(), "one").await;

    brokers.restart(Server::Redis).await.unwrap();
    assert_eq!(get(brokers.redis_url(), "key").await.as_deref(), Some("in 0"));
    brokers.kill(Server::Redis).await.unwrap();
    assert!(redis_ping(brokers.redis_url()).await.is_err());
    brokers.start_again(Server::Redis).await.unwrap();

    brokers.pause(Server::Redis).await.unwrap();
    assert!(redis_ping(brokers.redis_url()).await.is_err());
    brokers.resume(Server::Redis).await.unwrap();
    redis_ping(brokers.redis_url()).await.unwrap();
}

async fn all_pids(brokers: &Brokers) -> Vec<u32> {
    let rabbitmq = brokers.pids(Server::RabbitMq).await.unwrap();
    let redis = brokers.pids(Server::Redis).await.unwrap();
    assert!(!rabbitmq.is_empty() && !redis.is_empty(), "{rabbitmq:?} {redis:?}");
    [rabbitmq, redis].concat()
}

#[tokio::test]
async fn local_programs_serve_and_leave_no_process() {
    let brokers = start(Source::Local).await;
    assert_eq!(brokers.origin(), &Origin::Local);
    exercise(&brokers).await;
    let pids = all_pids(&brokers).await;
    brokers.shutdown().await.unwrap();
    let left: Vec<&u32> = pids.iter().filter(|pid| is_alive(**pid)).collect();
    assert!(left.is_empty(), "{left:?} of {pids:?}");
    brokers.shutdown().await.unwrap();
}

#[tokio::test]
async fn containers_serve_and_leave_no_process() {
    let options = Options::from_env().unwrap();
    let required = options.source == Source::Containers;
    if let Err(error) = find(&options.with_source(Source::Containers)).await {
        assert!(!required, "{error:#}");
        say(&format!("NOT EXERCISED: brokers in containers: {error:#}"));
        return;
    }
    let brokers = start(Source::Containers).await;
    exercise(&brokers).await;
    let pids = all_pids(&brokers).await;
    brokers.shutdown().await.unwrap();
    let left: Vec<&u32> = pids.iter().filter(|pid| is_alive(**pid)).collect();
    assert!(left.is_empty(), "{left:?} of {pids:?}");
}

#[tokio::test]
async fn given_brokers_are_used_and_never_stopped() {
    let owner = start(Source::Any).await;
    let endpoints = Some((owner.amqp_url().to_owned(), owner.redis_url().to_owned()));
    let guest = Brokers::start(&Options { endpoints, ..Options::default() }).await.unwrap();
    assert_eq!(guest.origin(), &Origin::Environment);
    assert_eq!(guest.versions(), owner.versions());
    publish_and_consume(guest.amqp_url(), "one").await;
    for refused in [guest.vhost("mine").await.map(drop), guest.stop(Server::Redis).await] {
        assert!(refused.unwrap_err().to_string().contains("environment"));
    }
    guest.shutdown().await.unwrap();
    redis_ping(owner.redis_url()).await.unwrap();
    owner.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_named_with_the_next_step() {
    let endpoints = Some(("amqp://127.0.0.1:1/%2f".to_owned(), "redis://127.0.0.1:1".to_owned()));
    let options = Options { endpoints, deadline: Duration::from_millis(300), ..Options::default() };
    let error = Brokers::start(&options).await.err().unwrap().to_string();
    assert!(error.contains("Redis (given by the environment): it does not answer"), "{error}");
    assert!(error.contains("next: "), "{error}");
}
