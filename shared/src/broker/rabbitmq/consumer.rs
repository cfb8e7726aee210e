//! Subscriptions that outlive their channels.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt;
use lapin::{
    Channel,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    acks::{Acks, Settler},
    connection::{Backoff, Live, Session, Shared, chain, next_session},
    properties::{Properties, short},
};
use crate::broker::{BrokerError, Deliveries, Delivery};

/// Bound on the broker's answer to a cancel.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// Numbers consumers within the process: a tag of ours shows the role in the broker's own listing.
static CONSUMERS: AtomicU64 = AtomicU64::new(0);

/// A consumer on one channel. Dropping it tells the task that made it.
struct Subscription {
    consumer: lapin::Consumer,
    channel: Channel,
    settler: Arc<Settler>,
    /// Its keeper had it cancelled, to make a wider one.
    is_outgrown: CancellationToken,
    _ended: oneshot::Sender<()>,
}

/// One at a time: see [`super::wary`].
const ONE: u16 = 1;

/// The deliveries of one queue.
pub struct RabbitDeliveries {
    subscriptions: mpsc::Receiver<Subscription>,
    current: Option<Subscription>,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl RabbitDeliveries {
    pub(super) fn new(
        shared: &Arc<Shared>,
        tasks: &TaskTracker,
        live: Live,
        queue: &str,
        prefetch: u16,
    ) -> Self {
        let (sender, subscriptions) = mpsc::channel(1);
        let stop = shared.drain.child_token();
        let number = CONSUMERS.fetch_add(1, Ordering::Relaxed);
        shared.links.send_if_modified(|links| links.waits(number, queue));
        let keeper = Keeper {
            number,
            shared: Arc::clone(shared),
            tasks: tasks.clone(),
            queue: queue.to_owned(),
            prefetch,
            stop: stop.clone(),
        };
        tasks.spawn(keeper.run(live, sender));
        Self { subscriptions, current: None, shared: Arc::clone(shared), stop }
    }
}

impl Deliveries for RabbitDeliveries {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            if self.stop.is_cancelled() {
                self.current = None;
                return None;
            }
            let Some(subscription) = &mut self.current else {
                self.current = Some(self.stop.run_until_cancelled(self.subscriptions.recv()).await??);
                continue;
            };
            match self.stop.run_until_cancelled(subscription.consumer.next()).await? {
                // What was buffered before its channel was lost is somebody else's by now.
                Some(Ok(_)) if !subscription.channel.status().connected() => self.current = None,
                Some(Ok(delivery)) => return Some(subscription.hand_out(delivery)),
                None if subscription.is_outgrown.is_cancelled() => self.current = None,
                // A consumer never ends by itself: its channel failed, or the server cancelled it (the
                // queue went away, or its node did), which lapin reports as a plain end of the stream.
                end @ (Some(Err(_)) | None) => {
                    let error = end.and_then(Result::err).map(|error| error.to_string());
                    tracing::warn!(queue = %subscription.consumer.queue(), error, "consumer ended");
                    self.shared.counters.count_consumer_fault();
                    self.current = None;
                }
            }
        }
    }

    async fn stop(&mut self) {
        self.stop.cancel();
        let Some(Subscription { consumer, channel, .. }) = self.current.take() else { return };
        cancel(&channel, consumer.tag()).await;
    }
}

/// What is in hand stays so, and can be settled.
async fn cancel(channel: &Channel, tag: ShortString) {
    let cancel = channel.basic_cancel(tag, BasicCancelOptions::default());
    match timeout(CANCEL_LIMIT, cancel).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "consumer not cancelled: its channel is gone"),
        Err(_) => tracing::warn!("no answer to the cancel of a consumer"),
    }
}

impl Drop for RabbitDeliveries {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Subscription {
    fn hand_out(&self, delivery: lapin::message::Delivery) -> Delivery {
        self.settler.delivered(delivery.delivery_tag);
        Delivery {
            body: Bytes::from(delivery.data),
            exchange: delivery.exchange.into(),
            routing_key: delivery.routing_key.into(),
            redelivered: delivery.redelivered,
            properties: Properties::new(delivery.properties),
            tag: delivery.delivery_tag,
            settlement: Some(Arc::<Settler>::clone(&self.settler)),
        }
    }
}

/// Makes one subscription after another, each when the one before has ended.
struct Keeper {
    /// Which consumer of the process it is.
    number: u64,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    queue: String,
    prefetch: u16,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(self, live: Live, subscriptions: mpsc::Sender<Subscription>) {
        self.keep(live, subscriptions).await;
        // Nobody wants it any more.
        self.shared.links.send_if_modified(|links| links.waits_no_more(self.number));
    }

