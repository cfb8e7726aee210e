//! The fleet's exchanges, queues and bindings, as data.
//!
//! One description feeds three readers: the declaration at start, the passive check of a user that may
//! not declare, and the definitions file of `deploy/rabbitmq` that an administrator imports.

use serde_json::{Value, json};

use super::permissions;

/// Case events from the integrators; routing key `<ente>.<tipo>`.
pub const EVENTS: &str = "promemoria.events";
/// Outcomes to the integrators; nobody has to listen.
pub const OUTCOMES: &str = "promemoria.outcomes";
/// Work between our own services; routing keys [`RENDER`], [`DISPATCH`], [`FOLLOW`].
pub const WORK: &str = "promemoria.work";
/// Messages given up, with their reason.
pub const DEAD: &str = "promemoria.dead";
/// Events that no binding took; anything here is a fault of the topology.
pub const UNROUTED: &str = "promemoria.unrouted";
/// The queue of the events, bound to [`EVENTS`] with `#`.
pub const EVENTS_QUEUE: &str = "promemoria.events";
/// The renderer's work queue.
pub const RENDER_QUEUE: &str = "promemoria.render";
/// The dispatcher's work queue.
pub const DISPATCH_QUEUE: &str = "promemoria.dispatch";
/// The dispatcher's queue of status checks.
pub const FOLLOW_QUEUE: &str = "promemoria.follow";
/// The queue of what was given up.
pub const DEAD_QUEUE: &str = "promemoria.dead";
/// The queue of what no binding took.
pub const UNROUTED_QUEUE: &str = "promemoria.unrouted";
/// Lines of the journal: what was taken, and what is about to be sent. Routing keys begin with
/// `events.`, `intents.` or `outcomes.`.
pub const JOURNAL: &str = "promemoria.journal";
/// The stream of the events that were taken.
pub const JOURNAL_EVENTS: &str = "promemoria.journal.events";
/// The stream of the intents: one line before each request to IO.
pub const JOURNAL_INTENTS: &str = "promemoria.journal.intents";
/// The stream of everything published to [`OUTCOMES`].
pub const JOURNAL_OUTCOMES: &str = "promemoria.journal.outcomes";
/// Routing key of work for the renderer.
pub const RENDER: &str = "render";
/// Routing key of work for the dispatcher.
pub const DISPATCH: &str = "dispatch";
/// Routing key of status checks.
pub const FOLLOW: &str = "follow";

/// Messages by which a process asks whether the broker confirms.
pub const PROBE: &str = "promemoria.probe";
/// The queue of the last such message. Nobody takes from it.
pub const PROBE_QUEUE: &str = "promemoria.probe";

/// How often a message may come back to a queue before it is dead-lettered.
///
/// The last resort against what no code of ours can see: a message that the client library cannot read ends each
/// connection that takes it, and would do so for ever. With the dead-letter exchange beside it, a message at the limit
/// moves to [`DEAD_QUEUE`] instead of vanishing, but nobody is told. So it must be out of reach of what was merely
/// prefetched when a process ended, since that counts too: 66 dispatchers killed one after the other within two
/// minutes (row F15, in a build that starts slowly) brought 148 innocent requests to RabbitMQ's own 20. And it must be
/// reached: a process meets what it cannot read some five times a second ([`super::rabbitmq`]), so a thousand
/// times in minutes. What ends whole processes is given up by [`crate::suspects`] after three.
pub const DELIVERY_LIMIT: i32 = 1_000;

/// What [`DELIVERY_LIMIT`] was in earlier builds. The broker keeps the limit with which a queue was declared.
const EARLIER_DELIVERY_LIMIT: i32 = 20;

/// The limit of the queues where messages rest: none in effect.
///
/// They have nowhere to dead-letter to, so 4.0's default of 20 would delete a message that an operator
/// looked at (taken and given back) twenty-one times. `-1` would say it better, but 3.10 refuses it.
pub const NO_DELIVERY_LIMIT: i32 = i32::MAX;

/// The longest that an event's last message or office timer waits, in days: a permit of ten years
/// (`shared/catalogue/permits.json`; 3653 days with leap years), and half a year beyond its end (184).
///
/// Redis is rebuilt from the journal, so the journal must hold every event that a timer may still hang on.
pub const LONGEST_WAIT_DAYS: u64 = 3653 + 184;

/// How long the journal is kept unless `retention.journal` says otherwise, in days: [`LONGEST_WAIT_DAYS`] and
/// the 30 of `retention.payload`, after which Redis forgets what names a person too.
pub const JOURNAL_DAYS: u64 = LONGEST_WAIT_DAYS + 30;

/// Largest file of a stream, in bytes: `x-stream-max-segment-size-bytes`.
///
/// RabbitMQ deletes what is too old by whole files, and looks when it begins a new one. Its own 500 MB would keep
/// the lines of a small ente for years beyond their age.
pub const JOURNAL_SEGMENT: i32 = 20_000_000;

