//! `preview`: one message type, rendered with the data of an event.

use serde_json::{Map, Value, json};
use shared::domain::catalogue::{Catalogue, InDubbio, Messaggio, Service, TipoEvento, any_holds, holds};
use shared::domain::ente::Ente;
use shared::domain::event::CaseEvent;
use shared::domain::render::render;
use shared::domain::{Fields, FiscalCode};
use shared::formats;
use shared::wire::{DispatchRequest, MessageRef, RenderRequest};

use crate::cli::Preview;
use crate::instant;
use crate::publish;
use crate::report::{Failure, Report, push};
use crate::setup::Setup;

/// IO's documented test citizen, nobody's code.
const NOBODY: &str = "AAAAAA00A00A000A";

/// Renders the message.
pub(crate) fn run(setup: &Setup, arguments: &Preview) -> Result<Report, Failure> {
    let file = &arguments.data;
    let bytes = publish::bytes(file)
        .map_err(|error| Failure::fault(format!("--data: cannot be read: {}", error.kind())))?;
    let data: Map<String, Value> = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::fault(format!("--data: line {}: must be one JSON object", error.line())))?;
    let ente = setup.ente(&arguments.ente)?;
    let (service, message) = find(&setup.catalogue, ente, &arguments.messaggio)?;
    let now = shared::clock::Clock::system().now();
    let subject = Subject { setup, ente, service, message, now };
    let (recipient, fields) = subject.fields(&data, arguments.evento.as_deref())?;
    let texts = setup.texts(ente)?;
    let request = subject.request(recipient, fields);
    let sent = render(&texts, &setup.catalogue, ente, &request, InDubbio::Hold)
        .map_err(|error| Failure::fault(error.to_string()))?;
    Ok(report(&sent, ente))
}

/// The message type, in the service of the ente that has it.
fn find<'a>(
    catalogue: &'a Catalogue,
    ente: &Ente,
    id: &str,
) -> Result<(&'a Service, &'a Messaggio), Failure> {
    let mut run = ente.servizi.keys().filter_map(|servizio| catalogue.servizio(servizio));
    run.find_map(|service| Some((service, service.messaggi.get(id)?))).ok_or_else(|| {
        let known: Vec<&str> = catalogue
            .servizi
            .values()
            .flat_map(|service| service.messaggi.keys())
            .map(String::as_str)
            .collect();
        Failure::Usage(format!(
            "MESSAGGIO: is none of the ente's message types; known are {}",
            known.join(", ")
        ))
    })
}

/// What is previewed for whom.
struct Subject<'a> {
    setup: &'a Setup,
    ente: &'a Ente,
    service: &'a Service,
    message: &'a Messaggio,
    now: chrono::DateTime<chrono::Utc>,
}

impl Subject<'_> {
    /// The fields that the message is rendered with, as the event would give them.
    fn fields(&self, data: &Map<String, Value>, only: Option<&str>) -> Result<(FiscalCode, Fields), Failure> {
        let mut refusals = Vec::new();
        for trigger in &self.message.regola.innesco {
            let Some(tipo) = self.service.eventi.get(&trigger.evento) else { continue };
            if only.is_some_and(|only| only != tipo.tipo) {
                continue;
            }
            match self.event(tipo, data) {
                Ok(event) => {
                    let fields = event.derived(tipo, self.ente, &self.setup.catalogue);
                    if holds(&trigger.dove, &fields) && !any_holds(&trigger.non_dove, &fields) {
                        let recipient = event.recipient.or_else(|| event.destinatari.into_iter().next());
                        return recipient
                            .map(|recipient| (recipient, fields))
                            .ok_or_else(|| Failure::fault("data.destinatari: must hold somebody"));
                    }
                    refusals.push(format!("{}: with this data it does not lead to the message", tipo.tipo));
                }
                Err(refusal) => refusals.push(format!("{}: {refusal}", tipo.tipo)),
            }
        }
        if refusals.is_empty() {
            refusals.push("--evento: does not lead to the message".to_owned());
        }
        Err(Failure::Fault(refusals))
    }

    fn event(
        &self,
        tipo: &TipoEvento,
        data: &Map<String, Value>,
    ) -> Result<CaseEvent, shared::domain::event::Refusal> {
        let mut data = data.clone();
        if tipo.lista {
            data.remove("codice_fiscale");
            data.entry("destinatari").or_insert_with(|| json!([NOBODY]));
        } else {
            data.remove("destinatari");
            data.entry("codice_fiscale").or_insert_with(|| json!(NOBODY));
        }
        let body = json!({
            "specversion": "1.0",
            "id": "anteprima",
            "source": "urn:promemoria:anteprima",
            "type": tipo.tipo,
            "subject": "anteprima",
            "time": instant::machine(self.now, self.ente.fuso),
            "ente": self.ente.id,
            "servizio": self.service.scheda.id,
            "data": data,
        });
        let key = format!("{}.{}", self.ente.id, tipo.tipo);
        let ente_of = |id: &str| self.setup.enti.ente(id).map(AsRef::as_ref);
        CaseEvent::parse(body.to_string().as_bytes(), None, &key, &self.setup.catalogue, ente_of)
    }

    fn request(&self, codice_fiscale: FiscalCode, campi: Fields) -> RenderRequest {
        RenderRequest {
            v: formats::RENDER.written(),
            message: MessageRef {
                ente: self.ente.id.clone(),
                servizio: self.service.scheda.id.clone(),
                pratica: "anteprima".to_owned(),
                messaggio: self.message.id.clone(),
                chiave: String::new(),
                evento: "anteprima".to_owned(),
                caso: String::new(),
                slot: 0,
                attempt: 1,
                traceparent: None,
            },
            codice_fiscale,
            campi,
            solo_standard: false,
            dovuto_ms: self.now.timestamp_millis(),
            utile_fino_ms: None,
            accolto_ms: None,
        }
    }
}

