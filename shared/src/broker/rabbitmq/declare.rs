//! The topology on the wire: declared, or only looked at.

use lapin::{
    Channel, Connection, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use tokio::time::timeout;

use super::{connection::ANSWER, properties::short};
use crate::broker::{
    BrokerError,
    topology::{Argument, Binding, Exchange, Queue, Routing, Stream, Topology},
};
use tracing::warn;

/// Declares the topology, or checks that its exchanges, queues and streams are there; the streams that were not
/// and are now, and the first refusal. What is refused does not keep the rest from being declared.
pub(super) async fn ensure(
    connection: &Connection,
    topology: &Topology,
    declare: bool,
) -> (Vec<String>, Result<(), BrokerError>) {
    let mut round = Round { connection, channel: None, first: None, is_mute: false };
    let mut made = Vec::new();
    for exchange in &topology.exchanges {
        round.one(&exchange.name, async |channel| on_exchange(&channel, exchange, declare).await).await;
    }
    for queue in &topology.queues {
        round.one(&queue.name, async |channel| on_ours(connection, &channel, queue, declare).await).await;
    }
    for stream in &topology.streams {
        // The channel for its own looks is made there.
        let looked = round.one(&stream.name, async |_| on_stream(connection, stream, declare).await).await;
        made.extend(looked.filter(|is_new| *is_new).map(|_| stream.name.clone()));
    }
    for binding in topology.bindings.iter().filter(|_| declare) {
        round.one(&binding.queue, async |channel| bind(&channel, binding).await).await;
    }
    (made, round.end().await)
}

/// One pass over the topology, on a channel that is replaced when a refusal has closed it.
struct Round<'a> {
    connection: &'a Connection,
    channel: Option<Channel>,
    first: Option<BrokerError>,
    /// The broker did not answer, and is asked nothing more.
    is_mute: bool,
}

impl Round<'_> {
    async fn one<T>(
        &mut self,
        object: &str,
        step: impl AsyncFnOnce(Channel) -> Result<T, Failure>,
    ) -> Option<T> {
        if self.is_mute {
            return None;
        }
        if !self.connection.status().connected() {
            self.first.get_or_insert(BrokerError::Unavailable { source: None });
            return None;
        }
        let done = timeout(ANSWER, async {
            let channel = self.channel().await?;
            step(channel).await
        });
        match done.await {
            Ok(Ok(done)) => Some(done),
            Err(_) => {
                self.is_mute = true;
                self.first = Some(BrokerError::TimedOut { waited: ANSWER });
                None
            }
            Ok(Err(failure)) => {
                let failure = refused(object, failure);
                if self.first.is_some() {
                    warn!(object, code = failure.code(), "not as it should be either");
                }
                self.first.get_or_insert(failure);
                None
            }
        }
    }

    async fn channel(&mut self) -> lapin::Result<Channel> {
        match self.channel.take().filter(|channel| channel.status().connected()) {
            Some(open) => Ok(self.channel.insert(open).clone()),
            None => Ok(self.channel.insert(self.connection.create_channel().await?).clone()),
        }
    }

    async fn end(self) -> Result<(), BrokerError> {
        if let Some(first) = self.first {
            return Err(first);
        }
        let Some(channel) = self.channel else { return Ok(()) };
        match timeout(ANSWER, channel.close(200, "OK".into())).await {
            Ok(closed) => closed.map_err(|error| BrokerError::Unavailable { source: Some(error.into()) }),
            Err(_) => Err(BrokerError::TimedOut { waited: ANSWER }),
        }
    }
}

/// How an exchange, queue or stream of the broker compares with its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// It is as described.
    Alike,
    /// It has another type or other arguments: which, in the broker's words.
    Differs(String),
    /// It is not there.
    Missing,
    /// Only a user who may declare can compare its arguments, or, on newer brokers, who has some permission on it can
    /// look whether it is there.
    Hidden,
}

/// Compares what is there with its description, by name. What is missing is not made.
pub(super) async fn compare(
    connection: &Connection,
    topology: &Topology,
) -> Result<Vec<(String, Compared)>, BrokerError> {
    let mut found = Vec::new();
    for exchange in &topology.exchanges {
        let one = async |declare| {
            let channel = connection.create_channel().await?;
            on_exchange(&channel, exchange, declare).await
        };
        found.push((exchange.name.clone(), compared(&exchange.name, one).await?));
    }
    let queues = topology.queues.iter().map(|it| (&it.name, it.arguments()));
    for (name, arguments) in queues.chain(topology.streams.iter().map(|it| (&it.name, it.arguments()))) {
        let one = async |declare| {
            let channel = connection.create_channel().await?;
            on_queue(&channel, name, arguments.clone(), declare).await
        };
        found.push((name.clone(), compared(name, one).await?));
    }
    Ok(found)
}

