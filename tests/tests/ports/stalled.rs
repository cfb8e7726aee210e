//! A queue that takes what is published and does not answer, as one whose leader is gone and not replaced: what is
//! meant for others goes on.

use std::time::Duration;

use shared::broker::contract::{Rig as _, soon};
use shared::broker::{BrokerError, Outgoing, Publisher as _};

use crate::rabbitmq::Rabbit;
use crate::shared_brokers;

/// An act on the Raft server of a quorum queue.
fn act(what: &str, queue: &str) -> String {
    format!(
        "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
         ok = ra:{what}_server(quorum_queues, amqqueue:get_pid(Q))."
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_does_not_answer_does_not_hold_up_the_others() {
    let rabbit = Rabbit::new(|options| {
        options.publish_timeout = Duration::from_secs(2);
        options.publish_window = 2;
    })
    .await;
    let (brokers, publisher) = (shared_brokers().await, rabbit.publisher());
    let message = |key: &str, id: usize| Outgoing::new(&rabbit.name("work"), key, format!("m-{id}"), "body");
    let confirmed = async |key: &str, id: usize| {
        while publisher.publish(message(key, id)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    soon("a confirm", confirmed("one", 1)).await;
    let mute = rabbit.name("one");
    brokers.control(&["eval", &act("stop", &mute)]).await.unwrap();
    // As many as the window holds.
    let (a, b) = tokio::join!(publisher.publish(message("one", 2)), publisher.publish(message("one", 3)));
    for late in [a, b] {
        assert!(matches!(late, Err(BrokerError::TimedOut { .. })), "{late:?}");
    }
    soon("another queue's confirm", confirmed("two", 4)).await;
    brokers.control(&["eval", &act("restart", &mute)]).await.unwrap();
    soon("its own, once it answers", confirmed("one", 5)).await;
    rabbit.close().await;
}
