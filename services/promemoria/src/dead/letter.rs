//! One message that was given up, without what is personal in it.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::broker::{Delivery, topology};
use shared::store::keys::hex;

use crate::cli::Which;
use crate::shown::shown;

/// What may be shown of a message.
pub(super) struct Letter {
    /// Place in the queue, from 1.
    pub(super) place: usize,
    /// The first 12 hex digits of SHA-256 over the body: names it whatever its place and identity.
    pub(super) key: String,
    /// The identity its publisher gave it.
    raw_id: String,
    /// Why, as a code.
    pub(super) code: String,
    reason: String,
    queue: String,
    routing_key: String,
    at: String,
    bytes: usize,
    /// The routing key to publish it with again, if it is a case event.
    pub(super) event_key: Option<String>,
}

/// Code and reason of what the broker gave up by itself, by its own word for it.
fn of_broker(why: Option<&str>) -> (&'static str, &'static str) {
    match why {
        Some("expired") => {
            ("expired", "its publisher set an expiration, and nobody took it within that time")
        }
        _ => ("delivery-limit", "it came back to its queue too often"),
    }
}

impl Letter {
    /// Reads a delivery.
    pub(super) fn read(place: usize, delivery: &Delivery) -> Self {
        let header = |name: &str| delivery.header(name);
        let queue = header("x-promemoria-queue").or_else(|| header("x-first-death-queue")).unwrap_or("-");
        let (code, reason) = of_broker(header("x-first-death-reason"));
        let routing_key = header("x-promemoria-routing-key").unwrap_or(&delivery.routing_key);
        Self {
            place,
            key: hex(&Sha256::digest(&delivery.body)[..6]),
            raw_id: delivery.message_id().unwrap_or_default().to_owned(),
            code: header("x-promemoria-code").unwrap_or(code).to_owned(),
            reason: header("x-promemoria-reason").unwrap_or(reason).to_owned(),
            queue: queue.to_owned(),
            routing_key: routing_key.to_owned(),
            at: header("x-promemoria-at").unwrap_or("-").to_owned(),
            bytes: delivery.body.len(),
            event_key: (queue == topology::EVENTS_QUEUE).then(|| routing_key.to_owned()),
        }
    }

    /// Whether it is named so: by key or by its publisher's identity.
    pub(super) fn is(&self, name: &str) -> bool {
        self.key == name || (!name.is_empty() && self.raw_id == name)
    }

    /// Whether the command line means it.
    pub(super) fn is_chosen(&self, which: &Which) -> bool {
        which.all || which.code.as_ref() == Some(&self.code) || which.id.iter().any(|name| self.is(name))
    }

    /// One line of the list.
    pub(super) fn line(&self) -> String {
        format!(
            "{:>4}  {}  {:<24}  {:<14} {}  {}\n",
            self.place,
            self.key,
            shown(&self.at),
            shown(&self.code),
            shown(&self.routing_key),
            shown(&self.reason)
        )
    }

    /// All of it.
    pub(super) fn sheet(&self) -> String {
        let id = if self.raw_id.is_empty() { "-".to_owned() } else { shown(&self.raw_id) };
        format!(
            "key          {}\nmessage id   {id}\ncode         {}\nreason       {}\nqueue        {}\n\
             routing key  {}\nat           {}\nbody         {} bytes\n",
            self.key,
            shown(&self.code),
            shown(&self.reason),
            shown(&self.queue),
            shown(&self.routing_key),
            shown(&self.at),
            self.bytes
        )
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "place": self.place,
            "key": self.key,
            "message_id": shown(&self.raw_id),
            "code": shown(&self.code),
            "reason": shown(&self.reason),
            "queue": shown(&self.queue),
            "routing_key": shown(&self.routing_key),
            "at": shown(&self.at),
            "bytes": self.bytes,
        })
    }
}
