//! The JSON Schema and the page against the check.

use std::path::Path;

use serde_json::{Value, json};

use super::{CATALOGUE, example, parse, with};
use crate::domain::catalogue::{event_schema, events_page};

fn validator(tipo: &str) -> jsonschema::Validator {
    let schema = event_schema(&CATALOGUE, tipo).unwrap();
    assert!(jsonschema::draft202012::meta::is_valid(&schema), "{tipo}");
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// Values that fields of one type or another take or refuse.
fn probes() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "x",
        "\u{0}",
        "a\nb",
        "2027-02-28",
        "2027-02-29",
        "1899-01-01",
        "2200-12-31",
        "2201-01-01",
        "27-1-1",
        "2027-03-26T10:30:00+01:00",
        "2027-03-26T10:30:00",
        "2100-12-31T10:00:00Z",
        "1999-01-01T00:00:00Z",
        "canone",
        "rinnovo",
        "permanente",
        "https://a.it",
        "HTTPS://a.it?x=1",
        "https://a.it/città",
        "http://a.it",
        "https://m@a.it",
        "https://a.it/m@x",
        "https://",
        "https:a.it",
        "302001234567890123",
        "402001234567890123",
        "RSSMRA85T10A562S",
        "rssmra85t10a562s",
        "RSSMRA85Z10A562S",
        "J",
        "ZZ",
        "true",
    ];
    let other = [
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(9_999_999_999_i64),
        json!(10_000_000_000_i64),
    ];
    let lists = [json!([]), json!({}), json!(["RSSMRA85T10A562S"]), json!(["x"]), json!([1])];
    let long = [json!("x".repeat(129)), json!("x".repeat(1000)), json!("x".repeat(1001))];
    texts.into_iter().map(Value::from).chain(other).chain(lists).chain(long).collect()
}

/// What only the check can say: both sides agree on everything else.
fn is_beyond_schema(reason: &str) -> bool {
    ["check letter", "must not be before", "must be given", "needed by"]
        .iter()
        .any(|part| reason.contains(part))
}

#[test]
fn schema_and_check_agree_on_every_field_of_every_type() {
    let probes = probes();
    for (servizio, service) in &CATALOGUE.servizi {
        for (tipo, record) in &service.eventi {
            let schema = validator(tipo);
            let good = example(servizio, tipo);
            assert!(schema.is_valid(&good), "{tipo}");
            let mut names: Vec<&str> = record.campi.iter().map(|c| c.nome.as_str()).collect();
            if ["bando.pubblicato", "pagamento.aggiornato", "pratica.presa-in-carico"]
                .contains(&tipo.as_str())
            {
                names.extend([
                    "codice_fiscale",
                    "destinatari",
                    "titolare",
                    "importazione",
                    "comune",
                    "altro",
                ]);
                names.extend(service.event_variables(record));
            }
            for name in names {
                for value in probes.iter().chain([&Value::Null]) {
                    let event = with(good.clone(), name, value.clone());
                    let checked = parse(&event);
                    let beyond = checked.as_ref().is_err_and(|refusal| is_beyond_schema(&refusal.reason));
                    assert_eq!(
                        schema.is_valid(&event),
                        checked.is_ok() || beyond,
                        "{tipo}.{name} = {value}: {checked:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn schema_and_check_agree_on_the_envelope() {
    // But for `ente`: which enti there are, the check alone knows.
    let schema = validator("pagamento.eseguito");
    for name in [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "servizio",
        "dataschema",
        "sequence",
        "data",
        "altro",
    ] {
        for value in
            probes().into_iter().chain([json!("1.0"), json!("u/v1"), json!("v2"), json!("1x"), Value::Null])
        {
            let mut event = example("alloggi-sociali", "pagamento.eseguito");
            event[name] = value.clone();
            assert_eq!(schema.is_valid(&event), parse(&event).is_ok(), "{name} = {value}");
        }
    }
}

#[test]
fn a_type_of_two_services_has_the_rules_of_each() {
    let schema = validator("appuntamento.confermato");
    let mut event = example("permesso-soggiorno", "appuntamento.confermato");
    assert!(schema.is_valid(&event));
    event["servizio"] = json!("alloggi-sociali");
    assert!(!schema.is_valid(&event), "that reason is of the other service");
    assert!(event_schema(&CATALOGUE, "permesso.perduto").is_none());
}

#[test]
fn the_page_of_events_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == events_page(&CATALOGUE),
        "docs/events.md is old: write it with `promemoria docs --write`"
    );
}
