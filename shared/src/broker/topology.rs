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

/// How often a message may come back to a queue before it is dead-lettered.
///
/// RabbitMQ 4.0 made 20 the default and 3.10 has none: written down, both behave alike. It is the last
/// resort against a message that kills its consumer before any of our code counts the attempt; with the
/// dead-letter exchange beside it, a message at the limit moves to [`DEAD_QUEUE`] instead of vanishing.
pub const DELIVERY_LIMIT: i32 = 20;

/// The limit of the queues where messages rest: none in effect.
///
/// They have nowhere to dead-letter to, so 4.0's default of 20 would delete a message that an operator
/// looked at (taken and given back) twenty-one times. `-1` would say it better, but 3.10 refuses it.
pub const NO_DELIVERY_LIMIT: i32 = i32::MAX;

/// How long the journal is kept: `x-max-age` of its streams.
///
/// Redis is rebuilt from it, so it must hold every event that a timer may still hang on. The longest wait
/// is that of a permit of ten years (`shared/catalogue/validita.toml`), and half a year
/// beyond its end for the last office timer; eleven years leave a margin. A policy may only shorten it.
pub const JOURNAL_AGE: &str = "11Y";

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
}

/// A durable stream: an append-only log, read from any place as often as wanted
/// (<https://www.rabbitmq.com/docs/streams>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// What is older may be deleted: `11Y`, `30D`, ….
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
        Self { name: name.to_owned(), dead_letter_exchange: None, delivery_limit: NO_DELIVERY_LIMIT }
    }

    fn working(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            dead_letter_exchange: Some(DEAD.to_owned()),
            delivery_limit: DELIVERY_LIMIT,
        }
    }

    /// The arguments of its declaration.
    #[must_use]
    pub fn arguments(&self) -> Vec<(&'static str, Argument)> {
        let text = |value: &str| Argument::Text(value.to_owned());
        let mut arguments = vec![
            ("x-queue-type", text("quorum")),
            ("x-delivery-limit", Argument::Number(self.delivery_limit)),
        ];
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
        Self { name: name.to_owned(), max_age: JOURNAL_AGE.to_owned() }
    }

    /// The arguments of its declaration.
    #[must_use]
    pub fn arguments(&self) -> Vec<(&'static str, Argument)> {
        vec![
            ("x-queue-type", Argument::Text("stream".to_owned())),
            ("x-max-age", Argument::Text(self.max_age.clone())),
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
            ],
            queues: vec![
                Queue::last(UNROUTED_QUEUE),
                Queue::last(DEAD_QUEUE),
                Queue::working(EVENTS_QUEUE),
                Queue::working(RENDER_QUEUE),
                Queue::working(DISPATCH_QUEUE),
                Queue::working(FOLLOW_QUEUE),
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
            ],
        }
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
mod tests {
    use super::*;

    #[test]
    fn the_shipped_definitions_are_those_of_the_code() {
        let shipped = include_str!("../../../deploy/rabbitmq/definitions.json");
        let written = serde_json::to_string_pretty(&Topology::fleet().definitions("/")).unwrap();
        assert_eq!(shipped.trim_end(), written, "write the left file again from the right text");
    }

    fn names(topology: &Topology) -> impl Iterator<Item = &str> {
        let streams = topology.streams.iter().map(|it| it.name.as_str());
        topology.queues.iter().map(|it| it.name.as_str()).chain(streams)
    }

    #[test]
    fn the_journal_is_kept_longer_than_the_longest_permit() {
        let years: u32 = JOURNAL_AGE.trim_end_matches('Y').parse().unwrap();
        assert!(years > 10, "a permit of ten years and its last office timer");
        for stream in Topology::fleet().streams {
            let text = |value: &str| Argument::Text(value.to_owned());
            let wanted = [("x-queue-type", text("stream")), ("x-max-age", text(JOURNAL_AGE))];
            assert_eq!(stream.arguments(), wanted, "{}", stream.name);
        }
    }

    #[test]
    fn every_binding_joins_an_exchange_and_a_queue_that_are_declared() {
        let topology = Topology::fleet();
        for binding in &topology.bindings {
            assert!(topology.exchanges.iter().any(|it| it.name == binding.exchange), "{binding:?}");
            assert!(names(&topology).any(|it| it == binding.queue), "{binding:?}");
        }
        for name in names(&topology) {
            assert!(topology.bindings.iter().any(|it| it.queue == name), "{name} is unbound");
        }
    }

    #[test]
    fn a_queue_dead_letters_at_least_once_or_never_deletes() {
        let text = |name, value: &str| (name, Argument::Text(value.to_owned()));
        for queue in Topology::fleet().queues {
            let arguments = queue.arguments();
            assert!(arguments.contains(&text("x-queue-type", "quorum")));
            if queue.dead_letter_exchange.is_some() {
                assert!(arguments.contains(&text("x-dead-letter-strategy", "at-least-once")));
                assert!(arguments.contains(&text("x-overflow", "reject-publish")));
                assert!(arguments.contains(&("x-delivery-limit", Argument::Number(20))));
            } else {
                assert!(arguments.contains(&("x-delivery-limit", Argument::Number(i32::MAX))));
            }
        }
    }
}
