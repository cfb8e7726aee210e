//! The floor's exchanges and queues: the fleet's on the way of a message, under names of their own.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ExchangeKind};

/// Events in.
pub(in crate::bench) const EVENTS: &str = "floor.events";
/// Work between the hops.
pub(super) const WORK: &str = "floor.work";
/// Outcomes; nobody listens, as nobody does to the fleet's.
pub(super) const OUTCOMES: &str = "floor.outcomes";
/// Queue and routing key of the second hop.
pub(in crate::bench) const RENDER: &str = "floor.render";
/// Queue and routing key of the third hop.
pub(super) const DISPATCH: &str = "floor.dispatch";

/// Declares all of it.
pub(super) async fn declare(connection: &Connection) -> anyhow::Result<()> {
    let channel = connection.create_channel().await?;
    for (name, kind) in
        [(EVENTS, ExchangeKind::Topic), (WORK, ExchangeKind::Direct), (OUTCOMES, ExchangeKind::Topic)]
    {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await?;
    }
    for (queue, exchange, key) in [(EVENTS, EVENTS, "#"), (RENDER, WORK, RENDER), (DISPATCH, WORK, DISPATCH)]
    {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.into(), options, arguments).await?;
        let options = QueueBindOptions::default();
        channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await?;
    }
    channel.close(200, "declared".into()).await?;
    Ok(())
}
