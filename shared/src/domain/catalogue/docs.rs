//! `docs/events.md`: what travels in and out, from the same records as the checks.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    Atteso, Catalogue, Dove, Messaggio, Premium, Regola, Service, TipoCampo, TipoEvento, example_event,
};
use crate::domain::event::RefusalCode;
use crate::domain::failure::FAILURES;
use crate::domain::outcome::{OUTCOME_TYPES, fields_shown};

const HEAD: &str = "# Events

Written by `promemoria docs --write` from the catalogue: edit that, not this page.

An event goes to the exchange `promemoria.events` with the routing key `<ente>.<type>`, as a CloudEvents 1.0
event in JSON, at most 64 KiB, persistent and without an `expiration`: one that ends before a scheduler takes
the event leaves it among the dead letters, and nothing is told of it. What is wrong with an event is said by one of the codes at the end of this
page. The JSON Schema of each type is in [schemas](schemas), and `promemoria schema TYPE` prints it;
[asyncapi.yaml](asyncapi.yaml) describes exchanges, queues, headers and bodies for programs.

## Envelope

| Attribute | Required | Meaning |
| --- | --- | --- |
| `specversion` | yes | `\"1.0\"` |
| `id` | yes | 1 to 128 characters; the same `source` and `id` again has no effect |
| `source` | yes | URI of the publishing system, 1 to 128 characters |
| `type` | yes | one of the types below |
| `subject` | yes | the case (pratica), 1 to 128 characters |
| `time` | yes | when the fact happened: RFC 3339 with offset, years 2000 to 2100 |
| `ente` | yes | the ente's id |
| `servizio` | yes | the service |
| `dataschema` | no | ends in `/v1`; absent means version 1 |
| `sequence` | no | unsigned integer: orders the events of one case where `time` is not enough |
| `traceparent` | no | W3C trace context; the AMQP header of that name serves where it is absent. A malformed one is ignored |
| `data` | yes | the fields below |

Any other attribute is an extension, and ignored. `data` may hold, in every type:

| Field | Type | Meaning |
| --- | --- | --- |
| `codice_fiscale` | fiscal code | who gets the messages; required but in list events |
| `destinatari` | 1 to 500 fiscal codes | who gets the messages of a list event; required there |
| `titolare` | fiscal code | the person of the case, where it is not the recipient |
| `importazione` | bool | `true`: a bulk load of old cases, nothing is sent at once |

The template variables named under a type may be added too, and count in place of the ente's. Any other key
of `data` is ignored and counted.

## Event types
";

/// The page.
#[must_use]
pub fn events_page(catalogue: &Catalogue) -> String {
    let mut page = HEAD.to_owned();
    for service in catalogue.servizi.values() {
        line(&mut page, format_args!("\n### Service `{}`: {}", service.scheda.id, service.scheda.nome));
        for event in service.eventi.values() {
            event_type(&mut page, catalogue, service, event);
        }
    }
    messages(&mut page, catalogue);
    timers(&mut page, catalogue);
    outcomes(&mut page);
    codes(&mut page);
    page
}

/// Adds a line. Writing to a `String` cannot fail.
fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    if page.write_fmt(text).is_ok() {
        page.push('\n');
    }
}

