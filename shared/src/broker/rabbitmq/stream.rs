//! Reading a stream once, from a place of its past.
//!
//! Like a desk it does not outlive its connection: whoever replays begins again, which is harmless.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use lapin::{
    Channel, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;

use super::{
    confirms::is_refusal,
    properties::{Properties, short},
    socket::{Endpoint, Tether},
};
use crate::broker::{BrokerError, Delivery, Options};

/// Lines the broker sends ahead of what was acknowledged, which on a stream only grants credit.
const AHEAD: u16 = 2_000;
/// Acknowledged together: a tenth of what is ahead keeps the line full.
const TOGETHER: u64 = 200;
/// A stream that is silent for so long before its end, or when a reading begins, is stuck.
const SILENCE: Duration = Duration::from_secs(30);

/// Where a reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// With the oldest line kept.
    First,
    /// With the chunk of lines that was written last.
    Last,
    /// With the chunk of lines that was written at this instant of the broker's clock, or a little before.
    Since(DateTime<Utc>),
    /// With the line at this offset, or the oldest kept after it.
    From(u64),
}

/// A connection for reading streams.
pub struct Library {
    connection: lapin::Connection,
    tether: Tether,
}

/// A reading of one stream.
pub struct StreamReader {
    name: String,
    channel: Channel,
    consumer: Consumer,
    since_ack: u64,
}

impl Library {
    /// Connects once. The topology is neither declared nor checked.
    pub async fn open(options: &Options) -> Result<Self, BrokerError> {
        let endpoint = Endpoint::new(options)?;
        let opened = endpoint.open(&format!("{}-journal", options.connection_name)).await;
        let (connection, tether) =
            opened.map_err(|source| BrokerError::Unavailable { source: Some(source) })?;
        Ok(Self { connection, tether })
    }

    /// Begins to read a stream.
    pub async fn read(&self, stream: &str, place: Place) -> Result<StreamReader, BrokerError> {
        // Heartbeats go on while a broker owes an answer: only a limit ends such a wait.
        timeout(SILENCE, self.attach(stream, place)).await.unwrap_or_else(|_| Err(silent(stream)))
    }

    async fn attach(&self, stream: &str, place: Place) -> Result<StreamReader, BrokerError> {
        let refused = |error: lapin::Error| {
            // Over a stream of which the broker has the record only it closes the connection: a hard error.
            if is_refusal(&error) {
                BrokerError::Topology { object: stream.to_owned(), source: error.into() }
            } else {
                unavailable(error)
            }
        };
        let channel = self.connection.create_channel().await.map_err(unavailable)?;
        channel.basic_qos(AHEAD, BasicQosOptions { global: false }).await.map_err(refused)?;
        let offset = match place {
            Place::First => AMQPValue::LongString("first".into()),
            Place::Last => AMQPValue::LongString("last".into()),
            // Whole seconds: the one before is the safe one.
            Place::From(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
            Place::Since(at) => AMQPValue::Timestamp(u64::try_from(at.timestamp()).unwrap_or(0)),
        };
        let mut arguments = FieldTable::default();
        arguments.insert("x-stream-offset".into(), offset);
        let name = short("stream", stream.to_owned())?;
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(name, "".into(), options, arguments).await.map_err(refused)?;
        Ok(StreamReader { name: stream.to_owned(), channel, consumer, since_ack: 0 })
    }

    /// Disconnects.
    pub async fn close(self) {
        // Nothing is in hand that the broker would have to be told of.
        drop(timeout(SILENCE, self.connection.close(200, "OK".into())).await);
        self.tether.cut();
    }
}

impl StreamReader {
    /// The next line. Only for a stream whose end is marked by a line that was published before: past the
    /// end it waits, and then fails.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let next = self.next_within(SILENCE).await?;
        next.ok_or_else(|| silent(&self.name))
    }

    /// The next line; none if none comes within `wait`.
    pub async fn next_within(&mut self, wait: Duration) -> Result<Option<Delivery>, BrokerError> {
        let delivery = match timeout(wait, self.consumer.next()).await {
            Ok(Some(Ok(delivery))) => delivery,
            Ok(Some(Err(error))) => return Err(unavailable(error)),
            Ok(None) => return Err(BrokerError::Unavailable { source: None }),
            Err(_) => return Ok(None),
        };
        self.since_ack += 1;
        if self.since_ack >= TOGETHER {
            let options = BasicAckOptions { multiple: true };
            self.channel.basic_ack(delivery.delivery_tag, options).await.map_err(unavailable)?;
            self.since_ack = 0;
        }
        Ok(Some(Delivery {
            body: Bytes::from(delivery.data),
            exchange: delivery.exchange.into(),
            routing_key: delivery.routing_key.into(),
            redelivered: delivery.redelivered,
            properties: Properties::new(delivery.properties),
            tag: delivery.delivery_tag,
            settlement: None,
        }))
    }
}

fn silent(stream: &str) -> BrokerError {
    BrokerError::Silent { stream: stream.to_owned(), waited: SILENCE }
}

fn unavailable(error: lapin::Error) -> BrokerError {
    BrokerError::Unavailable { source: Some(error.into()) }
}
