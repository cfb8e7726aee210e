//! `docs/asyncapi.yaml`: an AsyncAPI 3 document of what integrators and operators see of the fleet.
//!
//! Exchanges and queues come from [`Topology`], events from the catalogue, outcomes from their table;
//! bodies are the files of `docs/schemas`. The queues between our own services are nobody else's: they are
//! left out. Our own examples of outcomes are built by the code that builds the real ones.

use serde_json::{Map, Value, json};
use shared::broker::topology::{self, Argument, Topology};
use shared::domain::catalogue::Catalogue;
use shared::domain::outcome::OUTCOME_TYPES;

use super::messages::{key, messages};

/// Version of the contract: of `dataschema` and of the outcomes.
const VERSION: &str = "1.0.0";
/// Version of the AMQP binding, the one for AMQP 0-9-1 that AsyncAPI 3 came with.
const BINDING: &str = "0.3.0";

const HEAD: &str =
    "# Written by `promemoria docs --write` from catalogue and topology: edit those, not this file.\n";

const ABOUT: &str = "\
Takes the case events of an Italian public body and sends citizens the messages that follow from
them, at the right moment, through the IO app.

Events go in through one topic exchange, outcomes come out of another; both are CloudEvents 1.0 in
JSON, in structured mode. The operations are those of the fleet: an integrator does the opposite, it
sends to `events` and receives from `outcomes`.
";

const EVENTS: &str = "\
Case events. Publish them persistent and mandatory, with publisher confirms, in UTF-8, at most 64
KiB; `message_id` is the event's `id`. After a doubt publish the same event again: the same `source`
and `id` count once.

The routing key must be that of the event's own `ente` and `type`. A refused event is answered by
`evento.rifiutato` and kept on `dead`.
";

const OUTCOMES: &str = "\
Outcomes. Bind a durable queue of your own, for example with `borgochiaro.#`, before you publish: an
outcome that no queue takes is gone. `message_id` is the outcome's `id`.

Outcomes are told at least once: drop one whose `id` you have seen. No outcome holds a fiscal code:
`data.destinatario` is HMAC-SHA-256, in lower-case hex, over the upper-case code.
";

const DEAD: &str = "\
What was given up, for an operator (`promemoria dead`): the body byte for byte and the properties as
they came, with the reason in headers. A message without those headers was moved here by the broker,
after too many returns.
";

const UNROUTED: &str = "Events that no queue took: a fault of the topology, for an operator.";

/// The document.
pub(super) fn document(catalogue: &Catalogue) -> String {
    let document = json!({
        "asyncapi": "3.0.0",
        "id": "urn:promemoria",
        "info": {
            "title": "Promemoria",
            "version": VERSION,
            "description": ABOUT,
            "license": { "name": "EUPL-1.2", "url": "https://eupl.eu/1.2/en/" },
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": { "broker": server() },
        "channels": channels(catalogue),
        "operations": operations(catalogue),
        "components": {
            "messages": messages(catalogue),
            "securitySchemes": {
                "user": { "type": "userPassword", "description": "A RabbitMQ user of the ente" },
                "certificate": { "type": "X509", "description": "A client certificate" },
            },
        },
    });
    // A tree of JSON values always has a YAML form.
    let yaml = serde_yaml_ng::to_string(&document).unwrap_or_default();
    let lines = yaml.lines().map(|line| unmistakable(line) + "\n");
    std::iter::once(HEAD.to_owned()).chain(lines).collect()
}

/// The line with quotes around a text that begins with a digit: readers of YAML 1.1 take a bare date or
/// time of day for something else than text.
fn unmistakable(line: &str) -> String {
    let member = line.split_once(": ").filter(|(name, _)| !name.trim_start().contains(' '));
    match member {
        Some((name, value))
            if value.starts_with(|first: char| first.is_ascii_digit()) && value.parse::<f64>().is_err() =>
        {
            format!("{name}: '{value}'")
        }
        _ => line.to_owned(),
    }
}

fn server() -> Value {
    json!({
        "host": "{broker}",
        "protocol": "amqps",
        "protocolVersion": "0.9.1",
        "description": "RabbitMQ 3.10 or later. Without TLS on loopback only.",
        "variables": {
            "broker": { "default": "rabbitmq.example.it:5671", "description": "Your fleet's broker" },
        },
        "security": [
            { "$ref": "#/components/securitySchemes/user" },
            { "$ref": "#/components/securitySchemes/certificate" },
        ],
    })
}

fn channels(catalogue: &Catalogue) -> Value {
    let events = catalogue.tipi_evento();
    let outcomes = outcome_names();
    json!({
        "events": topic(topology::EVENTS, EVENTS, &events),
        "outcomes": topic(topology::OUTCOMES, OUTCOMES, &outcomes),
        "dead": queue(topology::DEAD_QUEUE, DEAD, "dead"),
        "unrouted": queue(topology::UNROUTED_QUEUE, UNROUTED, "unrouted"),
    })
}

fn outcome_names() -> Vec<&'static str> {
    OUTCOME_TYPES.iter().map(|outcome| outcome.tipo).collect()
}