/// Looks first, then declares what is there already: the broker names an argument that differs. Each on a channel of
/// its own, since a refusal closes it.
async fn compared(
    name: &str,
    one: impl AsyncFn(bool) -> Result<(), Failure>,
) -> Result<Compared, BrokerError> {
    for declare in [false, true] {
        let Err(failure) = one(declare).await else { continue };
        match refused(name, failure) {
            BrokerError::Topology { source, .. } if is_forbidden(&source) => return Ok(Compared::Hidden),
            BrokerError::Topology { .. } if !declare => return Ok(Compared::Missing),
            BrokerError::Topology { source, .. } => return Ok(Compared::Differs(source.to_string())),
            away => return Err(away),
        }
    }
    Ok(Compared::Alike)
}

/// Whether the broker refused for want of a permission.
pub(super) fn is_forbidden(error: &(impl std::fmt::Display + ?Sized)) -> bool {
    let words = error.to_string();
    words.contains("ACCESS_REFUSED") || words.contains("ACCESS-REFUSED")
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn refused(object: &str, source: Failure) -> BrokerError {
    match source.downcast::<lapin::Error>() {
        Ok(error) if !error.is_amqp_soft_error() => BrokerError::Unavailable { source: Some(error) },
        Ok(error) => BrokerError::Topology { object: object.to_owned(), source: error },
        Err(source) => BrokerError::Topology { object: object.to_owned(), source },
    }
}

async fn on_exchange(channel: &Channel, exchange: &Exchange, declare: bool) -> Result<(), Failure> {
    let kind = match exchange.routing {
        Routing::Direct => ExchangeKind::Direct,
        Routing::Topic => ExchangeKind::Topic,
        Routing::Fanout => ExchangeKind::Fanout,
    };
    let options = ExchangeDeclareOptions { passive: !declare, durable: true, ..Default::default() };
    let name = short("exchange", exchange.name.clone())?;
    Ok(channel.exchange_declare(name, kind, options, table(exchange.arguments())).await?)
}

/// One that an earlier build declared keeps its arguments, since the broker does not change them, and is used.
async fn on_ours(
    connection: &Connection,
    channel: &Channel,
    queue: &Queue,
    declare: bool,
) -> Result<(), Failure> {
    let Err(failure) = on_queue(channel, &queue.name, queue.arguments(), declare).await else {
        return Ok(());
    };
    let earlier = queue.earlier().filter(|_| is_reply(&failure, PRECONDITION_FAILED));
    let Some(earlier) = earlier else { return Err(failure) };
    // The broker refused by closing the channel.
    let channel = connection.create_channel().await?;
    if on_queue(&channel, &queue.name, earlier.arguments(), declare).await.is_err() {
        return Err(failure);
    }
    channel.close(200, "OK".into()).await?;
    warn!(
        queue = queue.name,
        "the queue has an earlier release's delivery limit: docs/upgrades.md tells how to make it anew"
    );
    Ok(())
}

async fn on_queue(
    channel: &Channel,
    name: &str,
    arguments: Vec<(&'static str, Argument)>,
    declare: bool,
) -> Result<(), Failure> {
    let options = QueueDeclareOptions { passive: !declare, durable: true, ..Default::default() };
    channel.queue_declare(short("queue", name.to_owned())?, options, table(arguments)).await?;
    Ok(())
}

/// Whether the stream was missing and is there now. One that is there keeps its age, whatever the settings say by
/// now. Each look has a channel of its own, because the broker refuses by closing it.
async fn on_stream(connection: &Connection, stream: &Stream, declare: bool) -> Result<bool, Failure> {
    let look = async |declare| {
        let channel = connection.create_channel().await?;
        on_queue(&channel, &stream.name, stream.arguments(), declare).await?;
        Ok(channel.close(200, "OK".into()).await?)
    };
    let is_missing = match look(false).await {
        Ok(()) => false,
        Err(failure) if declare && is_reply(&failure, NOT_FOUND) => true,
        Err(failure) => return Err(failure),
    };
    if !declare {
        return Ok(false);
    }
    match look(true).await {
        Ok(()) => Ok(is_missing),
        Err(failure) if is_reply(&failure, PRECONDITION_FAILED) => {
            warn!(
                stream = stream.name,
                max_age = stream.max_age,
                "the stream has another age: a policy may shorten it"
            );
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

/// Reply codes of AMQP 0-9-1: it is not there, or it is with other arguments.
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;

fn is_reply(failure: &Failure, code: u16) -> bool {
    let error = failure.downcast_ref::<lapin::Error>();
    error.is_some_and(|it| matches!(it.kind(), ErrorKind::ProtocolError(error) if error.get_id() == code))
}

async fn bind(channel: &Channel, binding: &Binding) -> Result<(), Failure> {
    let queue = short("queue", binding.queue.clone())?;
    let exchange = short("exchange", binding.exchange.clone())?;
    let key = short("routing_key", binding.routing_key.clone())?;
    Ok(channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await?)
}

fn table(arguments: Vec<(&'static str, Argument)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.into()),
            Argument::Number(number) => AMQPValue::LongInt(number),
        };
        table.insert(name.into(), value);
    }
    table
}
