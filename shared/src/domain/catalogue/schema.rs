//! The JSON Schema (2020-12) of an event type, from the records that the intake check reads.
//!
//! Whatever the check takes, the schema takes. The schema cannot say it all: the check letter of a fiscal
//! code, the order of two dates, the length of a permit, the ente and its variables stay with the check.

use serde_json::{Map, Value, json};

use super::{Atteso, Campo, Catalogue, Dove, Service, TipoCampo, TipoEvento};

/// A label of the envelope: something to see, no control characters.
const LABEL: &str = r"^[^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F][^\x00-\x1F\x7F-\x9F]*$";
/// The form of a fiscal code, omocodia included.
const FISCAL_CODE: &str = "^[A-Za-z]{6}[0-9LMNPQRSTUVlmnpqrstuv]{2}[ABCDEHLMPRSTabcdehlmprst][0-9LMNPQRSTUVlmnpqrstuv]{2}[A-Za-z][0-9LMNPQRSTUVlmnpqrstuv]{3}[A-Za-z]$";
/// An absolute `https` url with a host and no credentials.
const URL: &str = r"^[Hh][Tt][Tt][Pp][Ss]://[^/?#@\\\s]+([/?#][^\\\x00-\x1F\x7F-\x9F]*)?$";
/// Dates from 1900 to 2200.
const DATE: &str = "^(19[0-9]{2}|2[01][0-9]{2}|2200)-[0-9]{2}-[0-9]{2}$";
/// Instants from 2000 to 2100.
const INSTANT: &str = "^(20[0-9]{2}|2100)-[0-9]{2}-[0-9]{2}T";

/// The schema of an event type, envelope included; `None` if no service has it.
#[must_use]
pub fn event_schema(catalogue: &Catalogue, tipo: &str) -> Option<Value> {
    let services: Vec<(&Service, &TipoEvento)> =
        catalogue.servizi.values().filter_map(|s| Some((s, s.eventi.get(tipo)?))).collect();
    let (_, first) = services.first()?;
    let ids: Vec<&str> = services.iter().map(|(s, _)| s.scheda.id.as_str()).collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:promemoria:evento:{tipo}:v1"),
        "title": tipo,
        "description": format!("{} {}", first.descrizione, first.effetto),
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "ente", "servizio", "data"],
        "properties": envelope(tipo, &ids),
    });
    let by_service: Vec<Value> = services
        .iter()
        .map(|(service, event)| {
            json!({
                "if": { "properties": { "servizio": { "const": service.scheda.id } } },
                "then": { "properties": { "data": data(catalogue, service, event) } },
            })
        })
        .collect();
    schema["allOf"] = json!(by_service);
    Some(schema)
}

fn envelope(tipo: &str, services: &[&str]) -> Value {
    let label =
        |what: &str| json!({ "description": what, "type": "string", "maxLength": 128, "pattern": LABEL });
    json!({
        "specversion": { "const": "1.0" },
        "id": label("The same source and id again has no effect"),
        "source": label("URI of the publishing system"),
        "type": { "const": tipo },
        "subject": label("The case (pratica)"),
        "time": { "description": "When the fact happened", "type": "string", "format": "date-time", "pattern": INSTANT },
        "ente": { "description": "The ente's id", "type": "string", "pattern": "^[a-z0-9](-?[a-z0-9]){0,38}$" },
        "servizio": { "enum": services },
        "dataschema": { "description": "Absent means version 1", "type": "string", "pattern": "/v1$" },
        "sequence": {
            "description": "Orders the events of one case where time is not enough",
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": u64::MAX },
                { "type": "string", "pattern": "^[0-9]+$" },
            ],
        },
        "data": { "type": "object" },
    })
}