fn report(sent: &DispatchRequest, ente: &Ente) -> Report {
    let content = &sent.content;
    let mut text = format!("subject  {}\nlevel    {}\n", content.subject, sent.livello.as_str());
    if let Some(due) = &content.due_date {
        let local =
            chrono::DateTime::parse_from_rfc3339(due).map(|at| instant::people(at.to_utc(), ente.fuso));
        push(&mut text, format_args!("due_date {due} ({})\n", local.unwrap_or_default()));
    }
    if let Some(payment) = &content.payment_data {
        push(
            &mut text,
            format_args!("payment  {} cents, notice {}\n", payment.amount, payment.notice_number),
        );
    }
    if let Some(attached) = &content.third_party_data {
        push(&mut text, format_args!("attached {}\n", attached.id));
    }
    push(&mut text, format_args!("\n{}\n", content.markdown));
    let json = json!({
        "messaggio": sent.message.messaggio,
        "livello": sent.livello,
        "content": content,
        "testo": sent.testo,
    });
    Report::good(text, json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tests::setup;

    fn preview(messaggio: &str, ente: &str, data: &str) -> Result<Report, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), data).unwrap();
        let arguments = Preview {
            messaggio: messaggio.to_owned(),
            ente: ente.to_owned(),
            data: file.path().to_owned(),
            evento: None,
        };
        run(&setup(), &arguments)
    }

    const RENT: &str = r#"{"tipo": "canone", "codice_avviso": "302000000000000009", "importo_centesimi": 31050,
        "data_scadenza": "2099-04-10", "causale": "Canone aprile", "nome": "Mario", "cognome": "Rossi"}"#;

    #[test]
    fn a_message_is_rendered_as_the_contract_of_the_ente_has_it() {
        for (ente, level) in [("borgochiaro", "STANDARD"), ("roccamarina", "ADVANCED")] {
            let report = preview("alloggi-avviso-canone", ente, RENT).unwrap();
            assert!(report.text.contains(&format!("level    {level}\n")), "{}", report.text);
            assert!(
                report.text.contains("due_date 2099-04-10T21:59:59Z (10/04/2099 23:59)"),
                "{}",
                report.text
            );
            assert!(report.text.contains("310,50 €"), "{}", report.text);
            assert_eq!(report.json["livello"], level);
            assert!(report.json["content"]["markdown"].is_string());
        }
    }

    #[test]
    fn a_fault_of_the_data_names_the_field_and_not_the_value() {
        let Err(Failure::Fault(lines)) =
            preview("alloggi-avviso-canone", "borgochiaro", &RENT.replace("31050", "-31050"))
        else {
            panic!("must be refused");
        };
        assert!(lines[0].contains("data.importo_centesimi"), "{lines:?}");
        assert!(!lines.concat().contains("31050"), "{lines:?}");
    }

    #[test]
    fn data_of_another_message_leads_nowhere() {
        let fees = RENT.replace("canone", "spese-segreteria");
        let Err(Failure::Fault(lines)) = preview("alloggi-avviso-canone", "borgochiaro", &fees) else {
            panic!("must be refused");
        };
        assert!(lines[0].contains("does not lead to the message"), "{lines:?}");
    }

    #[test]
    fn an_unknown_message_is_wrong_usage() {
        assert!(matches!(preview("nessuno", "borgochiaro", "{}"), Err(Failure::Usage(_))));
    }
}
