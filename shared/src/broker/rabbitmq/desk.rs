//! An operator's visit to a queue: looks, takes one message at a time, settles the ones it decides on.
//!
//! Unlike a subscription it knows when a queue is empty, and it does not outlive its connection: a command
//! that is interrupted leaves every message where it was.

use bytes::Bytes;
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions},
    types::FieldTable,
};

use super::{
    declare::{self, Compared},
    properties::{Properties, short},
    socket::{Endpoint, Tether},
};
use crate::broker::{BrokerError, Delivery, Options, topology::Topology};

/// A connection for one visit.
pub struct Desk {
    connection: lapin::Connection,
    channel: Channel,
    tether: Tether,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait; those in somebody's hand are not among them.
    pub messages: u32,
    /// Consumers.
    pub consumers: u32,
}

/// What a look at a queue found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is there.
    There(Depth),
    /// There is no such queue.
    Missing,
    /// This user may not look at it: from RabbitMQ 4.2.7 and 4.3.1 on only who has a permission on it may.
    Hidden,
}

impl Desk {
    /// Connects once. The topology is neither declared nor checked.
    pub async fn open(options: &Options) -> Result<Self, BrokerError> {
        let endpoint = Endpoint::new(options)?;
        let opened = endpoint.open(&options.connection_name).await;
        let (connection, tether) =
            opened.map_err(|source| BrokerError::Unavailable { source: Some(source) })?;
        let channel = connection.create_channel().await.map_err(unavailable)?;
        Ok(Self { connection, channel, tether })
    }

    /// How full a queue is; `None` if there is no such queue, or this user may not look at it.
    pub async fn depth(&self, queue: &str) -> Result<Option<Depth>, BrokerError> {
        Ok(match self.look(queue).await? {
            Seen::There(depth) => Some(depth),
            Seen::Missing | Seen::Hidden => None,
        })
    }

    /// Looks at a queue.
    pub async fn look(&self, queue: &str) -> Result<Seen, BrokerError> {
        let name = short("queue", queue.to_owned())?;
        // A refusal closes the channel, hence one for each question.
        let channel = self.connection.create_channel().await.map_err(unavailable)?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        match channel.queue_declare(name, options, FieldTable::default()).await {
            Ok(found) => {
                let depth = Depth { messages: found.message_count(), consumers: found.consumer_count() };
                channel.close(200, "OK".into()).await.map_err(unavailable)?;
                Ok(Seen::There(depth))
            }
            Err(error) if declare::is_forbidden(&error) => Ok(Seen::Hidden),
            Err(error) if error.is_amqp_soft_error() => Ok(Seen::Missing),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Compares exchanges, queues and streams with their description, by name. Nothing is made or changed.
    pub async fn compare(&self, topology: &Topology) -> Result<Vec<(String, Compared)>, BrokerError> {
        declare::compare(&self.connection, topology).await
    }

    /// Takes the next message of a queue; `None` if none waits. It stays in hand until [`Desk::ack`], and
    /// goes back to the queue when the desk closes.
    pub async fn take(&self, queue: &str) -> Result<Option<Delivery>, BrokerError> {
        let name = short("queue", queue.to_owned())?;
        let got = self.channel.basic_get(name, BasicGetOptions::default()).await.map_err(unavailable)?;
        Ok(got.map(|got| {
            let delivery = got.delivery;
            Delivery {
                body: Bytes::from(delivery.data),
                exchange: delivery.exchange.into(),
                routing_key: delivery.routing_key.into(),
                redelivered: delivery.redelivered,
                properties: Properties::new(delivery.properties),
                tag: delivery.delivery_tag,
                settlement: None,
            }
        }))
    }

    /// Removes a message that this desk took.
    pub async fn ack(&self, delivery: Delivery) -> Result<(), BrokerError> {
        self.channel.basic_ack(delivery.tag, BasicAckOptions::default()).await.map_err(unavailable)
    }

    /// Gives back what is in hand and disconnects.
    pub async fn close(self) {
        // Whatever the goodbye says, the broker gives the messages back when the socket ends.
        drop(self.connection.close(200, "OK".into()).await);
        self.tether.cut();
    }
}

fn unavailable(error: lapin::Error) -> BrokerError {
    BrokerError::Unavailable { source: Some(error.into()) }
}
