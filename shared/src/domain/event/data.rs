//! `data` against the record of the event type.

use serde_json::{Map, Value};

use super::refusal::{RefusalCode, Wrong};
use super::value;
use crate::domain::FiscalCode;
use crate::domain::catalogue::{Campo, Service, TipoCampo, TipoEvento, check::RESERVED, holds};
use crate::domain::fields::{Field, Fields};
use crate::domain::permits::Permits;

/// What `data` holds, checked.
#[derive(Default)]
pub(super) struct Data {
    pub(super) recipient: Option<FiscalCode>,
    pub(super) titolare: Option<FiscalCode>,
    pub(super) destinatari: Vec<FiscalCode>,
    pub(super) titolari: Vec<FiscalCode>,
    pub(super) importazione: bool,
    pub(super) fields: Fields,
    pub(super) unknown: usize,
}

impl Data {
    pub(super) fn read(
        data: &Map<String, Value>,
        service: &Service,
        tipo: &TipoEvento,
        permits: &Permits,
    ) -> Result<Self, Wrong> {
        let mut read = Self::default();
        read.given_fields(data, tipo, permits)?;
        read.template_variables(data, service, tipo, permits)?;
        requirements(&read.fields, tipo)?;
        read.importazione = match data.get("importazione") {
            None => false,
            Some(Value::Bool(yes)) => *yes,
            Some(_) => return Err(schema("must be true or false").at("importazione")),
        };
        read.persons(data, tipo)?;
        Ok(read)
    }

    fn given_fields(
        &mut self,
        data: &Map<String, Value>,
        tipo: &TipoEvento,
        permits: &Permits,
    ) -> Result<(), Wrong> {
        for campo in &tipo.campi {
            match data.get(&campo.nome) {
                None if campo.obbligatorio => return Err(schema("is missing").at(&campo.nome)),
                None => {}
                Some(_) if is_person(campo) => {}
                Some(value) => {
                    let field = value::read(campo.tipo, &campo.valori, value, permits);
                    self.fields.insert(campo.nome.clone(), field.map_err(|wrong| wrong.at(&campo.nome))?);
                }
            }
        }
        Ok(())
    }

    /// Takes the variables of the service's texts that the type does not name, and counts what is left.
    fn template_variables(
        &mut self,
        data: &Map<String, Value>,
        service: &Service,
        tipo: &TipoEvento,
        permits: &Permits,
    ) -> Result<(), Wrong> {
        for (nome, value) in data {
            let own = tipo.campi.iter().any(|campo| campo.nome == *nome);
            if own || is_reserved(nome, tipo) {
                continue;
            }
            let Some((variable, valori)) = service.event_variable(tipo, nome) else {
                self.unknown += 1;
                continue;
            };
            let field = value::read(variable, valori, value, permits).map_err(|wrong| wrong.at(nome))?;
            self.fields.insert(nome.clone(), field);
        }
        Ok(())
    }

    fn persons(&mut self, data: &Map<String, Value>, tipo: &TipoEvento) -> Result<(), Wrong> {
        if tipo.lista {
            let value = data.get("destinatari").ok_or_else(|| schema("is missing").at("destinatari"))?;
            self.destinatari = value::codes(value).map_err(|wrong| wrong.at("destinatari"))?;
        } else {
            let value =
                data.get("codice_fiscale").ok_or_else(|| schema("is missing").at("codice_fiscale"))?;
            self.recipient = Some(value::code(value).map_err(|wrong| wrong.at("codice_fiscale"))?);
        }
        if let Some(value) = data.get("titolare") {
            self.titolare = Some(value::code(value).map_err(|wrong| wrong.at("titolare"))?);
        }
        for campo in tipo.campi.iter().filter(|campo| is_person(campo)) {
            let Some(value) = data.get(&campo.nome) else { continue };
            let codes = match campo.tipo {
                TipoCampo::CodiciFiscali => value::codes(value),
                _ => value::code(value).map(|code| vec![code]),
            };
            for code in codes.map_err(|wrong| wrong.at(&campo.nome))? {
                if !self.titolari.contains(&code) {
                    self.titolari.push(code);
                }
            }
        }
        Ok(())
    }
}

fn schema(reason: &str) -> Wrong {
    Wrong::new(RefusalCode::Schema, reason)
}

fn is_person(campo: &Campo) -> bool {
    matches!(campo.tipo, TipoCampo::CodiceFiscale | TipoCampo::CodiciFiscali)
}

/// A list event has no recipient of its own, any other no list.
fn is_reserved(nome: &str, tipo: &TipoEvento) -> bool {
    let foreign = if tipo.lista { "codice_fiscale" } else { "destinatari" };
    nome != foreign && RESERVED.contains(&nome)
}

/// What one field says of another.
fn requirements(fields: &Fields, tipo: &TipoEvento) -> Result<(), Wrong> {
    for group in &tipo.almeno_uno {
        if !group.iter().any(|nome| fields.contains_key(nome)) {
            let reason = format!("data: needs at least one of {}", group.join(", "));
            return Err(schema(&reason));
        }
    }
    for required in tipo.richiesti_se.iter().filter(|required| holds(&required.dove, fields)) {
        let missing = required.campi.iter().find(|nome| !fields.contains_key(*nome));
        if let Some(nome) = missing {
            let names: Vec<&str> = required.dove.keys().map(String::as_str).collect();
            return Err(schema(&format!("is missing, and this `{}` needs it", names.join("`, `"))).at(nome));
        }
    }
    for [first, second] in &tipo.in_ordine {
        let date = |nome: &String| fields.get(nome).and_then(Field::date);
        if let (Some(earlier), Some(later)) = (date(first), date(second))
            && earlier > later
        {
            return Err(schema(&format!("must not be before `{first}`")).at(second));
        }
    }
    Ok(())
}
