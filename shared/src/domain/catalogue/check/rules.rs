//! Faults of the tables `[regola]`.

use chrono::NaiveTime;

use super::At;
use crate::domain::catalogue::{
    Annullamento, Atteso, Dove, FieldInfo, InRitardo, Momento, Pianificazione, Premium, Soppressione,
    Sospensione, TipoCampo,
};

/// `motivo` of `messaggio.scartato` (contract.md section 5).
const MOTIVI: [&str; 8] = [
    "destinatario-non-raggiungibile",
    "tipo-disattivato",
    "premium",
    "firma-con-io",
    "gia-pagato",
    "annullato",
    "scadenza-passata",
    "duplicato",
];

pub(super) fn check(at: &mut At<'_>, rule: &Pianificazione) {
    let triggers: Vec<&str> = rule.innesco.iter().map(|i| i.evento.as_str()).collect();
    if triggers.is_empty() {
        at.fault("regola.innesco", "must name an event");
    }
    for (place, trigger) in rule.innesco.iter().enumerate() {
        let key = format!("regola.innesco[{place}]");
        if !at.service.eventi.contains_key(&trigger.evento) {
            at.fault(format!("{key}.evento"), format!("`{}` is no event of the service", trigger.evento));
            continue;
        }
        let event = [trigger.evento.as_str()];
        conditions(at, &format!("{key}.dove"), &trigger.dove, &event);
        conditions(at, &format!("{key}.non_dove"), &trigger.non_dove, &event);
        for nome in &trigger.se_cambia {
            of_type(at, &format!("{key}.se_cambia"), nome, &event, &[]);
        }
    }
    let known: Vec<&str> = triggers.into_iter().filter(|t| at.service.eventi.contains_key(*t)).collect();
    moment(at, &rule.momento, &known);
    for (place, undoing) in rule.annullato_da.iter().enumerate() {
        cancellation(at, &format!("regola.annullato_da[{place}]"), undoing, &known);
    }
    if let Some(holding) = &rule.sospeso_da {
        suspension(at, holding);
    }
    if let Some(id) = rule.segue.as_ref().filter(|id| !at.service.messaggi.contains_key(*id)) {
        at.fault("regola.segue", format!("`{id}` is no message of the service"));
    }
    if let Some(suppressing) = &rule.soppresso_da {
        suppression(at, suppressing, &known);
    }
}

fn moment(at: &mut At<'_>, momento: &Momento, triggers: &[&str]) {
    let key = "regola.momento";
    if NaiveTime::parse_from_str(&momento.ora, "%H:%M").is_err() {
        at.fault(format!("{key}.ora"), "must be `HH:MM`");
    }
    for (name, firings) in [("scatti", &momento.scatti), ("scatti_brevi", &momento.scatti_brevi)] {
        if !firings.is_sorted_by(|a, b| a < b) {
            at.fault(format!("{key}.{name}"), "must go from the earliest to the latest, each once");
        }
    }
    if let Some(anchor) = &momento.ancora {
        of_type(at, &format!("{key}.ancora"), anchor, triggers, &[TipoCampo::Data]);
        if momento.scatti.is_empty() {
            at.fault(format!("{key}.scatti"), "an anchor needs firings");
        }
    } else if !is_plain(momento) {
        at.fault(key, "without an anchor it goes at once: no term, firings or lateness");
    }
    if let Some(nome) = &momento.termine_campo {
        of_type(at, &format!("{key}.termine_campo"), nome, triggers, &[TipoCampo::Intero]);
    }
    if let Some(nome) = &momento.utile_fino_a {
        let types = [TipoCampo::Data, TipoCampo::Istante];
        of_type(at, &format!("{key}.utile_fino_a"), nome, triggers, &types);
    }
    for nome in &momento.nuovo_se_cambia {
        of_type(at, &format!("{key}.nuovo_se_cambia"), nome, triggers, &[]);
    }
}

fn is_plain(momento: &Momento) -> bool {
    momento.scatti.is_empty()
        && momento.scatti_brevi.is_empty()
        && momento.termine_giorni == 0
        && momento.termine_mesi == 0
        && momento.termine_campo.is_none()
        && !momento.sposta_festivi
        && !momento.subito_se_oggi
        && momento.in_ritardo == InRitardo::Subito
}