    async fn keep(&self, mut live: Live, subscriptions: mpsc::Sender<Subscription>) {
        let mut backoff = Backoff::default();
        while let Some(session) = next_session(&mut live, &self.stop).await {
            let (ended, until_ended) = oneshot::channel();
            let wary = self.shared.wary.left();
            let prefetch = if wary.is_some() { ONE } else { self.prefetch };
            match self.subscribe(&session, prefetch, ended).await {
                Ok(subscription) => {
                    backoff = Backoff::default();
                    drop(session);
                    let narrow = Narrow::of(&subscription);
                    self.shared.links.send_if_modified(|links| links.waits_no_more(self.number));
                    if subscriptions.send(subscription).await.is_err() {
                        return;
                    }
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        // Always an error: the sender goes with its subscription.
                        _ = until_ended => {
                            self.shared.links.send_if_modified(|links| links.waits(self.number, &self.queue));
                        }
                        () = narrow.end_after(wary) => {}
                    }
                }
                Err(error) => {
                    self.shared.counters.count_not_subscribed();
                    let text = chain(&error);
                    tracing::warn!(queue = self.queue, code = error.code(), error = %text, "not subscribed");
                }
            }
            backoff.pause(&self.stop).await;
        }
    }

    async fn subscribe(
        &self,
        session: &Session,
        prefetch: u16,
        ended: oneshot::Sender<()>,
    ) -> Result<Subscription, BrokerError> {
        // A queue that was deleted ended the consumer before this one: declare it again if that is ours.
        self.shared.ensure_topology(session).await?;
        let (channel, consumer) = session.answer(self.consume(session, prefetch)).await??;
        let acks = Acks::new(&channel, Arc::clone(&self.shared.counters));
        self.tasks.spawn(Arc::clone(&acks).run(channel.clone(), self.shared.drain.clone()));
        let (settler, is_outgrown) = (Arc::new(Settler::new(acks)), CancellationToken::new());
        Ok(Subscription { consumer, channel, settler, is_outgrown, _ended: ended })
    }

    async fn consume(
        &self,
        session: &Session,
        prefetch: u16,
    ) -> Result<(Channel, lapin::Consumer), BrokerError> {
        let refused =
            |error: lapin::Error| BrokerError::Topology { object: self.queue.clone(), source: error.into() };
        let channel = session.connection.create_channel().await.map_err(refused)?;
        // Without a limit lapin buffers the whole queue in memory. Per consumer: quorum queues refuse
        // a limit on the channel (`global`).
        channel.basic_qos(prefetch, BasicQosOptions { global: false }).await.map_err(refused)?;
        let tag =
            format!("{}-{}", self.shared.options.connection_name, CONSUMERS.fetch_add(1, Ordering::Relaxed));
        let queue = short("queue", self.queue.clone())?;
        let tag = short("amqp.connection_name", tag)?;
        let options = BasicConsumeOptions::default();
        let consumer =
            channel.basic_consume(queue, tag, options, FieldTable::default()).await.map_err(refused)?;
        Ok((channel, consumer))
    }
}

/// The end of a subscription that takes one delivery at a time. RabbitMQ reads a new prefetch for new consumers only.
struct Narrow {
    channel: Channel,
    tag: ShortString,
    is_outgrown: CancellationToken,
}

impl Narrow {
    fn of(subscription: &Subscription) -> Self {
        Self {
            channel: subscription.channel.clone(),
            tag: subscription.consumer.tag(),
            is_outgrown: subscription.is_outgrown.clone(),
        }
    }

    /// Ends it when the process need not be wary any longer; never, where it was not.
    async fn end_after(self, wary: Option<Duration>) {
        let Some(wary) = wary else { return pending().await };
        sleep(wary).await;
        self.is_outgrown.cancel();
        cancel(&self.channel, self.tag).await;
    }
}
