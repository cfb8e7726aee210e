//! What a span says: OpenTelemetry's conventions for messaging, RabbitMQ and HTTP clients.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use url::Url;

use crate::telemetry::{Process, VERSION};
use crate::wire::MessageRef;

use super::Span;

/// Where a message goes to, or comes from.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The exchange.
    pub exchange: &'a str,
    /// The routing key; empty where it is not one of ours: somebody else chose it.
    pub routing_key: &'a str,
    /// The queue it was taken from; none for one that is sent.
    pub queue: Option<&'a str>,
}

impl Place<'_> {
    /// The part of it of which there are few: queue, else exchange.
    fn template(&self) -> &str {
        self.queue.unwrap_or(self.exchange)
    }

    pub(super) fn name(&self, operation: &str) -> String {
        format!("{operation} {}", self.template())
    }

    pub(super) fn attributes(&self, operation: &'static str) -> Vec<KeyValue> {
        let parts = [self.exchange, self.routing_key, self.queue.unwrap_or_default()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let mut attributes = vec![
            KeyValue::new("messaging.system", "rabbitmq"),
            KeyValue::new("messaging.operation.name", operation),
            KeyValue::new("messaging.operation.type", operation),
            KeyValue::new("messaging.destination.name", parts.join(":")),
            KeyValue::new("messaging.destination.template", self.template().to_owned()),
        ];
        if !self.routing_key.is_empty() {
            let key = "messaging.rabbitmq.destination.routing_key";
            attributes.push(KeyValue::new(key, self.routing_key.to_owned()));
        }
        attributes
    }
}

/// A call of the IO API.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path with the names of its parts in place of the parts: the URL itself may hold a fiscal code.
    pub template: &'static str,
    /// The API's base URL.
    pub base: &'a Url,
}

impl Call<'_> {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("http.request.method", self.method),
            KeyValue::new("url.template", self.template),
            KeyValue::new("server.address", self.base.host_str().unwrap_or_default().to_owned()),
        ];
        let port = self.base.port_or_known_default();
        attributes.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
        attributes
    }
}

impl Span {
    /// Says which event type it is about.
    pub fn note_event(&self, (ente, servizio, tipo): (&str, &str, &str)) {
        if !self.is_kept() {
            return;
        }
        self.note("promemoria.ente", ente.to_owned());
        self.note("promemoria.servizio", servizio.to_owned());
        self.note("promemoria.tipo", tipo.to_owned());
    }

    /// Says which message it is about: its key is derived, its case number is left out.
    pub fn note_message(&self, message: &MessageRef) {
        if !self.is_kept() {
            return;
        }
        self.note("promemoria.ente", message.ente.clone());
        self.note("promemoria.servizio", message.servizio.clone());
        self.note("promemoria.messaggio", message.messaggio.clone());
        self.note("messaging.message.conversation_id", message.chiave.clone());
        self.note("messaging.message.id", format!("{}/{}", message.chiave, message.attempt));
    }
}

/// Who sends the spans. Standard variables (`OTEL_RESOURCE_ATTRIBUTES`) may add to it.
pub(super) fn resource(process: Process) -> Resource {
    Resource::builder()
        .with_service_name(process.name())
        .with_attribute(KeyValue::new("service.namespace", "promemoria"))
        .with_attribute(KeyValue::new("service.version", VERSION))
        .build()
}
