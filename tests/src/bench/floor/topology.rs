//! The floor's exchanges and queues: the fleet's on the way of a message, under names of their own.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ExchangeKind};

/// Events in.
pub(in crate::bench) const EVENTS: &str = "floor.events";
/// Work between the hops.
pub(super) const WORK: &str = "floor.work";
/// Outcomes; only the journal listens, as to the fleet's.
pub(super) const OUTCOMES: &str = "floor.outcomes";
/// The journal: a stream of events and one of intents, as the fleet has, under these routing keys.
pub(super) const JOURNAL: &str = "floor.journal";
/// Stream and routing key of the events.
pub(super) const JOURNAL_EVENTS: &str = "floor.journal.events";
/// Stream and routing key of the intents.
pub(super) const JOURNAL_INTENTS: &str = "floor.journal.intents";
/// The stream of the outcomes.
const JOURNAL_OUTCOMES: &str = "floor.journal.outcomes";
/// Queue and routing key of the second hop.
pub(in crate::bench) const RENDER: &str = "floor.render";
/// Queue and routing key of the third hop.
pub(super) const DISPATCH: &str = "floor.dispatch";

/// Declares all of it.
pub(super) async fn declare(connection: &Connection) -> anyhow::Result<()> {
    let channel = connection.create_channel().await?;
    for (name, kind) in [
        (EVENTS, ExchangeKind::Topic),
        (WORK, ExchangeKind::Direct),
        (OUTCOMES, ExchangeKind::Topic),
        (JOURNAL, ExchangeKind::Direct),
    ] {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await?;
    }
    for (queue, exchange, key, kind) in [
        (EVENTS, EVENTS, "#", "quorum"),
        (RENDER, WORK, RENDER, "quorum"),
        (DISPATCH, WORK, DISPATCH, "quorum"),
        (JOURNAL_EVENTS, JOURNAL, JOURNAL_EVENTS, "stream"),
        (JOURNAL_INTENTS, JOURNAL, JOURNAL_INTENTS, "stream"),
        (JOURNAL_OUTCOMES, OUTCOMES, "#", "stream"),
    ] {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.into(), options, arguments).await?;
        let options = QueueBindOptions::default();
        channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()).await?;
    }
    channel.close(200, "declared".into()).await?;
    Ok(())
}