/// How an exchange routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// By the exact routing key.
    Direct,
    /// By pattern of words: `*` is one, `#` any number.
    Topic,
    /// To every bound queue.
    Fanout,
}

impl Routing {
    /// The AMQP name of the exchange type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Topic => "topic",
            Self::Fanout => "fanout",
        }
    }
}

/// A durable exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it routes.
    pub routing: Routing,
    /// Where goes what no binding takes. It catches the unroutable whatever the publisher forgot, which
    /// `mandatory` alone does not (<https://www.rabbitmq.com/docs/ae>).
    pub alternate: Option<String>,
}

/// A durable quorum queue: replicated, and the only type with a delivery limit and safe dead-lettering
/// (<https://www.rabbitmq.com/docs/quorum-queues>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// The exchange for what reaches [`DELIVERY_LIMIT`]. Where there is one, dead-lettering is at least
    /// once, which needs `reject-publish` beside it: without, the broker falls back to at most once and
    /// does not say so.
    pub dead_letter_exchange: Option<String>,
    /// How often a message may come back to it.
    pub delivery_limit: i32,
    /// Only its last message is kept.
    pub keeps_last: bool,
}

/// A durable stream: an append-only log, read from any place as often as wanted
/// (<https://www.rabbitmq.com/docs/streams>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// What is older may be deleted: `3867D`, `30D`, ….
    pub max_age: String,
}

/// A queue or stream bound to an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The exchange.
    pub exchange: String,
    /// The queue or stream.
    pub queue: String,
    /// The routing key or pattern; empty for a fanout.
    pub routing_key: String,
}

/// The value of a declaration's argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A text.
    Text(String),
    /// A number.
    Number(i32),
}

/// Exchanges, queues, streams and bindings, in the order to declare them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    /// The exchanges; one that is an alternate comes before those that name it.
    pub exchanges: Vec<Exchange>,
    /// The queues.
    pub queues: Vec<Queue>,
    /// The streams.
    pub streams: Vec<Stream>,
    /// The bindings.
    pub bindings: Vec<Binding>,
}

impl Exchange {
    fn new(name: &str, routing: Routing) -> Self {
        Self { name: name.to_owned(), routing, alternate: None }
    }

    /// The arguments of its declaration.
    #[must_use]
    pub fn arguments(&self) -> Vec<(&'static str, Argument)> {
        self.alternate.iter().map(|name| ("alternate-exchange", Argument::Text(name.clone()))).collect()
    }
}

impl Queue {
    fn last(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            dead_letter_exchange: None,
            delivery_limit: NO_DELIVERY_LIMIT,
            keeps_last: false,
        }
    }

    fn of_one(name: &str) -> Self {
        Self { keeps_last: true, ..Self::last(name) }
    }

    fn working(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            dead_letter_exchange: Some(DEAD.to_owned()),
            delivery_limit: DELIVERY_LIMIT,
            keeps_last: false,
        }
    }

    /// As an earlier build declared it, if that was otherwise: it is used as it is.
    #[must_use]
    pub fn earlier(&self) -> Option<Self> {
        let differs = self.delivery_limit == DELIVERY_LIMIT;
        differs.then(|| Self { delivery_limit: EARLIER_DELIVERY_LIMIT, ..self.clone() })
    }

    /// The arguments of its declaration.
    #[must_use]
    pub fn arguments(&self) -> Vec<(&'static str, Argument)> {
        let text = |value: &str| Argument::Text(value.to_owned());
        let mut arguments = vec![
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", Argument::Number(self.delivery_limit)),
        ];
        if self.keeps_last {
            arguments.extend([("x-max-length", Argument::Number(1)), ("x-overflow", text("drop-head"))]);
        }
        if let Some(exchange) = &self.dead_letter_exchange {
            arguments.extend([
                ("x-dead-letter-exchange", text(exchange)),
                ("x-dead-letter-strategy", text("at-least-once")),
                ("x-overflow", text("reject-publish")),
            ]);
        }
        arguments
    }
}

impl Stream {
    fn journal(name: &str) -> Self {
        Self { name: name.to_owned(), max_age: format!("{JOURNAL_DAYS}D") }
    }

    /// The arguments of its declaration.
    #[must_use]
    pub fn arguments(&self) -> Vec<(&'static str, Argument)> {
        vec![
            ("x-queue-type", Argument::Text("stream".to_owned())),
            ("x-max-age", Argument::Text(self.max_age.clone())),
            ("x-stream-max-segment-size-bytes", Argument::Number(JOURNAL_SEGMENT)),
        ]
    }
}

