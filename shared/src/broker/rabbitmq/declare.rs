//! The topology on the wire: declared, or only looked at.

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::properties::short;
use crate::broker::{
    BrokerError,
    topology::{Argument, Binding, Exchange, Routing, Topology},
};

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
        let done = on_queue(&channel, &stream.name, stream.arguments(), declare).await;
        done.map_err(|error| refused(&stream.name, error))?;
    }
    if declare {
        for binding in &topology.bindings {
            bind(&channel, binding).await.map_err(|error| refused(&binding.queue, error))?;
        }
    }
    channel.close(200, "OK".into()).await.map_err(unavailable)
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