/// A channel on a topic exchange, with the routing key `<ente>.<type>`.
fn topic(name: &str, description: &str, types: &[&str]) -> Value {
    let topology = Topology::fleet();
    let exchange = topology.exchanges.iter().find(|exchange| exchange.name == name);
    let bindings = exchange.map(|exchange| {
        json!({ "amqp": {
            "is": "routingKey",
            "exchange": {
                "name": exchange.name,
                "type": exchange.routing.name(),
                "durable": true,
                "autoDelete": false,
                "vhost": "/",
            },
            "bindingVersion": BINDING,
        } })
    });
    let arguments = exchange.map(|exchange| arguments(exchange.arguments())).unwrap_or_default();
    json!({
        "address": "{ente}.{type}",
        "title": name,
        "description": description,
        "messages": references(types, "#/components/messages"),
        "parameters": {
            "ente": {
                "description": "The ente's id",
                "examples": ["borgochiaro"],
                "location": "$message.payload#/ente",
            },
            "type": { "description": "The type", "enum": types, "location": "$message.payload#/type" },
        },
        "bindings": bindings,
        "x-exchange-arguments": arguments,
    })
}

/// A channel that is a queue.
fn queue(name: &str, description: &str, message: &str) -> Value {
    let topology = Topology::fleet();
    let queue = topology.queues.iter().find(|queue| queue.name == name);
    let bindings = queue.map(|queue| {
        json!({ "amqp": {
            "is": "queue",
            "queue": {
                "name": queue.name,
                "durable": true,
                "exclusive": false,
                "autoDelete": false,
                "vhost": "/",
            },
            "bindingVersion": BINDING,
        } })
    });
    json!({
        "address": name,
        "title": name,
        "description": description,
        "messages": references(&[message], "#/components/messages"),
        "bindings": bindings,
        "x-queue-arguments": queue.map(|queue| arguments(queue.arguments())).unwrap_or_default(),
    })
}

/// Arguments of a declaration. The binding has no place for them.
fn arguments(arguments: Vec<(&'static str, Argument)>) -> Map<String, Value> {
    let value = |argument| match argument {
        Argument::Text(text) => Value::from(text),
        Argument::Number(number) => Value::from(number),
    };
    arguments.into_iter().map(|(name, argument)| (name.to_owned(), value(argument))).collect()
}

fn reference(to: &str, name: &str) -> Value {
    json!({ "$ref": format!("{to}/{}", key(name)) })
}

fn references(names: &[&str], to: &str) -> Map<String, Value> {
    names.iter().map(|name| (key(name), reference(to, name))).collect()
}

fn operations(catalogue: &Catalogue) -> Value {
    let operation = |action: &str, channel: &str, summary: &str, names: &[&str], amqp: Value| {
        let to = format!("#/channels/{channel}/messages");
        let mut amqp = amqp;
        amqp["bindingVersion"] = json!(BINDING);
        json!({
            "action": action,
            "channel": reference("#/channels", channel),
            "summary": summary,
            "messages": names.iter().map(|name| reference(&to, name)).collect::<Vec<_>>(),
            "bindings": { "amqp": amqp },
        })
    };
    let persistent = || json!({ "deliveryMode": 2, "mandatory": true });
    let taken = "Takes a case event; acknowledged once it is safe";
    let mut events = operation("receive", "events", taken, &catalogue.tipi_evento(), json!({ "ack": true }));
    events["x-publisher"] = json!({ "deliveryMode": 2, "mandatory": true, "confirms": true });
    let told = "Tells what became of an event and its messages; nobody has to listen";
    let kept = "Keeps what was given up, with the reason";
    json!({
        "takeEvent": events,
        "tellOutcome": operation("send", "outcomes", told, &outcome_names(), persistent()),
        "keepDead": operation("send", "dead", kept, &["dead"], persistent()),
    })
}
