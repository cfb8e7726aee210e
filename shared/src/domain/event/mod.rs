//! The intake check of a case event: bytes in, a checked event or a refusal out, before any side effect.
//!
//! `json` takes the body apart, `envelope` checks the CloudEvents attributes, `data` the fields against
//! the event type's record, `value` a single value, `variables` whether every message that the event leads
//! to will have what its text needs. `refusal` is the closed list of reasons.

mod data;
mod envelope;
mod hash;
mod json;
mod refusal;
#[cfg(test)]
pub(crate) mod tests;
mod value;
mod variables;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

pub use refusal::{Refusal, RefusalCode};
pub use value::{field_fault, placeholders, text_fault, url_fault};

use super::calendar::add;
use super::catalogue::{Catalogue, Regola, Service, TipoEvento};
use super::derive::derive;
use super::ente::Ente;
use super::fields::Fields;
use super::{FiscalCode, TraceContext};
use data::Data;
use envelope::Envelope;
use refusal::Wrong;

/// Largest body taken, bytes (contract.md section 4).
pub const LARGEST_BODY: usize = 64 * 1024;

/// Age from which a person is of age, months (Italian civil code, art. 2).
const OF_AGE: i32 = 18 * 12;

/// A checked case event.
#[derive(Debug, Clone)]
pub struct CaseEvent {
    /// CloudEvents `id`.
    pub id: String,
    /// CloudEvents `source`.
    pub source: String,
    /// CloudEvents `type`.
    pub tipo: String,
    /// Service.
    pub servizio: String,
    /// Ente.
    pub ente: String,
    /// CloudEvents `subject`: the case.
    pub pratica: String,
    /// When the fact happened.
    pub time: DateTime<Utc>,
    /// CloudEvents `sequence`.
    pub sequence: Option<u64>,
    /// `codice_fiscale`; none in a list event.
    pub recipient: Option<FiscalCode>,
    /// `titolare`, when it is not the recipient's own case.
    pub titolare: Option<FiscalCode>,
    /// `destinatari` of a list event, each once, in the order given.
    pub destinatari: Vec<FiscalCode>,
    /// Other persons whose cases the event concerns, each once.
    pub titolari: Vec<FiscalCode>,
    /// A bulk load of old cases (rules.md 1.11).
    pub importazione: bool,
    /// Checked fields and template variables given; neither fiscal codes nor derived fields.
    pub fields: Fields,
    /// Keys of `data` that neither the type nor any text knows.
    pub unknown: usize,
    /// W3C trace context, where the event has a good one.
    pub traceparent: Option<TraceContext>,
    /// SHA-256 over what makes the event what it is, whatever its white space, order of keys and
    /// extensions.
    pub body_hash: [u8; 32],
}

