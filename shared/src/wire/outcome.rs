//! Outcomes: what the ente is told (contract.md section 5).

use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::MessageRef;
use crate::domain::{FiscalCode, TraceContext, hex};

/// The keyed hash by which outcomes name a recipient: HMAC-SHA-256 over the upper-case code, lower-case
/// hex (contract.md 10.13).
#[derive(Clone)]
pub struct RecipientHash(SecretString);

impl RecipientHash {
    /// With the key of `privacy.recipient_hash_key_file`, trailing white space already off.
    #[must_use]
    pub fn new(key: SecretString) -> Self {
        Self(key)
    }

    /// The hash of a code, 64 hex digits.
    #[must_use]
    pub fn of(&self, code: &FiscalCode) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes()) else {
            return String::new(); // HMAC takes keys of any length: it cannot fail
        };
        mac.update(code.expose().as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

/// One outbound `CloudEvents` event. Its `id` is derived from what it tells, so that a repeated publish is seen
/// as the same outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Ente, the first word of the routing key.
    pub ente: String,
    /// Type, the rest of the routing key: `messaggio.inviato`.
    pub tipo: &'static str,
    /// Case, or `-`.
    pub subject: String,
    /// Service, where it is known.
    pub servizio: Option<String>,
    /// `data`.
    pub data: Map<String, Value>,
    /// What makes it the same outcome when it is told again.
    pub identity: String,
    /// Trace context of the event it follows from, as it came.
    pub traceparent: Option<TraceContext>,
}

impl Outcome {
    /// An outcome of a message, with `messaggio`, `chiave`, `evento` filled in.
    #[must_use]
    pub fn of_message(tipo: &'static str, message: &MessageRef) -> Self {
        let mut data = Map::new();
        data.insert("messaggio".to_owned(), json!(message.messaggio));
        data.insert("chiave".to_owned(), json!(message.chiave));
        data.insert("evento".to_owned(), json!(message.evento));
        Self {
            ente: message.ente.clone(),
            tipo,
            subject: message.pratica.clone(),
            servizio: Some(message.servizio.clone()),
            data,
            identity: message.chiave.clone(),
            traceparent: message.traceparent,
        }
    }

    /// With one more entry of `data`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }

    /// With what tells this outcome from others of the same message and type, for example the attempt.
    #[must_use]
    pub fn telling(mut self, what: &str) -> Self {
        self.identity = format!("{}/{what}", self.identity);
        self
    }

    /// `<ente>.<tipo>`.
    #[must_use]
    pub fn routing_key(&self) -> String {
        format!("{}.{}", self.ente, self.tipo)
    }

    /// The outcome's id: 32 hex digits of SHA-256 over ente, type and identity.
    #[must_use]
    pub fn id(&self) -> String {
        let digest = Sha256::digest(format!("{}\0{}\0{}", self.ente, self.tipo, self.identity));
        hex(&digest[..16])
    }

    /// The `CloudEvents` JSON body.
    #[must_use]
    pub fn body(&self, time: DateTime<Utc>) -> Vec<u8> {
        let mut event = json!({
            "specversion": "1.0",
            "id": self.id(),
            "source": "urn:promemoria",
            "type": self.tipo,
            "subject": self.subject,
            "time": time.to_rfc3339_opts(SecondsFormat::Millis, true),
            "ente": self.ente,
            "datacontenttype": "application/json",
            "data": self.data,
        });
        if let Some(servizio) = &self.servizio {
            event["servizio"] = json!(servizio);
        }
        if let Some(traceparent) = &self.traceparent {
            event["traceparent"] = json!(traceparent);
        }
        event.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(traceparent: Option<TraceContext>) -> Value {
        let outcome = Outcome {
            ente: "borgochiaro".to_owned(),
            tipo: "evento.rifiutato",
            subject: "-".to_owned(),
            servizio: None,
            data: Map::new(),
            identity: "e".to_owned(),
            traceparent,
        };
        serde_json::from_slice(&outcome.body(DateTime::UNIX_EPOCH)).unwrap()
    }

    #[test]
    fn the_trace_context_of_the_event_is_carried_on_and_changes_nothing_else() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut with = told(TraceContext::parse(text));
        assert_eq!(with["traceparent"], text);
        let without = told(None);
        assert!(without.get("traceparent").is_none());
        with.as_object_mut().unwrap().shift_remove("traceparent");
        assert_eq!(with, without);
    }
}
