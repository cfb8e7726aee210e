//! The least that a relay needs of AMQP: a confirmed publish in a window, and merged acknowledgements.
//!
//! Written on the client library itself and not on the fleet's own port, so that the floor does not share
//! the costs it is there to show.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

/// Deliveries held unsettled: below 500 the broker waits for acknowledgements (x3.5 from 10 to 2000).
pub(super) const PREFETCH: u16 = 1000;
/// Unconfirmed messages; the fleet's default.
pub(super) const WINDOW: usize = 512;
/// Settled deliveries that one acknowledgement covers at most before it is sent.
const BATCH: u64 = 64;
/// How long fewer than [`BATCH`] wait for company.
const IDLE: Duration = Duration::from_millis(2);
/// AMQP delivery mode of a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// Opens a connection.
pub(super) async fn connect(url: &str) -> anyhow::Result<Connection> {
    Connection::connect(url, ConnectionProperties::default()).await.context("cannot connect to RabbitMQ")
}

/// Publishes persistent messages and waits for each one's confirm, in a bounded window.
#[derive(Clone)]
pub(super) struct Outlet {
    channel: Channel,
    window: Arc<Semaphore>,
}

impl Outlet {
    /// On a channel of its own, with at most `window` messages unconfirmed.
    pub(super) async fn open(connection: &Connection, window: usize) -> anyhow::Result<Self> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, window: Arc::new(Semaphore::new(window)) })
    }

    /// Returns once the broker has the message.
    pub(super) async fn send(&self, exchange: &str, routing_key: &str, body: &[u8]) -> anyhow::Result<()> {
        let slot = self.window.acquire().await?;
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        let options = BasicPublishOptions::default();
        let confirm = self
            .channel
            .basic_publish(exchange.into(), routing_key.into(), options, body, properties)
            .await?
            .await?;
        drop(slot);
        anyhow::ensure!(matches!(confirm, Confirmation::Ack(None)), "a message was not confirmed");
        Ok(())
    }
}

/// Hands every delivery of `queue` to `work`, all unsettled ones at once, and acknowledges in the order of
/// the queue what is done. Ends with the first failure.
pub(super) async fn relay<F>(
    connection: &Connection,
    queue: &str,
    work: impl Fn(Vec<u8>) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut deliveries =
        channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    let mut in_hand = FuturesUnordered::new();
    let mut acks = Acks::default();
    let mut idle = tokio::time::interval(IDLE);
    idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            Some(done) = in_hand.next() => {
                let tag: anyhow::Result<u64> = done;
                if acks.settle(tag?) >= BATCH {
                    acks.tell(&channel).await?;
                }
            }
            delivery = deliveries.next() => {
                let delivery = delivery.context("the consumer ended")??;
                let done = work(delivery.data);
                in_hand.push(async move { done.await.map(|()| delivery.delivery_tag) });
            }
            _ = idle.tick(), if acks.waiting() > 0 => acks.tell(&channel).await?,
        }
    }
}

/// The longest run of settled deliveries from the oldest on.
#[derive(Default)]
struct Acks {
    /// Last tag of the run.
    run: u64,
    /// Last tag that the broker was told.
    told: u64,
    /// Settled beyond the run.
    beyond: BTreeSet<u64>,
}

impl Acks {
    /// Takes a settled tag in; returns how many the broker is still to be told.
    fn settle(&mut self, tag: u64) -> u64 {
        self.beyond.insert(tag);
        while self.beyond.remove(&(self.run + 1)) {
            self.run += 1;
        }
        self.waiting()
    }

    fn waiting(&self) -> u64 {
        self.run - self.told
    }

    async fn tell(&mut self, channel: &Channel) -> anyhow::Result<()> {
        self.told = self.run;
        channel.basic_ack(self.run, BasicAckOptions { multiple: true }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Acks;

    #[test]
    fn only_a_run_without_gaps_is_acknowledged() {
        let mut acks = Acks::default();
        assert_eq!(acks.settle(2), 0);
        assert_eq!(acks.settle(4), 0);
        assert_eq!(acks.settle(1), 2);
        assert_eq!(acks.settle(3), 4);
        assert!(acks.beyond.is_empty());
    }
}
