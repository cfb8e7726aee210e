//! What an event type, or the thing it speaks of, offers under a name.

use std::collections::BTreeSet;

use super::{Atteso, Dove, Messaggio, Origine, Regola, Service, TipoCampo, TipoEvento};
use crate::domain::fields::{Field, Fields};

/// Whether all conditions hold. A field that is absent satisfies none.
#[must_use]
pub fn holds(dove: &Dove, fields: &Fields) -> bool {
    dove.iter().all(|(nome, expected)| is_expected(expected, fields.get(nome)))
}

/// Whether any of the conditions holds.
#[must_use]
pub fn any_holds(dove: &Dove, fields: &Fields) -> bool {
    dove.iter().any(|(nome, expected)| is_expected(expected, fields.get(nome)))
}

fn is_expected(expected: &Atteso, field: Option<&Field>) -> bool {
    match (expected, field) {
        (Atteso::Bool(expected), Some(Field::Bool(found))) => expected == found,
        (Atteso::Testo(expected), Some(Field::Text(found))) => expected == found,
        (Atteso::Uno(expected), Some(Field::Text(found))) => expected.contains(found),
        _ => false,
    }
}

/// A field that an event gives or that is computed from what it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldInfo<'a> {
    /// Type.
    pub tipo: TipoCampo,
    /// The values of an enum, or the one constant.
    pub valori: Vec<&'a str>,
    /// Whether each good event has it.
    pub always: bool,
}

impl TipoEvento {
    /// The field of that name, given or computed.
    #[must_use]
    pub fn field(&self, nome: &str) -> Option<FieldInfo<'_>> {
        let derived = self.derivati.iter().find(|d| d.nome == nome);
        if let Some(campo) = self.campi.iter().find(|c| c.nome == nome) {
            let valori = campo.valori.iter().map(String::as_str).collect();
            let always = campo.obbligatorio || derived.is_some();
            return Some(FieldInfo { tipo: campo.tipo, valori, always });
        }
        let derived = derived?;
        let tipo = match derived.regola {
            Regola::Costante => TipoCampo::Enum,
            Regola::DataEvento | Regola::DataLocale | Regola::Somma | Regola::ScadenzaPermesso => {
                TipoCampo::Data
            }
            Regola::OraLocale => TipoCampo::Ora,
            Regola::Importo => TipoCampo::Importo,
        };
        Some(FieldInfo { tipo, valori: derived.valore.as_deref().into_iter().collect(), always: true })
    }
}

impl Service {
    /// The field of that name of the thing an event speaks of. An event that changes single fields finds
    /// the others in the events that first told of the thing.
    #[must_use]
    pub fn field(&self, evento: &str, nome: &str) -> Option<FieldInfo<'_>> {
        let tipo = self.eventi.get(evento)?;
        let own = tipo.field(nome);
        if own.is_some() || !tipo.modifica {
            return own;
        }
        self.eventi.values().filter(|e| e.cosa == tipo.cosa && !e.modifica).find_map(|e| e.field(nome))
    }

    /// The type of a template variable that an event may carry, or that the ente's configuration may
    /// give, in any message of the service.
    #[must_use]
    pub fn ente_variable(&self, nome: &str) -> Option<TipoCampo> {
        self.messaggi.values().flat_map(|m| &m.variabili).find_map(|v| {
            let named = v.nome == nome || v.ripiego.as_deref() == Some(nome);
            (named && v.origine == Origine::Ente).then_some(v.tipo)
        })
    }

    /// A variable that an event may give beside its own fields: one that the ente's configuration gives
    /// otherwise, or one of a message that the event leads to and that is not computed. Its type, and the
    /// values of an enum.
    #[must_use]
    pub fn event_variable(&self, tipo: &TipoEvento, nome: &str) -> Option<(TipoCampo, &[String])> {
        if let Some(variable) = self.ente_variable(nome) {
            return Some((variable, &[]));
        }
        if tipo.derivati.iter().any(|derivato| derivato.nome == nome) {
            return None;
        }
        let led_to = |m: &&Messaggio| m.regola.innesco.iter().any(|i| i.evento == tipo.tipo);
        let mut variables = self.messaggi.values().filter(led_to).flat_map(|m| &m.variabili);
        let variable = variables.find(|v| v.nome == nome && v.origine == Origine::Evento)?;
        Some((variable.tipo, &variable.valori))
    }

    /// The names of the variables that an event may give beside its own fields, sorted.
    #[must_use]
    pub fn event_variables(&self, tipo: &TipoEvento) -> BTreeSet<&str> {
        let variables = self.messaggi.values().flat_map(|m| &m.variabili);
        let names = variables.flat_map(|v| std::iter::once(v.nome.as_str()).chain(v.ripiego.as_deref()));
        let own = |nome: &str| tipo.campi.iter().any(|campo| campo.nome == nome);
        names.filter(|nome| !own(nome) && self.event_variable(tipo, nome).is_some()).collect()
    }
}
