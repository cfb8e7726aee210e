//! What replicas of two releases share, on real servers: the store's format, and the topology.

use std::collections::BTreeMap;

use shared::broker::rabbitmq::{Compared, Desk};
use shared::broker::topology::{Queue, Topology};
use shared::broker::{Options, RabbitMq};
use shared::store::replicas::Replica;
use shared::store::{CaseStore, Commit, Place, Redis, StoreError};

use crate::rabbitmq::{START, unique};
use crate::shared_brokers;
use crate::store::{commit_two, options};

#[tokio::test]
async fn a_store_of_a_later_release_gives_this_one_nothing() {
    let brokers = shared_brokers().await;
    let redis = Redis::connect(&options(brokers.redis_url(), Place::Single)).await.unwrap();
    let (ente, cases) = (unique("e"), CaseStore::new(redis.clone()));
    let before = cases.load(&ente, None, &[[9; 12]], &[]).await.unwrap();
    commit_two(&redis, &ente).await.unwrap();
    assert_eq!(redis.format(&ente).await.unwrap(), 1, "the first commit says what it writes");
    redis.check_format(&ente).await.unwrap();

    let mut raw = redis.connection();
    let _: () =
        redis::cmd("SET").arg(format!("pm:{{{ente}}}:format")).arg(2).query_async(&mut raw).await.unwrap();
    let claim = cases.claim(&ente, 10, 60_000, (100, None)).await.map(|claim| claim.entries);
    assert!(matches!(claim, Err(StoreError::Foreign(_))), "{claim:?}");
    assert!(matches!(cases.load(&ente, None, &[], &[]).await, Err(StoreError::Foreign(_))));
    let units = vec![(&before.units[0], &before.units[0].case, &[][..])];
    let commit = Commit { event: None, units, persons: vec![], propagate: false };
    assert!(matches!(cases.commit(&ente, &commit).await, Err(StoreError::Foreign(_))));
    assert!(matches!(redis.check_format(&ente).await, Err(StoreError::Foreign(_))));

    let _: () =
        redis::cmd("SET").arg(format!("pm:{{{ente}}}:format")).arg(1).query_async(&mut raw).await.unwrap();
    let claim = cases.claim(&ente, 10, 60_000, (100, None)).await.unwrap();
    assert_eq!(claim.entries.len(), 2, "nothing was claimed meanwhile");
}

#[tokio::test]
async fn a_record_of_a_later_release_is_left_and_not_lost() {
    let brokers = shared_brokers().await;
    let redis = Redis::connect(&options(brokers.redis_url(), Place::Single)).await.unwrap();
    let (ente, cases) = (unique("e"), CaseStore::new(redis.clone()));
    commit_two(&redis, &ente).await.unwrap();
    let mut key = format!("pm:{{{ente}}}:c:").into_bytes();
    key.extend([7; 12]);
    // The version stands behind the 8 digits of the revision.
    let mut raw = redis.connection();
    let _: usize = redis::cmd("SETRANGE").arg(key).arg(8).arg(b"\x02").query_async(&mut raw).await.unwrap();
    let claim = cases.claim(&ente, 10, 60_000, (100, None)).await.unwrap();
    assert_eq!(claim.entries.len(), 2);
    assert!(claim.entries.iter().all(|entry| entry.is_unreadable && entry.case.is_none()));
}

#[tokio::test]
async fn a_process_is_seen_until_it_says_that_it_is_over() {
    let brokers = shared_brokers().await;
    let redis = Redis::connect(&options(brokers.redis_url(), Place::Single)).await.unwrap();
    let replica = Replica {
        service: "renderer".to_owned(),
        name: unique("r"),
        version: "0.1.0".to_owned(),
        commit: "abc".to_owned(),
        catalogue: "c0".to_owned(),
        formats: BTreeMap::from([("render".to_owned(), [0, 1, 1])]),
        at_ms: 0,
    };
    let seen = async || {
        let (all, now_ms) = redis.replicas().await.unwrap();
        all.into_iter().find(|it| it.name == replica.name).map(|it| now_ms - it.at_ms)
    };
    redis.tell(&replica, false).await.unwrap();
    assert!(seen().await.is_some_and(|age_ms| age_ms < 30_000));
    redis.forget_replicas(60_000).await.unwrap();
    assert!(seen().await.is_some(), "it is alive");
    redis.tell(&replica, true).await.unwrap();
    redis.forget_replicas(60_000).await.unwrap();
    assert_eq!(seen().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_an_earlier_releases_limit_is_used_and_named() {
    let brokers = shared_brokers().await;
    let url = brokers.vhost("earlier").await.unwrap();
    let topology = Topology::fleet();
    let mut earlier = topology.clone();
    for queue in &mut earlier.queues {
        *queue = queue.earlier().unwrap_or_else(|| queue.clone());
    }
    for topology in [earlier, topology.clone()] {
        let options = Options { url: url.clone().into(), topology, ..Options::default() };
        let broker = RabbitMq::start(options).unwrap();
        broker.wait_until_up(START).await.unwrap();
        broker.close().await;
    }
    let desk = Desk::open(&Options { url: url.into(), ..Options::default() }).await.unwrap();
    let compared = desk.compare(&topology).await.unwrap();
    desk.close().await;
    let differ = compared.iter().filter(|(_, it)| matches!(it, Compared::Differs(_)));
    let names: Vec<_> = differ.map(|(name, _)| name.as_str()).collect();
    let kinds = ["events", "render", "dispatch", "follow"];
    assert_eq!(names, kinds.map(|kind| format!("promemoria.{kind}")));
}

#[tokio::test]
async fn an_argument_that_differs_is_named_and_nothing_is_made() {
    let brokers = shared_brokers().await;
    let queue = |name: String, delivery_limit| Queue {
        name,
        dead_letter_exchange: None,
        delivery_limit,
        keeps_last: false,
    };
    let (there, nowhere) = (unique("q"), unique("n"));
    let topology = Topology { queues: vec![queue(there.clone(), 20)], ..Topology::default() };
    let options =
        Options { url: brokers.amqp_url().into(), topology: topology.clone(), ..Options::default() };
    let broker = RabbitMq::start(options.clone()).unwrap();
    broker.wait_until_up(START).await.unwrap();
    let desk = Desk::open(&options).await.unwrap();
    assert_eq!(desk.compare(&topology).await.unwrap(), [(there.clone(), Compared::Alike)]);

    let queues = vec![queue(there.clone(), 21), queue(nowhere.clone(), 20)];
    let other = Topology { queues, ..Topology::default() };
    for _ in 0..2 {
        let compared = desk.compare(&other).await.unwrap();
        let (_, Compared::Differs(words)) = &compared[0] else { panic!("{compared:?}") };
        assert!(words.contains("x-delivery-limit"), "{words}");
        assert_eq!(compared[1], (nowhere.clone(), Compared::Missing));
    }
    desk.close().await;
    broker.close().await;
}