fn event_type(page: &mut String, catalogue: &Catalogue, service: &Service, event: &TipoEvento) {
    line(page, format_args!("\n#### `{}`\n\n{} {}", event.tipo, event.descrizione, event.effetto));
    if event.lista {
        line(page, format_args!("\nA list event: it carries `destinatari` and no `codice_fiscale`."));
    }
    if event.maggiorenne {
        line(page, format_args!("\nThe person must be of age."));
    }
    if !event.campi.is_empty() {
        line(page, format_args!("\n| Field | Type | Required | Meaning |\n| --- | --- | --- | --- |"));
    }
    for campo in &event.campi {
        let values: Vec<String> = campo.valori.iter().map(|v| format!("`{v}`")).collect();
        let tipo = if values.is_empty() { type_name(campo.tipo).to_owned() } else { values.join(", ") };
        let required = if campo.obbligatorio { "yes" } else { "no" };
        line(page, format_args!("| `{}` | {tipo} | {required} | {} |", campo.nome, campo.descrizione));
    }
    notes(page, event);
    let variables: Vec<String> =
        service.event_variables(event).into_iter().map(|nome| format!("`{nome}`")).collect();
    if !variables.is_empty() {
        line(page, format_args!("\nTemplate variables: {}.", variables.join(", ")));
    }
    if let Some(example) = example_event(catalogue, &service.scheda.id, &event.tipo) {
        line(page, format_args!("\n```json\n{}\n```", pretty(&example)));
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn notes(page: &mut String, event: &TipoEvento) {
    let mut notes = Vec::new();
    for group in &event.almeno_uno {
        notes.push(format!("At least one of {} is needed.", quoted(group)));
    }
    for required in &event.richiesti_se {
        notes.push(format!("With {}, {} is needed.", condition(&required.dove), quoted(&required.campi)));
    }
    for [first, second] in &event.in_ordine {
        notes.push(format!("`{second}` must not be before `{first}`."));
    }
    for derivato in &event.derivati {
        let from = derivato.da.as_deref().unwrap_or("");
        let how = match derivato.regola {
            Regola::Costante => format!("is `{}`", derivato.valore.as_deref().unwrap_or("")),
            Regola::DataEvento => "is the day of `time`".to_owned(),
            Regola::DataLocale => format!("is the local day of `{from}`"),
            Regola::OraLocale => format!("is the local time of `{from}`"),
            Regola::Somma if derivato.mesi == 0 => format!("is `{from}` plus {} days", derivato.giorni),
            Regola::Somma => {
                format!("is `{from}` plus {} months and {} days", derivato.mesi, derivato.giorni)
            }
            Regola::Importo => format!("is `{from}` in euros"),
            Regola::ScadenzaPermesso => {
                format!(
                    "is `{from}` plus the length that `lungo_periodo` or the title fixes; needed where neither does"
                )
            }
        };
        notes.push(format!("`{}`, where the event does not give it, {how}.", derivato.nome));
    }
    if !notes.is_empty() {
        line(page, format_args!("\n- {}", notes.join("\n- ")));
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn condition(dove: &Dove) -> String {
    let text = |value: &Atteso| match value {
        Atteso::Bool(value) => format!("`{value}`"),
        Atteso::Testo(value) => format!("`{value}`"),
        Atteso::Uno(values) => values.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(" or "),
    };
    dove.iter().map(|(nome, value)| format!("`{nome}` {}", text(value))).collect::<Vec<_>>().join(" and ")
}

fn type_name(tipo: TipoCampo) -> &'static str {
    match tipo {
        TipoCampo::Data => "date `YYYY-MM-DD`, years 1900 to 2200",
        TipoCampo::Istante => "RFC 3339 instant with offset",
        TipoCampo::Ora => "time of day `HH:MM`",
        TipoCampo::Testo => "text, 1 to 1,000 characters",
        TipoCampo::Url => "absolute `https` url, at most 2,048 characters",
        TipoCampo::Enum => "one of a list",
        TipoCampo::Bool => "bool",
        TipoCampo::Intero => "integer, 0 to 9,999,999,999",
        TipoCampo::Importo => "money `1.234,56`",
        TipoCampo::Centesimi => "integer cents, 1 to 9,999,999,999",
        TipoCampo::CodiceAvviso => "18 digits, the first 0 to 3",
        TipoCampo::TitoloPermesso => "code of a permit title (`promemoria permits`)",
        TipoCampo::CodiceFiscale => "fiscal code",
        TipoCampo::CodiciFiscali => "1 to 500 fiscal codes",
        TipoCampo::Allegato => "text, 1 to 128 characters",
    }
}

fn messages(page: &mut String, catalogue: &Catalogue) {
    line(page, format_args!("\n## Message types\n"));
    line(page, format_args!("| # | Message | Title | Button | Premium | When | Led to by |"));
    line(page, format_args!("| --- | --- | --- | --- | --- | --- | --- |"));
    let mut all: Vec<&Messaggio> = catalogue.servizi.values().flat_map(|s| s.messaggi.values()).collect();
    all.sort_by_key(|message| message.numero);
    for message in all {
        let premium = match message.premium {
            Premium::Nessuno => "",
            Premium::PromemoriaAppuntamento => "reminder: appointment",
            Premium::PromemoriaPagamento => "reminder: payment",
            Premium::Allegato => "attachment",
        };
        let button = message.pulsante.as_ref().map_or("", |button| &button.it);
        let mut events: Vec<String> =
            message.regola.innesco.iter().map(|i| format!("`{}`", i.evento)).collect();
        events.dedup();
        line(
            page,
            format_args!(
                "| {} | `{}` | {} | {button} | {premium} | {} | {} |",
                message.numero,
                message.id,
                message.titolo,
                moment(&message.regola.momento),
                events.join(", "),
            ),
        );
    }
}

fn moment(momento: &super::Momento) -> String {
    let Some(anchor) = &momento.ancora else { return "at once".to_owned() };
    let days: Vec<String> = momento.scatti.iter().map(|days| format!("{days:+}")).collect();
    let term = match (momento.termine_mesi, momento.termine_giorni) {
        (0, 0) => String::new(),
        (0, days) => format!(" + {days} days"),
        (months, _) => format!(" + {months} months"),
    };
    let moved = if momento.sposta_festivi { ", moved to a working day" } else { "" };
    format!("`{anchor}`{term}{moved}, {} days, {}", days.join(", "), momento.ora)
}

fn timers(page: &mut String, catalogue: &Catalogue) {
    line(page, format_args!("\n## Office timers\n"));
    line(page, format_args!("| Code | Timer | Tells the office | When | Default |"));
    line(page, format_args!("| --- | --- | --- | --- | --- |"));
    let mut all: Vec<_> = catalogue.servizi.values().flat_map(|s| s.timer.values()).collect();
    all.sort_by(|a, b| a.codice.cmp(&b.codice));
    for timer in all {
        let default = if timer.attivo { "on" } else { "off" };
        let when = moment(&timer.regola.momento);
        line(
            page,
            format_args!(
                "| {} | `{}` | {} | {when} | {default} |",
                timer.codice, timer.id, timer.significato
            ),
        );
    }
}

fn outcomes(page: &mut String) {
    line(page, format_args!("\n## Outcomes\n"));
    line(
        page,
        format_args!(
            "The exchange `promemoria.outcomes` carries them with the routing key `<ente>.<type>`. `subject` is the\n\
             case; `data.messaggio` (or `data.timer`), `data.chiave`, `data.evento` and `data.destinatario` say which\n\
             message, its key, the event that caused it and the keyed hash of the recipient. Where that event had a\n\
             trace context, the outcome has it as `traceparent`, in the body and as an AMQP header ([tracing](tracing.md)).\n"
        ),
    );
    line(page, format_args!("| Type | When | `data` beyond that |\n| --- | --- | --- |"));
    for outcome in &OUTCOME_TYPES {
        line(page, format_args!("| `{}` | {} | {} |", outcome.tipo, outcome.quando, fields_shown(outcome)));
    }
}

fn codes(page: &mut String) {
    line(page, format_args!("\n## Codes\n"));
    line(
        page,
        format_args!(
            "`codice` of `evento.rifiutato` and `messaggio.fallito`, and `x-promemoria-code` of a dead message. The\n\
             reason beside it names the field, never its value.\n"
        ),
    );
    line(page, format_args!("| Code | Meaning |\n| --- | --- |"));
    for code in RefusalCode::ALL {
        line(page, format_args!("| `{code}` | {} |", code.meaning()));
    }
    for (code, meaning) in FAILURES {
        line(page, format_args!("| `{code}` | {meaning} |"));
    }
}