/// Checks a cancellation of what `triggers` lead to; with no triggers, one that closes the case.
pub(super) fn cancellation(at: &mut At<'_>, key: &str, undoing: &Annullamento, triggers: &[&str]) {
    let event = [undoing.evento.as_str()];
    if !is_event(at, &format!("{key}.evento"), &undoing.evento) {
        return;
    }
    conditions(at, &format!("{key}.dove"), &undoing.dove, &event);
    conditions(at, &format!("{key}.non_dove"), &undoing.non_dove, &event);
    if let Some([undoing_date, thing_date]) = &undoing.non_prima_di {
        let key = format!("{key}.non_prima_di");
        of_type(at, &key, undoing_date, &event, &[TipoCampo::Data]);
        of_type(at, &key, thing_date, triggers, &[TipoCampo::Data]);
    }
    for (place, exception) in undoing.salvo_poi.iter().enumerate() {
        let key = format!("{key}.salvo_poi[{place}]");
        if is_event(at, &format!("{key}.evento"), &exception.evento) {
            conditions(at, &format!("{key}.dove"), &exception.dove, &[&exception.evento]);
        }
    }
    reason(at, &format!("{key}.motivo"), &undoing.motivo);
}

fn suspension(at: &mut At<'_>, holding: &Sospensione) {
    let key = "regola.sospeso_da";
    if holding.eventi.is_empty() {
        at.fault(format!("{key}.eventi"), "must name an event");
    }
    for evento in &holding.eventi {
        if !is_event(at, &format!("{key}.eventi"), evento) {
            continue;
        }
        if at.service.eventi.get(evento).is_some_and(|e| e.cosa != holding.cosa) {
            at.fault(format!("{key}.cosa"), format!("`{evento}` does not speak of `{}`", holding.cosa));
        }
        conditions(at, &format!("{key}.dove"), &holding.dove, &[evento]);
        of_type(at, &format!("{key}.fino_a"), &holding.fino_a, &[evento], &[TipoCampo::Istante]);
    }
}

fn suppression(at: &mut At<'_>, suppressing: &Soppressione, triggers: &[&str]) {
    let key = "regola.soppresso_da";
    reason(at, &format!("{key}.motivo"), &suppressing.motivo);
    conditions(at, &format!("{key}.dove"), &suppressing.dove, triggers);
    match &suppressing.premium_di {
        Some(id) if at.service.messaggi.get(id).is_none_or(|m| m.premium == Premium::Nessuno) => {
            at.fault(format!("{key}.premium_di"), format!("`{id}` is no Premium message of the service"));
        }
        None if suppressing.dove.is_empty() => at.fault(key, "needs `dove` or `premium_di`"),
        _ => {}
    }
}

fn is_event(at: &mut At<'_>, key: &str, evento: &str) -> bool {
    let known = at.service.eventi.contains_key(evento);
    if !known {
        at.fault(key, format!("`{evento}` is no event of the service"));
    }
    known
}

fn reason(at: &mut At<'_>, key: &str, motivo: &str) {
    if !MOTIVI.contains(&motivo) {
        at.fault(key, format!("`{motivo}` is not one of {}", MOTIVI.join(", ")));
    }
}

/// Checks that a field is known to every event, with one of the types; with no types, any will do.
pub(super) fn of_type(at: &mut At<'_>, key: &str, nome: &str, events: &[&str], types: &[TipoCampo]) {
    let mut faults = Vec::new();
    for evento in events {
        match at.service.field(evento, nome) {
            None => faults.push(format!("`{nome}` is no field of `{evento}`")),
            Some(field) if !types.is_empty() && !types.contains(&field.tipo) => {
                faults.push(format!("`{nome}` of `{evento}` has the wrong type"));
            }
            Some(_) => {}
        }
    }
    for fault in faults {
        at.fault(key, fault);
    }
}

/// Checks the conditions on the fields of each of the events.
pub(super) fn conditions(at: &mut At<'_>, key: &str, dove: &Dove, events: &[&str]) {
    let mut faults = Vec::new();
    for (nome, expected) in dove {
        for evento in events {
            match at.service.field(evento, nome) {
                None => faults.push(format!("`{nome}` is no field of `{evento}`")),
                Some(field) => faults.extend(mismatch(nome, expected, &field)),
            }
        }
    }
    for fault in faults {
        at.fault(key, fault);
    }
}

fn mismatch(nome: &str, expected: &Atteso, field: &FieldInfo<'_>) -> Option<String> {
    let values: Vec<&str> = match expected {
        Atteso::Bool(_) if field.tipo == TipoCampo::Bool => return None,
        Atteso::Bool(_) => return Some(format!("`{nome}` is not a boolean")),
        Atteso::Testo(value) => vec![value],
        Atteso::Uno(values) => values.iter().map(String::as_str).collect(),
    };
    if matches!(field.tipo, TipoCampo::Testo | TipoCampo::TitoloPermesso) {
        return None;
    }
    let unknown = values.iter().find(|value| !field.valori.contains(value))?;
    Some(format!("`{nome}` is never `{unknown}`"))
}