fn data(catalogue: &Catalogue, service: &Service, event: &TipoEvento) -> Value {
    let mut properties = Map::new();
    let person = if event.lista { "destinatari" } else { "codice_fiscale" };
    let person_type = if event.lista { TipoCampo::CodiciFiscali } else { TipoCampo::CodiceFiscale };
    properties.insert(person.to_owned(), value(catalogue, person_type, &[], "Who gets the messages"));
    for campo in &event.campi {
        let Campo { nome, tipo, valori, descrizione, .. } = campo;
        properties.insert(nome.clone(), value(catalogue, *tipo, valori, descrizione));
    }
    let holder = "The person of the case, where it is not the recipient";
    properties.insert("titolare".to_owned(), value(catalogue, TipoCampo::CodiceFiscale, &[], holder));
    let import = "A bulk load of old cases: nothing is sent at once";
    properties.insert("importazione".to_owned(), value(catalogue, TipoCampo::Bool, &[], import));
    for nome in service.event_variables(event) {
        if let Some((tipo, valori)) = service.event_variable(event, nome) {
            let what = "Template variable, in place of the ente's";
            properties.insert(nome.to_owned(), value(catalogue, tipo, valori, what));
        }
    }
    let required = event.campi.iter().filter(|c| c.obbligatorio).map(|c| c.nome.as_str());
    let required: Vec<&str> = std::iter::once(person).chain(required).collect();
    let mut schema = json!({ "type": "object", "required": required, "properties": properties });
    let conditions = conditions(event);
    if !conditions.is_empty() {
        schema["allOf"] = json!(conditions);
    }
    schema
}

fn conditions(event: &TipoEvento) -> Vec<Value> {
    let groups = event.almeno_uno.iter().map(|group| {
        let any: Vec<Value> = group.iter().map(|nome| json!({ "required": [nome] })).collect();
        json!({ "anyOf": any })
    });
    let required = event
        .richiesti_se
        .iter()
        .map(|required| json!({ "if": holds(&required.dove), "then": { "required": required.campi } }));
    groups.chain(required).collect()
}

fn holds(dove: &Dove) -> Value {
    let expected = |value: &Atteso| match value {
        Atteso::Bool(value) => json!({ "const": value }),
        Atteso::Testo(value) => json!({ "const": value }),
        Atteso::Uno(values) => json!({ "enum": values }),
    };
    let properties: Map<String, Value> =
        dove.iter().map(|(nome, value)| (nome.clone(), expected(value))).collect();
    json!({ "properties": properties, "required": dove.keys().collect::<Vec<_>>() })
}

fn value(catalogue: &Catalogue, tipo: TipoCampo, valori: &[String], what: &str) -> Value {
    let mut schema = match tipo {
        TipoCampo::Data => json!({ "type": "string", "format": "date", "pattern": DATE }),
        TipoCampo::Istante => json!({ "type": "string", "format": "date-time", "pattern": INSTANT }),
        TipoCampo::Ora => json!({ "type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$" }),
        TipoCampo::Testo | TipoCampo::Importo => {
            json!({ "type": "string", "maxLength": 1000, "pattern": r"[^\s\x00-\x1F\x7F-\x9F]" })
        }
        TipoCampo::Url => json!({ "type": "string", "maxLength": 2048, "pattern": URL }),
        TipoCampo::Enum => json!({ "enum": valori }),
        TipoCampo::Bool => json!({ "type": "boolean" }),
        TipoCampo::Intero => json!({ "type": "integer", "minimum": 0, "maximum": 9_999_999_999_i64 }),
        TipoCampo::Centesimi => json!({ "type": "integer", "minimum": 1, "maximum": 9_999_999_999_i64 }),
        TipoCampo::CodiceAvviso => json!({ "type": "string", "pattern": "^[0-3][0-9]{17}$" }),
        TipoCampo::TitoloPermesso => json!({ "enum": catalogue.permessi.titoli.keys().collect::<Vec<_>>() }),
        TipoCampo::CodiceFiscale => json!({ "type": "string", "pattern": FISCAL_CODE }),
        TipoCampo::CodiciFiscali => {
            json!({ "type": "array", "minItems": 1, "items": { "type": "string", "pattern": FISCAL_CODE } })
        }
        TipoCampo::Allegato => {
            json!({ "type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[^\x00-\x1F\x7F-\x9F]*$" })
        }
    };
    if !what.is_empty() {
        schema["description"] = json!(what);
    }
    schema
}