impl CaseEvent {
    /// Checks a body as it came, in the order of architecture.md 2.1: size, content type, JSON, envelope,
    /// ente against routing key, schema of the type, fiscal codes, variables of every message that the
    /// event can lead to.
    ///
    /// `ente_of` knows the enti in force.
    ///
    /// # Errors
    /// The first thing found wrong. The reason names the field, never a value.
    pub fn parse<'e>(
        body: &[u8],
        content_type: Option<&str>,
        routing_key: &str,
        catalogue: &Catalogue,
        ente_of: impl Fn(&str) -> Option<&'e Ente>,
    ) -> Result<Self, Refusal> {
        let unreadable = |wrong: Wrong| Refusal::of(wrong);
        let event = envelope::read(body, content_type).map_err(unreadable)?;
        Self::check(&event, routing_key, catalogue, ente_of).map_err(|wrong| Refusal {
            event_id: envelope::label(&event, "id").ok(),
            subject: envelope::label(&event, "subject").ok(),
            traceparent: envelope::traceparent(&event),
            ..Refusal::of(wrong)
        })
    }

    fn check<'e>(
        event: &Map<String, Value>,
        routing_key: &str,
        catalogue: &Catalogue,
        ente_of: impl Fn(&str) -> Option<&'e Ente>,
    ) -> Result<Self, Wrong> {
        let envelope = Envelope::read(event)?;
        let (service, tipo) = kind(&envelope, catalogue)?;
        if routing_key != format!("{}.{}", envelope.ente, envelope.tipo) {
            return Err(Wrong::new(RefusalCode::RoutingKey, "must be `<ente>.<type>` of the event"));
        }
        let ente =
            ente_of(envelope.ente).ok_or_else(|| Wrong::new(RefusalCode::Ente, "ente: is not known"))?;
        if !ente.servizi.contains_key(envelope.servizio) {
            return Err(Wrong::new(RefusalCode::Ente, "servizio: the ente does not run it"));
        }
        let data = Data::read(envelope.data, service, tipo, &catalogue.permessi)?;
        let event = Self::assemble(&envelope, data, hash::body_hash(event));
        event.of_age(tipo, ente, catalogue)?;
        event.consequences(service, tipo, ente, catalogue)?;
        Ok(event)
    }

    fn assemble(envelope: &Envelope<'_>, data: Data, body_hash: [u8; 32]) -> Self {
        Self {
            id: envelope.id.clone(),
            source: envelope.source.clone(),
            tipo: envelope.tipo.to_owned(),
            servizio: envelope.servizio.to_owned(),
            ente: envelope.ente.to_owned(),
            pratica: envelope.subject.clone(),
            time: envelope.time,
            sequence: envelope.sequence,
            recipient: data.recipient,
            titolare: data.titolare,
            destinatari: data.destinatari,
            titolari: data.titolari,
            importazione: data.importazione,
            fields: data.fields,
            unknown: data.unknown,
            traceparent: envelope.traceparent,
            body_hash,
        }
    }

    /// The person of the case: `titolare`, else the recipient (contract.md 10.10).
    #[must_use]
    pub fn person(&self) -> Option<&FiscalCode> {
        self.titolare.as_ref().or(self.recipient.as_ref())
    }

    /// The given fields and the derived ones.
    #[must_use]
    pub fn derived(&self, tipo: &TipoEvento, ente: &Ente, catalogue: &Catalogue) -> Fields {
        let calendar = ente.calendario(&catalogue.festivita);
        derive(&self.fields, tipo, self.time, &calendar, &catalogue.permessi)
    }

    fn of_age(&self, tipo: &TipoEvento, ente: &Ente, catalogue: &Catalogue) -> Result<(), Wrong> {
        let today = ente.calendario(&catalogue.festivita).date(self.time);
        let born = self.person().filter(|_| tipo.maggiorenne).and_then(|code| code.birth_date(today));
        if born.and_then(|day| add(day, OF_AGE, 0)).is_some_and(|birthday| birthday > today) {
            let field = if self.titolare.is_some() { "titolare" } else { "codice_fiscale" };
            return Err(Wrong::new(RefusalCode::FiscalCode, "the person must be of age").at(field));
        }
        Ok(())
    }

    /// What can only be said of the whole: a permit's length, and the variables of the messages led to.
    fn consequences(
        &self,
        service: &Service,
        tipo: &TipoEvento,
        ente: &Ente,
        catalogue: &Catalogue,
    ) -> Result<(), Wrong> {
        let fields = self.derived(tipo, ente, catalogue);
        for derivato in tipo.derivati.iter().filter(|d| d.regola == Regola::ScadenzaPermesso) {
            if !fields.contains_key(&derivato.nome) {
                let reason = "must be given: neither the title nor `lungo_periodo` fixes the length";
                return Err(Wrong::new(RefusalCode::Schema, reason).at(&derivato.nome));
            }
        }
        match variables::missing(service, tipo, &fields, ente) {
            Some((message, variable)) => {
                let reason = format!("needed by {message}, and neither the event nor the ente gives it");
                Err(Wrong::new(RefusalCode::Variable, reason).at(variable))
            }
            None => Ok(()),
        }
    }
}

/// The service and the record of the event type.
fn kind<'c>(
    envelope: &Envelope<'_>,
    catalogue: &'c Catalogue,
) -> Result<(&'c Service, &'c TipoEvento), Wrong> {
    if !catalogue.servizi.values().any(|service| service.eventi.contains_key(envelope.tipo)) {
        return Err(Wrong::new(RefusalCode::Type, "type: is not known"));
    }
    let service = catalogue.servizio(envelope.servizio);
    let service = service.ok_or_else(|| Wrong::envelope("servizio", "is not known"))?;
    let tipo = service.eventi.get(envelope.tipo);
    let tipo = tipo.ok_or_else(|| Wrong::new(RefusalCode::Type, "type: is not known to the service"))?;
    if !envelope.is_version_1 {
        return Err(Wrong::new(RefusalCode::Version, "dataschema: must end in `/v1`"));
    }
    Ok((service, tipo))
}
