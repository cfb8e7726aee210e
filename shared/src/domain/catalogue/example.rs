//! Example events, for the docs and for tests: good ones, with every field that the type has.

use serde_json::{Map, Value, json};

use super::{Campo, Catalogue, TipoCampo, TipoEvento};

/// Fiscal codes of nobody, with a right check letter.
const PEOPLE: [&str; 2] = ["RSSMRA85T10A562S", "VRDGPP70A01H501S"];

impl Campo {
    /// The field's example, or one of its type.
    #[must_use]
    pub fn example(&self) -> Value {
        let given = (!self.esempio.is_empty()).then_some(self.esempio.as_str());
        match self.tipo {
            TipoCampo::Bool => json!(given.is_none_or(|text| text == "true")),
            TipoCampo::Intero | TipoCampo::Centesimi => {
                given.unwrap_or("1").parse::<i64>().map_or_else(|_| json!(given), |n| json!(n))
            }
            TipoCampo::CodiciFiscali => json!(PEOPLE),
            TipoCampo::CodiceFiscale => json!(PEOPLE[0]),
            TipoCampo::Enum => json!(given.or(self.valori.first().map(String::as_str))),
            _ => json!(given.unwrap_or(match self.tipo {
                TipoCampo::Data => "2027-06-30",
                TipoCampo::Istante => "2027-06-30T10:30:00+02:00",
                TipoCampo::Url => "https://servizi.example.it",
                TipoCampo::CodiceAvviso => "302001234567890123",
                TipoCampo::TitoloPermesso => "O",
                _ => "esempio",
            })),
        }
    }
}

/// A good event of a type of a service, for the ente `borgochiaro`; `None` if the service has no such
/// type.
#[must_use]
pub fn example_event(catalogue: &Catalogue, servizio: &str, tipo: &str) -> Option<Value> {
    let event = catalogue.servizio(servizio)?.eventi.get(tipo)?;
    Some(json!({
        "specversion": "1.0",
        "id": "5f0c2c1e-6a0b-4d57-9a51-0a4c3f8b7e21",
        "source": "https://gestionale.example.it",
        "type": tipo,
        "subject": "2026/0451",
        "time": "2027-01-18T10:00:00+01:00",
        "ente": "borgochiaro",
        "servizio": servizio,
        "data": data(event),
    }))
}

fn data(event: &TipoEvento) -> Map<String, Value> {
    let mut data = Map::new();
    if event.lista {
        data.insert("destinatari".to_owned(), json!(PEOPLE));
    } else {
        data.insert("codice_fiscale".to_owned(), json!(PEOPLE[0]));
    }
    data.extend(event.campi.iter().map(|campo| (campo.nome.clone(), campo.example())));
    data
}
