//! An integrator as it should be: it publishes again what was not confirmed, connects again when the broker
//! went away, and keeps its outcomes in a durable queue.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::crew::STEP;

/// The integrator's own queue. A quorum queue, so that a broker's death costs it nothing.
const QUEUE: &str = "chaos.outcomes";

/// Between two tries to connect to a broker that is away.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// How long a broker may take to let it listen.
const ANSWER: Duration = Duration::from_secs(5);
/// Bound on its goodbye; what was sent by then is enough for the broker.
const GOODBYE: Duration = Duration::from_secs(1);

/// One that is connected.
struct Link {
    channel: Channel,
    outcomes: Consumer,
    connection: Connection,
}

/// An integrator.
pub(super) struct Integrator {
    /// The nodes of its broker; the first is tried first.
    amqp_urls: Vec<String>,
    link: Option<Link>,
    told: HashSet<String>,
}

impl Integrator {
    /// One with an empty queue. The exchanges must be there: the services declare them.
    pub(super) async fn start(amqp_urls: Vec<String>) -> anyhow::Result<Self> {
        let first = amqp_urls.first().context("a broker's address")?;
        let connection = Connection::connect(first, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
        let mut integrator = Self { amqp_urls, link: None, told: HashSet::new() };
        integrator.linked(Instant::now() + STEP).await?;
        Ok(integrator)
    }

    /// The connection, made again if it is gone.
    async fn linked(&mut self, deadline: Instant) -> anyhow::Result<&mut Link> {
        while self.link.is_none() {
            match link(&self.amqp_urls[0]).await {
                Ok(link) => self.link = Some(link),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => {
                    self.amqp_urls.rotate_left(1);
                    sleep(TRY_AGAIN).await;
                }
            }
        }
        self.link.as_mut().context("a connection")
    }

    /// Gives the connection up. Not by dropping it: one with a consumer that waits for its queue's leader would
    /// live on, and take outcomes to itself once there is one.
    async fn part(&mut self) {
        if let Some(Link { connection, .. }) = self.link.take() {
            close(&connection).await;
        }
    }

    /// The node that it is connected to, or tries first.
    pub(super) fn node(&self) -> &str {
        &self.amqp_urls[0]
    }

    /// Connects to the next node from now on.
    pub(super) async fn elsewhere(&mut self) {
        self.part().await;
        self.amqp_urls.rotate_left(1);
    }

    /// Whether the broker confirms an event within `limit`; it is offered once.
    pub(super) async fn is_taken(&mut self, routing_key: &str, body: &[u8], limit: Duration) -> bool {
        // Not within a time-out: a connection that is being made must be closed where it is given up.
        let Ok(link) = self.linked(Instant::now() + limit).await else { return false };
        let channel = link.channel.clone();
        let taken = matches!(timeout(limit, offer(&channel, routing_key, body)).await, Ok(Ok(())));
        if !taken {
            self.part().await;
        }
        taken
    }

    /// Publishes until it is confirmed; each try is persistent and mandatory.
    pub(super) async fn publish(&mut self, routing_key: &str, body: &[u8]) -> anyhow::Result<()> {
        let deadline = Instant::now() + STEP;
        loop {
            let channel = self.linked(deadline).await?.channel.clone();
            match timeout(Duration::from_secs(5), offer(&channel, routing_key, body)).await {
                Ok(Ok(())) => return Ok(()),
                other => {
                    self.part().await;
                    ensure!(Instant::now() < deadline, "an event was not confirmed: {other:?}");
                    sleep(TRY_AGAIN).await;
                }
            }
        }
    }

    /// Publishes many at once, and again those that were not confirmed.
    pub(super) async fn publish_all(&mut self, events: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
        let deadline = Instant::now() + STEP;
        let mut left: Vec<&(String, Vec<u8>)> = events.iter().collect();
        while !left.is_empty() {
            let channel = self.linked(deadline).await?.channel.clone();
            let offers = left.iter().map(|(key, body)| offer(&channel, key, body));
            let limit = Duration::from_secs(15);
            let results = timeout(limit, futures_util::future::join_all(offers)).await.unwrap_or_default();
            if results.len() == left.len() {
                left = left.into_iter().zip(&results).filter(|(_, r)| r.is_err()).map(|(e, _)| e).collect();
            }
            if !left.is_empty() {
                self.part().await;
                ensure!(Instant::now() < deadline, "{} events were not confirmed", left.len());
                sleep(TRY_AGAIN).await;
            }
        }
        Ok(())
    }

    /// The next outcome that was not told before; none within `limit`.
    pub(super) async fn next(&mut self, limit: Duration) -> anyhow::Result<Option<Value>> {
        let deadline = Instant::now() + limit;
        loop {
            let link = self.linked(deadline.max(Instant::now() + STEP)).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            let delivery = match timeout(left, link.outcomes.next()).await {
                Err(_) => return Ok(None),
                Ok(Some(Ok(delivery))) => delivery,
                Ok(_) => {
                    self.part().await;
                    continue;
                }
            };
            let outcome: Value = serde_json::from_slice(&delivery.data)?;
            if delivery.ack(BasicAckOptions::default()).await.is_err() {
                self.part().await;
            }
            if self.told.insert(outcome["id"].as_str().unwrap_or_default().to_owned()) {
                return Ok(Some(outcome));
            }
        }
    }
}

async fn link(amqp_url: &str) -> anyhow::Result<Link> {
    let connecting = Connection::connect(amqp_url, ConnectionProperties::default());
    let connection = timeout(ANSWER, connecting).await.context("the broker does not answer")??;
    let listening = timeout(ANSWER, listen(&connection)).await.context("the broker does not answer");
    match listening.flatten() {
        Ok((channel, outcomes)) => Ok(Link { channel, outcomes, connection }),
        Err(error) => {
            close(&connection).await;
            Err(error)
        }
    }
}

async fn close(connection: &Connection) {
    drop(timeout(GOODBYE, connection.close(200, "OK".into())).await);
}

async fn listen(connection: &Connection) -> anyhow::Result<(Channel, Consumer)> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, arguments).await?;
    let (exchange, all) = ("promemoria.outcomes".into(), "#".into());
    let (binding, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(QUEUE.into(), exchange, all, binding, none).await?;
    let options = BasicConsumeOptions::default();
    let outcomes = channel.basic_consume(QUEUE.into(), "".into(), options, FieldTable::default()).await?;
    Ok((channel, outcomes))
}

async fn offer(channel: &Channel, routing_key: &str, body: &[u8]) -> anyhow::Result<()> {
    let id = serde_json::from_slice::<Value>(body).map(|event| event["id"].as_str().map(str::to_owned));
    let mut properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/cloudevents+json".into());
    // By it even a refusal of what nobody could read names the event.
    if let Ok(Some(id)) = id {
        properties = properties.with_message_id(id.into());
    }
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let exchange = "promemoria.events".into();
    let confirm = channel.basic_publish(exchange, routing_key.into(), options, body, properties).await?;
    ensure!(matches!(confirm.await?, Confirmation::Ack(None)), "not confirmed");
    Ok(())
}
