//! Whether every message that an event can lead to will have its variables.

use super::value::placeholders;
use crate::domain::catalogue::{
    Innesco, Messaggio, Origine, Service, TipoCampo, TipoEvento, Variabile, any_holds, holds,
};
use crate::domain::ente::{Ente, ServizioEnte};
use crate::domain::fields::{Field, Fields};

/// The first variable that is missing: (message type, variable). `fields` holds the derived fields too.
pub(super) fn missing<'a>(
    service: &'a Service,
    tipo: &TipoEvento,
    fields: &Fields,
    ente: &Ente,
) -> Option<(&'a str, &'a str)> {
    let choices = ente.servizi.get(&service.scheda.id)?;
    let led_to = service.messaggi.values().filter(|m| is_led_to(m, tipo, fields, choices));
    for message in led_to {
        let lacking = message.variabili.iter().find(|variable| {
            is_needed(variable, tipo, fields, ente)
                && !is_given(variable, &variable.nome, fields, ente, choices)
                && !variable
                    .ripiego
                    .as_ref()
                    .is_some_and(|name| is_given(variable, name, fields, ente, choices))
        });
        if let Some(variable) = lacking {
            return Some((&message.id, &variable.nome));
        }
    }
    None
}

fn is_led_to(message: &Messaggio, tipo: &TipoEvento, fields: &Fields, choices: &ServizioEnte) -> bool {
    let active = choices.messaggi.get(&message.id).and_then(|choice| choice.attivo).unwrap_or(true);
    let suppressed =
        message.regola.soppresso_da.as_ref().is_some_and(|s| !s.dove.is_empty() && holds(&s.dove, fields));
    active && !suppressed && message.regola.innesco.iter().any(|trigger| may_hold(trigger, tipo, fields))
}

/// Whether the trigger holds as far as the event alone tells: one that changes single fields says nothing
/// of the others.
fn may_hold(trigger: &Innesco, tipo: &TipoEvento, fields: &Fields) -> bool {
    if trigger.evento != tipo.tipo || any_holds(&trigger.non_dove, fields) {
        return false;
    }
    let mut told = trigger.dove.clone();
    told.retain(|name, _| !tipo.modifica || fields.contains_key(name));
    holds(&told, fields)
}

fn is_needed(variable: &Variabile, tipo: &TipoEvento, fields: &Fields, ente: &Ente) -> bool {
    if variable.solo_con_allegato && !(ente.premium.allegati && fields.contains_key("allegato")) {
        return false;
    }
    match variable.origine {
        Origine::Interna => false,
        Origine::Ente => true,
        Origine::Evento => !tipo.modifica,
    }
}

fn is_given(variable: &Variabile, name: &str, fields: &Fields, ente: &Ente, choices: &ServizioEnte) -> bool {
    if fields.contains_key(name) {
        return true;
    }
    let code = fields.get("tipo_permesso").and_then(Field::text);
    let by_permit = code.and_then(|code| choices.variabili_per_permesso.get(code)?.get(name));
    match by_permit.or_else(|| choices.variabili.get(name)) {
        Some(pattern) if variable.tipo == TipoCampo::Url => {
            placeholders(pattern).is_ok_and(|(_, names)| names.iter().all(|n| fields.contains_key(n)))
        }
        Some(_) => true,
        None => name == "comune" && !ente.comune.is_empty(),
    }
}