impl Topology {
    /// The fleet's topology.
    #[must_use]
    pub fn fleet() -> Self {
        let bind = |exchange: &str, queue: &str, routing_key: &str| Binding {
            exchange: exchange.to_owned(),
            queue: queue.to_owned(),
            routing_key: routing_key.to_owned(),
        };
        Self {
            exchanges: vec![
                Exchange::new(UNROUTED, Routing::Fanout),
                Exchange::new(DEAD, Routing::Fanout),
                Exchange { alternate: Some(UNROUTED.to_owned()), ..Exchange::new(EVENTS, Routing::Topic) },
                Exchange::new(OUTCOMES, Routing::Topic),
                Exchange::new(WORK, Routing::Direct),
                Exchange::new(JOURNAL, Routing::Topic),
                Exchange::new(PROBE, Routing::Fanout),
            ],
            queues: vec![
                Queue::last(UNROUTED_QUEUE),
                Queue::last(DEAD_QUEUE),
                Queue::working(EVENTS_QUEUE),
                Queue::working(RENDER_QUEUE),
                Queue::working(DISPATCH_QUEUE),
                Queue::working(FOLLOW_QUEUE),
                Queue::of_one(PROBE_QUEUE),
            ],
            streams: [JOURNAL_EVENTS, JOURNAL_INTENTS, JOURNAL_OUTCOMES].map(Stream::journal).to_vec(),
            bindings: vec![
                bind(UNROUTED, UNROUTED_QUEUE, ""),
                bind(DEAD, DEAD_QUEUE, ""),
                bind(EVENTS, EVENTS_QUEUE, "#"),
                bind(WORK, RENDER_QUEUE, RENDER),
                bind(WORK, DISPATCH_QUEUE, DISPATCH),
                bind(WORK, FOLLOW_QUEUE, FOLLOW),
                bind(JOURNAL, JOURNAL_EVENTS, "events.#"),
                bind(JOURNAL, JOURNAL_INTENTS, "intents.#"),
                bind(JOURNAL, JOURNAL_OUTCOMES, "outcomes.#"),
                bind(OUTCOMES, JOURNAL_OUTCOMES, "#"),
                bind(PROBE, PROBE_QUEUE, ""),
            ],
        }
    }

    /// What the question whether the broker confirms needs beside its exchange.
    #[must_use]
    pub fn of_probe(&self) -> Self {
        let Self { mut queues, mut bindings, .. } = self.clone();
        queues.retain(|it| it.name == PROBE_QUEUE);
        bindings.retain(|it| it.queue == PROBE_QUEUE);
        Self { queues, bindings, ..Self::default() }
    }

    /// The same, with the journal kept for so long, in whole days.
    #[must_use]
    pub fn keeping_journal(mut self, age: std::time::Duration) -> Self {
        let days = age.as_secs().div_ceil(24 * 3600);
        for stream in &mut self.streams {
            stream.max_age = format!("{days}D");
        }
        self
    }

    /// The definitions that `rabbitmqctl import_definitions` takes, for one virtual host, with the fleet's
    /// users.
    #[must_use]
    pub fn definitions(&self, vhost: &str) -> Value {
        let exchanges: Vec<Value> = self.exchanges.iter().map(|it| exchange_json(it, vhost)).collect();
        let queues = self.queues.iter().map(|it| queue_json(&it.name, it.arguments(), vhost));
        let streams = self.streams.iter().map(|it| queue_json(&it.name, it.arguments(), vhost));
        let queues: Vec<Value> = queues.chain(streams).collect();
        let bindings: Vec<Value> = self.bindings.iter().map(|it| binding_json(it, vhost)).collect();
        let [users, permissions] = permissions::fleet(vhost);
        json!({
            "vhosts": [{ "name": vhost }],
            "users": users,
            "permissions": permissions,
            "exchanges": exchanges,
            "queues": queues,
            "bindings": bindings,
        })
    }
}

fn exchange_json(exchange: &Exchange, vhost: &str) -> Value {
    json!({
        "name": exchange.name,
        "vhost": vhost,
        "type": exchange.routing.name(),
        "durable": true,
        "auto_delete": false,
        "internal": false,
        "arguments": arguments_json(exchange.arguments()),
    })
}

fn queue_json(name: &str, arguments: Vec<(&'static str, Argument)>, vhost: &str) -> Value {
    json!({
        "name": name,
        "vhost": vhost,
        "durable": true,
        "auto_delete": false,
        "arguments": arguments_json(arguments),
    })
}

fn binding_json(binding: &Binding, vhost: &str) -> Value {
    json!({
        "source": binding.exchange,
        "vhost": vhost,
        "destination": binding.queue,
        "destination_type": "queue",
        "routing_key": binding.routing_key,
        "arguments": {},
    })
}

fn arguments_json(arguments: Vec<(&'static str, Argument)>) -> Value {
    let member = |(name, value): (&'static str, Argument)| {
        let value = match value {
            Argument::Text(text) => Value::from(text),
            Argument::Number(number) => Value::from(number),
        };
        (name.to_owned(), value)
    };
    Value::Object(arguments.into_iter().map(member).collect())
}

#[cfg(test)]
#[path = "topology_tests.rs"]
mod tests;
