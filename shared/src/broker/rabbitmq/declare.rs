//! The topology on the wire: declared, or only looked at.

use lapin::{
    Channel, Connection, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::properties::short;
use crate::broker::{
    BrokerError,
    topology::{Argument, Binding, Exchange, Routing, Stream, Topology},
};
use tracing::warn;

/// Declares the topology, or checks that its exchanges and queues are there, on a channel of its own: a
/// refusal closes the channel.
pub(super) async fn ensure(
    connection: &Connection,
    topology: &Topology,
    declare: bool,
) -> Result<(), BrokerError> {
    let unavailable = |error: lapin::Error| BrokerError::Unavailable { source: Some(error.into()) };
    let channel = connection.create_channel().await.map_err(unavailable)?;
    for exchange in &topology.exchanges {
        let done = on_exchange(&channel, exchange, declare).await;
        done.map_err(|error| refused(&exchange.name, error))?;
    }
    for queue in &topology.queues {
        let done = on_queue(&channel, &queue.name, queue.arguments(), declare).await;
        done.map_err(|error| refused(&queue.name, error))?;
    }
    for stream in &topology.streams {
        on_stream(connection, stream, declare).await.map_err(|error| refused(&stream.name, error))?;
    }
    if declare {
        for binding in &topology.bindings {
            bind(&channel, binding).await.map_err(|error| refused(&binding.queue, error))?;
        }
    }
    channel.close(200, "OK".into()).await.map_err(unavailable)
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

/// A stream that is there keeps its age, whatever the settings say by now: on a channel of its own, because the
/// broker refuses another age by closing the channel.
async fn on_stream(connection: &Connection, stream: &Stream, declare: bool) -> Result<(), Failure> {
    let channel = connection.create_channel().await?;
    match on_queue(&channel, &stream.name, stream.arguments(), declare).await {
        Ok(()) => return Ok(channel.close(200, "OK".into()).await?),
        Err(failure) if !is_other(&failure) => return Err(failure),
        Err(_) => {}
    }
    let channel = connection.create_channel().await?;
    on_queue(&channel, &stream.name, Vec::new(), false).await?;
    warn!(
        stream = stream.name,
        max_age = stream.max_age,
        "the stream has another age: a policy may shorten it"
    );
    Ok(channel.close(200, "OK".into()).await?)
}

/// Whether what was declared is there with other arguments: `PRECONDITION_FAILED`.
fn is_other(failure: &Failure) -> bool {
    let error = failure.downcast_ref::<lapin::Error>();
    error.is_some_and(|it| matches!(it.kind(), ErrorKind::ProtocolError(error) if error.get_id() == 406))
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
