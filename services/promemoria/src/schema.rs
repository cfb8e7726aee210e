//! `schema`: the JSON Schema of an event type or outcome type, or the list of event types.

use serde_json::{Value, json};
use shared::domain::catalogue::{Catalogue, event_schema};
use shared::domain::outcome::{outcome_schema, outcome_type};

use crate::report::{Failure, Report, push};

/// The schema of `tipo`, or the list.
pub(crate) fn run(catalogue: &Catalogue, tipo: Option<&str>) -> Result<Report, Failure> {
    let Some(tipo) = tipo else { return Ok(list(catalogue)) };
    match event_schema(catalogue, tipo).or_else(|| outcome_type(tipo).map(outcome_schema)) {
        Some(schema) => Ok(Report::good(format!("{schema:#}"), schema)),
        None => Err(Failure::fault(format!(
            "TIPO: is none of the {} event types; `promemoria schema` lists them",
            catalogue.tipi_evento().len()
        ))),
    }
}

fn list(catalogue: &Catalogue) -> Report {
    let mut text = String::new();
    let mut types = Vec::new();
    for tipo in catalogue.tipi_evento() {
        let services = catalogue.servizi.iter().filter(|(_, service)| service.eventi.contains_key(tipo));
        let (ids, records): (Vec<&str>, Vec<_>) =
            services.map(|(id, service)| (id.as_str(), &service.eventi[tipo])).unzip();
        let description = records.first().map_or("", |record| record.descrizione.as_str());
        push(&mut text, format_args!("{tipo:<36} {:<37} {description}\n", ids.join(", ")));
        types.push(json!({ "tipo": tipo, "servizi": ids, "descrizione": description }));
    }
    Report::good(text, Value::from(types))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tests::setup;

    #[test]
    fn every_type_is_listed_and_has_a_schema() {
        let setup = setup();
        let list = run(&setup.catalogue, None).unwrap();
        assert_eq!(list.text.lines().count(), 29);
        for tipo in setup.catalogue.tipi_evento() {
            let schema = run(&setup.catalogue, Some(tipo)).unwrap().json;
            assert!(jsonschema::meta::is_valid(&schema), "{tipo}");
        }
        let outcome = run(&setup.catalogue, Some("messaggio.inviato")).unwrap().json;
        assert_eq!(outcome["title"], "messaggio.inviato");
    }

    #[test]
    fn an_unknown_type_is_refused_with_the_way_to_the_list() {
        let Err(Failure::Fault(lines)) = run(&setup().catalogue, Some("permesso.perso")) else {
            panic!("must be refused");
        };
        assert_eq!(lines, ["TIPO: is none of the 29 event types; `promemoria schema` lists them"]);
    }
}
