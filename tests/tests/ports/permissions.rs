//! What each user must not do is refused, at the broker and in Redis.

use std::sync::Arc;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeBindOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use shared::broker::permissions::{Role, integrator};
use shared::broker::topology::{DEAD, EVENTS, EVENTS_QUEUE, OUTCOMES, Topology, WORK};
use shared::broker::{Options, RabbitMq};
use shared::domain::catalogue::Ruling;
use shared::store::keys::{Kind, Member};
use shared::store::schedule::Schedule;
use shared::store::{CaseStore, Crashes, Place, Redis, StoreError};
use shared::suspects::{CrashCount as _, Suspect};
use tests::brokers::{Brokers, Solos};
use tests::fleet::project_root;

use crate::rabbitmq::START;
use crate::shared_brokers;
use crate::store::{budget, commit_two, decide_other, options, register, send_one};

const PASSWORD: &str = "trial";

/// A user's sign-in at the broker. A refusal closes the channel, hence one for each question.
struct User {
    connection: Connection,
}

type Answer<T> = lapin::Result<T>;

impl User {
    async fn sign_in(brokers: &Brokers, name: &str) -> Self {
        let url = brokers.amqp_url().replace("guest:guest", &format!("{name}:{PASSWORD}"));
        Self { connection: Connection::connect(&url, ConnectionProperties::default()).await.unwrap() }
    }

    async fn channel(&self) -> Channel {
        self.connection.create_channel().await.unwrap()
    }

    async fn publishes(&self, exchange: &str, key: &str) -> bool {
        let channel = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish(exchange.into(), key.into(), options, b"{}", properties).await;
        match sent {
            Ok(confirm) => is_allowed(confirm.await.map(|it| assert!(matches!(it, Confirmation::Ack(_))))),
            refused => is_allowed(refused.map(drop)),
        }
    }

    async fn takes(&self, queue: &str) -> bool {
        let channel = self.channel().await;
        is_allowed(channel.basic_get(queue.into(), BasicGetOptions::default()).await)
    }

    async fn declares(&self, queue: &str, arguments: &[(&str, &str)]) -> bool {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        is_allowed(self.channel().await.queue_declare(queue.into(), options, table).await)
    }

    async fn makes_exchange(&self, name: &str) -> bool {
        let (kind, options) = (ExchangeKind::Fanout, ExchangeDeclareOptions::default());
        let channel = self.channel().await;
        is_allowed(channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await)
    }

    async fn binds(&self, queue: &str, key: &str) -> bool {
        let (options, table) = (QueueBindOptions::default(), FieldTable::default());
        let channel = self.channel().await;
        is_allowed(channel.queue_bind(queue.into(), OUTCOMES.into(), key.into(), options, table).await)
    }

    async fn leads(&self, from: &str, to: &str, key: &str) -> bool {
        let (options, table) = (ExchangeBindOptions::default(), FieldTable::default());
        let channel = self.channel().await;
        is_allowed(channel.exchange_bind(to.into(), from.into(), key.into(), options, table).await)
    }

    async fn deletes(&self, queue: &str) -> bool {
        let channel = self.channel().await;
        is_allowed(channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await)
    }
}

/// False for a refusal; any other error is a fault of the test.
fn is_allowed<T>(answer: Answer<T>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => {
            assert!(error.to_string().contains("ACCESS_REFUSED"), "{error}");
            false
        }
    }
}

