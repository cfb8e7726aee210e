//! Outcomes: what the ente is told (contract.md section 5).

use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::MessageRef;
use crate::domain::{FiscalCode, hex};

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
        if let (Some(servizio), Some(event)) = (&self.servizio, event.as_object_mut()) {
            event.insert("servizio".to_owned(), json!(servizio));
        }
        event.to_string().into_bytes()
    }
}
