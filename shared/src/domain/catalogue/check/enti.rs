//! Faults of what an ente adds to the catalogue: variables, its own texts, switches.

use std::collections::BTreeMap;

use super::{At, messages};
use crate::domain::catalogue::{Catalogue, Messaggio, Origine, Service, TipoCampo, Variabile};
use crate::domain::ente::{Ente, ServizioEnte};
use crate::domain::event::{placeholders, text_fault, url_fault};
use crate::domain::fault::Fault;

/// Everything `promemoria lint` says of an ente: [`ente_faults`] and [`ente_gaps`].
#[must_use]
pub fn check_ente(catalogue: &Catalogue, ente: &Ente) -> Vec<Fault> {
    let mut faults = ente_faults(catalogue, ente);
    faults.extend(ente_gaps(catalogue, ente));
    faults
}

/// What makes an ente's file unfit for use: names that the catalogue does not know, values that are not
/// of their variable's type, texts that do not work.
#[must_use]
pub fn ente_faults(catalogue: &Catalogue, ente: &Ente) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (id, choices) in &ente.servizi {
        let Some(service) = catalogue.servizi.get(id) else {
            faults.push(Fault::new(&file(ente), format!("servizi.{id}"), "is no service of the catalogue"));
            continue;
        };
        let mut at = At { service, file: file(ente), faults: &mut faults };
        variables(catalogue, &mut at, choices);
        message_choices(&mut at, choices);
        for (timer, choice) in &choices.timer {
            let key = format!("servizi.{id}.timer.{timer}");
            if !service.timer.contains_key(timer) {
                at.fault(&key, "is no office timer of the service");
            }
            if choice.giorni.is_some_and(|days| days < 1) {
                at.fault(format!("{key}.giorni"), "must be 1 or more");
            }
        }
    }
    faults
}

/// Variables that the texts of an ente's active messages need, that not every triggering event must give,
/// and that the ente does not give either. An event that leaves one out would be refused.
#[must_use]
pub fn ente_gaps(catalogue: &Catalogue, ente: &Ente) -> Vec<Fault> {
    let mut gaps: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
    for (id, choices) in &ente.servizi {
        let Some(service) = catalogue.servizi.get(id) else { continue };
        let active = service.messaggi.values().filter(|m| is_active(choices, m));
        for message in active {
            let missing = message.variabili.iter().filter(|v| v.origine == Origine::Ente);
            for variable in missing.filter(|v| !is_given(service, message, v, ente, choices)) {
                gaps.entry((id.clone(), variable.nome.clone())).or_default().push(&message.id);
            }
        }
    }
    let told = |((id, nome), messages): ((String, String), Vec<&str>)| {
        let reason = format!("not given, and needed by {}", messages.join(", "));
        Fault::new(&file(ente), format!("servizi.{id}.variabili.{nome}"), reason)
    };
    gaps.into_iter().map(told).collect()
}

fn file(ente: &Ente) -> String {
    format!("enti/{}.toml", ente.id)
}

fn is_active(choices: &ServizioEnte, message: &Messaggio) -> bool {
    choices.messaggi.get(&message.id).and_then(|choice| choice.attivo).unwrap_or(true)
}

fn is_given(
    service: &Service,
    message: &Messaggio,
    variable: &Variabile,
    ente: &Ente,
    choices: &ServizioEnte,
) -> bool {
    let by_event = |name: &str| {
        let mut events = message.regola.innesco.iter();
        events.all(|trigger| service.field(&trigger.evento, name).is_some_and(|field| field.always))
    };
    let given = |name: &str| {
        choices.variabili.contains_key(name)
            || (name == "comune" && !ente.comune.is_empty())
            || by_event(name)
    };
    given(&variable.nome) || variable.ripiego.as_deref().is_some_and(given)
}

fn variables(catalogue: &Catalogue, at: &mut At<'_>, choices: &ServizioEnte) {
    let id = at.service.scheda.id.clone();
    let by_permit = choices
        .variabili_per_permesso
        .iter()
        .flat_map(|(code, values)| values.iter().map(move |v| (format!("variabili_per_permesso.{code}"), v)));
    let plain = choices.variabili.iter().map(|v| ("variabili".to_owned(), v));
    for (table, (nome, value)) in plain.chain(by_permit) {
        let key = format!("servizi.{id}.{table}.{nome}");
        let tipo = at
            .service
            .ente_variable(nome)
            .or_else(|| catalogue.servizi.values().find_map(|service| service.ente_variable(nome)));
        match tipo {
            None => at.fault(key, "is no variable that an ente may give"),
            Some(TipoCampo::Url) => url_pattern(at, &key, nome, value),
            Some(_) => {
                if let Some(reason) = text_fault(value) {
                    at.fault(key, reason);
                }
            }
        }
    }
    for code in choices.variabili_per_permesso.keys() {
        if !catalogue.permessi.titoli.contains_key(code) {
            at.fault(format!("servizi.{id}.variabili_per_permesso.{code}"), "is no permit title");
        }
    }
}

/// Checks a url that may hold `{campo}` placeholders, each of them known to every event that can lead to
/// a message with that variable.
fn url_pattern(at: &mut At<'_>, key: &str, nome: &str, value: &str) {
    let (plain, names) = match placeholders(value) {
        Ok(parts) => parts,
        Err(reason) => return at.fault(key, reason),
    };
    if let Some(reason) = url_fault(&plain) {
        at.fault(key, reason);
    }
    for name in names {
        let users = at
            .service
            .messaggi
            .values()
            .filter(|m| m.variabili.iter().any(|v| v.nome == nome || v.ripiego.as_deref() == Some(nome)));
        let lacking = users
            .flat_map(|m| &m.regola.innesco)
            .find(|trigger| at.service.field(&trigger.evento, &name).is_none())
            .map(|trigger| trigger.evento.clone());
        if let Some(evento) = lacking {
            at.fault(key, format!("`{{{name}}}` is no field of `{evento}`"));
        }
    }
}

fn message_choices(at: &mut At<'_>, choices: &ServizioEnte) {
    for (id, choice) in &choices.messaggi {
        let key = format!("servizi.{}.messaggi.{id}", at.service.scheda.id);
        let Some(message) = at.service.messaggi.get(id) else {
            at.fault(&key, "is no message of the service");
            continue;
        };
        let per_permit = choice.giorni_prima_per_permesso.values();
        for days in choice.giorni_prima.iter().chain(per_permit) {
            if message.regola.momento.scatti.first().is_none_or(|firing| *firing > 0) {
                at.fault(format!("{key}.giorni_prima"), "the message does not go before a date");
            } else if days.is_empty() || days.iter().any(|d| *d < 0) {
                at.fault(format!("{key}.giorni_prima"), "must be days before the date, 0 or more");
            }
        }
        if let Some(policy) = choice.in_dubbio {
            messages::policy_of(at, &format!("{key}.in_dubbio"), message, policy);
        }
        if choice.titolo.is_some() || choice.corpo.is_some() || choice.pulsante.is_some() {
            let mut own = message.clone();
            own.titolo = choice.titolo.clone().unwrap_or(own.titolo);
            own.corpo = choice.corpo.clone().unwrap_or(own.corpo);
            if let Some(mut button) = choice.pulsante.clone() {
                button.url = button.url.or_else(|| message.pulsante.as_ref()?.url.clone());
                own.pulsante = Some(button);
            }
            let before = at.faults.len();
            messages::texts(at, &own, &own.titolo, &own.corpo);
            for fault in &mut at.faults[before..] {
                fault.key = format!("{key}.{}", fault.key);
            }
        }
    }
}