async fn fleet_users() -> Arc<Brokers> {
    let brokers = shared_brokers().await;
    let users: Vec<&str> = Role::ALL.iter().map(|role| role.user()).collect();
    brokers.import(&Topology::fleet().definitions("/"), &users, PASSWORD).await.unwrap();
    brokers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_reaches_its_own_queues_and_exchanges_only() {
    let brokers = fleet_users().await;
    for role in Role::ALL {
        let url = brokers.amqp_url().replace("guest:guest", &format!("{}:{PASSWORD}", role.user()));
        let options = Options {
            url: url.into(),
            declare: false,
            topology: Topology::used_by(role),
            ..Options::default()
        };
        let broker = RabbitMq::start(options).unwrap();
        broker.wait_until_up(START).await.unwrap();
        broker.close().await;

        let user = User::sign_in(&brokers, role.user()).await;
        let Topology { exchanges, queues, .. } = Topology::fleet();
        for exchange in exchanges {
            let expected = role.writes().contains(&exchange.name.as_str());
            assert_eq!(
                user.publishes(&exchange.name, "nowhere").await,
                expected,
                "{role:?} to {}",
                exchange.name
            );
        }
        assert!(!user.publishes("", EVENTS_QUEUE).await, "{role:?} past the exchange");
        for queue in queues {
            let expected = role.reads().contains(&queue.name.as_str());
            assert_eq!(user.takes(&queue.name).await, expected, "{role:?} from {}", queue.name);
            assert!(!user.deletes(&queue.name).await, "{role:?} deletes {}", queue.name);
        }
        assert!(
            !user.declares("promemoria.mine", &[]).await && !user.makes_exchange("promemoria.mine").await
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ente_can_neither_send_as_another_nor_read_anothers_outcomes() {
    let brokers = fleet_users().await;
    for ente in ["alfa", "beta"] {
        let users = [format!("{ente}.events"), format!("{ente}.outcomes")];
        brokers
            .import(&integrator(ente, "/"), &users.each_ref().map(String::as_str), PASSWORD)
            .await
            .unwrap();
    }
    let publisher = User::sign_in(&brokers, "alfa.events").await;
    assert!(publisher.publishes(EVENTS, "alfa.permesso.rinnovato").await);
    for (exchange, key) in [
        (EVENTS, "beta.permesso.rinnovato"),
        (EVENTS, "alfabeta.permesso.rinnovato"),
        (OUTCOMES, "alfa.messaggio.inviato"),
        (WORK, "dispatch"),
        (DEAD, ""),
        ("", EVENTS_QUEUE),
    ] {
        assert!(!publisher.publishes(exchange, key).await, "{exchange} {key}");
    }
    assert!(!publisher.takes(EVENTS_QUEUE).await && !publisher.declares("ente.alfa.x", &[]).await);
    assert!(!publisher.makes_exchange("ente.alfa.x").await && !publisher.leads(OUTCOMES, EVENTS, "#").await);

    let listener = User::sign_in(&brokers, "alfa.outcomes").await;
    assert!(
        listener.declares("ente.alfa.esiti", &[]).await && listener.binds("ente.alfa.esiti", "alfa.#").await
    );
    for key in ["beta.#", "#", "*.messaggio.inviato", "", "alfabeta.#"] {
        assert!(!listener.binds("ente.alfa.esiti", key).await, "{key}");
    }
    assert!(!listener.publishes(EVENTS, "alfa.permesso.rinnovato").await);
    assert!(!listener.publishes("", "ente.alfa.esiti").await);
    // The ways round a topic permission: dead-lettering and a binding of one's own into the events.
    let forged =
        [("x-dead-letter-exchange", EVENTS), ("x-dead-letter-routing-key", "beta.permesso.rinnovato")];
    assert!(!listener.declares("ente.alfa.forged", &forged).await);
    assert!(listener.makes_exchange("ente.alfa.mine").await);
    assert!(!listener.leads("ente.alfa.mine", EVENTS, "").await);

    let stranger = User::sign_in(&brokers, "beta.outcomes").await;
    assert!(!stranger.takes("ente.alfa.esiti").await && !stranger.deletes("ente.alfa.esiti").await);
    assert!(!stranger.binds("ente.alfa.esiti", "beta.#").await, "into another's queue");
    assert!(listener.takes("ente.alfa.esiti").await);
}

/// What nobody of the fleet may ask of Redis.
const FORBIDDEN: [&str; 13] = [
    "KEYS *",
    "FLUSHALL",
    "FLUSHDB",
    "CONFIG GET maxmemory",
    "DEBUG SLEEP 0",
    "ACL LIST",
    "SHUTDOWN",
    "GET other",
    "REPLICAOF NO ONE",
    "SCAN 0",
    "MONITOR",
    "SUBSCRIBE x",
    "SCRIPT FLUSH",
];

/// A server with the list as `deploy/redis/acl.sh` writes it, in force from the start.
async fn guarded(solos: &mut Solos) -> u16 {
    for role in Role::ALL {
        std::fs::write(solos.folder().join(role.user()), format!("{PASSWORD}\n")).unwrap();
    }
    let mut script = tokio::process::Command::new(project_root().join("deploy/redis/acl.sh"));
    let list = script.arg(solos.folder()).output().await.unwrap();
    assert!(list.status.success());
    let file = solos.folder().join("users.acl");
    std::fs::write(&file, list.stdout).unwrap();
    let arguments = ["--enable-debug-command", "yes", "--aclfile", file.to_str().unwrap()];
    solos.start("--port", &arguments).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_uses_its_own_commands_on_the_fleets_keys_only() {
    let mut solos = Solos::new().unwrap();
    let port = guarded(&mut solos).await;
    let url = |user: &str| format!("redis://{user}:{PASSWORD}@127.0.0.1:{port}/0");
    let redis = async |role: Role| Redis::connect(&options(&url(role.user()), Place::Single)).await.unwrap();

    let scheduler = redis(Role::Scheduler).await;
    commit_two(&scheduler, "alfa").await.unwrap();
    let cases = CaseStore::new(scheduler.clone());
    let claim = cases.claim("alfa", 10, 60_000, (100, None)).await.unwrap();
    assert_eq!((claim.entries.len(), cases.armed("alfa").await.unwrap().len()), (2, 1));
    cases.fell_due("alfa", &std::iter::once(("promemoria".to_owned(), 2)).collect()).await.unwrap();
    let dispatcher = redis(Role::Dispatcher).await;
    send_one(&dispatcher, "alfa").await;
    budget(&dispatcher, "alfa").await;
    let renderer = CaseStore::new(redis(Role::Renderer).await);
    assert!(renderer.rule("alfa", &claim.entries[1], "x", (Ruling::Hold, 0)).await.unwrap());
    for role in [Role::Scheduler, Role::Renderer, Role::Dispatcher] {
        let (count, suspect) = (Crashes::new(redis(role).await), Suspect::of("queue", b"suspect"));
        count.note(&suspect, 2).await.unwrap();
        assert_eq!(count.of(&suspect).await.unwrap(), 2, "{role:?}");
        count.forget(&suspect).await.unwrap();
        assert_eq!(count.of(&suspect).await.unwrap(), 0, "{role:?}");
    }
    let operator = redis(Role::Operator).await;
    decide_other(&operator, "alfa").await;
    register(&scheduler, "alfa").await;
    let members = [Member { case: [9; 12], slot: 1, kind: Kind::Message }];
    assert_eq!(Schedule::new(scheduler.clone()).unplaced("alfa", &members).await.unwrap(), members);
    assert_eq!(Schedule::new(operator.clone()).unplaced("alfa", &members).await.unwrap(), members);
    assert!(Schedule::new(operator).orphans("alfa", true).await.unwrap().is_empty());

    for role in Role::ALL {
        let client = ::redis::Client::open(url(role.user())).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        for words in FORBIDDEN {
            let mut command = ::redis::Cmd::new();
            command.arg(words.split(' ').collect::<Vec<_>>());
            let answer: ::redis::RedisResult<::redis::Value> = command.query_async(&mut connection).await;
            assert_eq!(answer.unwrap_err().code(), Some("NOPERM"), "{role:?}: {words}");
        }
    }
    let nobody = options(&format!("redis://127.0.0.1:{port}/0"), Place::Single);
    let refused = match Redis::connect(&nobody).await {
        Ok(redis) => redis.ping().await.err(),
        Err(error) => Some(error),
    };
    assert!(
        matches!(refused, Some(StoreError::Refused { code }) if code == "NOAUTH"),
        "the default user is off"
    );
}
