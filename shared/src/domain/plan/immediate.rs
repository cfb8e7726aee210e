//! Messages that go when their event comes.

use crate::domain::Fields;
use crate::domain::case::{Motivo, Planned, Standing};
use crate::domain::catalogue::{Innesco, Pianificazione, any_holds, holds};
use crate::domain::event::CaseEvent;

use super::facts::{Base, base, is_change};
use super::{Planning, instants, rule};

/// Plans the immediate messages of an event that was just recorded for the thing `key`. `before` are the
/// thing's fields as they were.
pub(super) fn plan(
    planning: &mut Planning<'_, '_>,
    event: &CaseEvent,
    key: &str,
    is_news: bool,
    before: &Fields,
) {
    for (name, pianificazione) in planning.ctx.rules() {
        if pianificazione.momento.ancora.is_some() {
            continue;
        }
        let Some(innesco) = pianificazione.innesco.iter().find(|i| i.evento == event.tipo) else { continue };
        plan_one(planning, name, pianificazione, innesco, &Incoming { event, key, is_news, before });
    }
}

struct Incoming<'a> {
    event: &'a CaseEvent,
    key: &'a str,
    is_news: bool,
    before: &'a Fields,
}

fn plan_one(
    planning: &mut Planning<'_, '_>,
    name: &str,
    pianificazione: &Pianificazione,
    innesco: &Innesco,
    incoming: &Incoming<'_>,
) {
    let ctx = planning.ctx;
    let Some(thing) = planning.case.things.get(incoming.key).cloned() else { return };
    let Some(on) = base(ctx, &thing, pianificazione.innesco.iter().map(|i| i.evento.as_str())) else {
        return;
    };
    let change = is_change(ctx, &incoming.event.tipo);
    // The event's own fields decide whether it leads to the message at all; a change has only some of
    // them, the thing has the others.
    let fields =
        if change { with(&on.fields, &incoming.event.fields) } else { own_fields(planning, incoming) };
    if !holds(&innesco.dove, &fields) || any_holds(&innesco.non_dove, &fields) {
        return;
    }
    if change && (!incoming.is_news || !changes_any(innesco, incoming.before, &on.fields)) {
        return;
    }
    let fate = fate(planning, name, pianificazione, incoming, &on);
    if fate.is_none() && has_identity(incoming.key) {
        supersede(planning, name, incoming.key);
    }
    let now = ctx.now_ms();
    let useful_until_ms = instants::useful_until(ctx, pianificazione, &on.fields);
    planning.add(Planned {
        slot: 0,
        rule: name.to_owned(),
        thing: incoming.key.to_owned(),
        firing: 0,
        anchor: String::new(),
        cycle: 0,
        due_ms: now,
        useful_until_ms,
        held_until_ms: None,
        event: incoming.event.id.clone(),
        changed_by: None,
        is_timer: false,
        standing: fate.map_or(Standing::Armed, Standing::Discarded),
    });
}

fn own_fields(planning: &Planning<'_, '_>, incoming: &Incoming<'_>) -> Fields {
    let ctx = planning.ctx;
    let Some(tipo) = ctx.service.eventi.get(&incoming.event.tipo) else { return Fields::new() };
    crate::domain::derive::derive(
        &incoming.event.fields,
        tipo,
        incoming.event.time,
        &ctx.calendar(),
        &ctx.catalogue.permessi,
    )
}

fn with(fields: &Fields, more: &Fields) -> Fields {
    let mut all = fields.clone();
    all.extend(more.iter().map(|(name, field)| (name.clone(), field.clone())));
    all
}

fn changes_any(innesco: &Innesco, before: &Fields, after: &Fields) -> bool {
    innesco.se_cambia.is_empty() || innesco.se_cambia.iter().any(|name| before.get(name) != after.get(name))
}

/// Why the message is discarded as it is planned, if it is.
fn fate(
    planning: &Planning<'_, '_>,
    name: &str,
    pianificazione: &Pianificazione,
    incoming: &Incoming<'_>,
    on: &Base<'_>,
) -> Option<Motivo> {
    let ctx = planning.ctx;
    if !ctx.is_active(name) {
        return Some(Motivo::TipoDisattivato);
    }
    if let Some(motivo) = rule::undone(ctx, planning.case, pianificazione, incoming.key, on) {
        return Some(motivo);
    }
    if let Some(motivo) = planning.suppressed(pianificazione, incoming.key, &on.fields) {
        return Some(motivo);
    }
    // Older than what is known of the thing: recorded, and nothing else (contract.md 10.8).
    let outdated = !is_change(ctx, &incoming.event.tipo) && on.fact.stamp.id != incoming.event.id;
    if !incoming.is_news || outdated || newer_fact_of_thing(planning, incoming) {
        return Some(Motivo::Annullato);
    }
    let useful_until = instants::useful_until(ctx, pianificazione, &on.fields);
    useful_until.filter(|end| *end < ctx.now_ms()).map(|_| Motivo::ScadenzaPassata)
}

/// Whether the thing has a newer base fact than the event, of whatever type.
fn newer_fact_of_thing(planning: &Planning<'_, '_>, incoming: &Incoming<'_>) -> bool {
    let ctx = planning.ctx;
    if is_change(ctx, &incoming.event.tipo) {
        return false;
    }
    let newest = planning
        .case
        .things
        .get(incoming.key)
        .and_then(|thing| base(ctx, thing, thing.keys().map(String::as_str)));
    newest.is_some_and(|newest| newest.fact.stamp.id != incoming.event.id)
}

/// Whether two events of this key surely speak of one thing: that appointment, that notice.
fn has_identity(key: &str) -> bool {
    key.contains(':')
}

/// A newer fact of the thing takes the place of a message that has not gone yet.
fn supersede(planning: &mut Planning<'_, '_>, name: &str, key: &str) {
    let live: Vec<usize> = (0..planning.case.planned.len())
        .filter(|index| {
            let planned = &planning.case.planned[*index];
            planned.rule == name && planned.thing == key && planning.is_live(planned)
        })
        .collect();
    for index in live {
        planning.cancel(index, Motivo::Annullato);
    }
}
