//! Bringing what is planned into line with the facts: arming, moving, taking back.
//!
//! What should be armed follows from the facts alone, so the order in which they came does not matter.

use std::collections::HashSet;

use crate::domain::case::{CATCH_UP, Motivo, Planned, Standing};
use crate::domain::catalogue::{InRitardo, Pianificazione};

use super::facts::Base;
use super::instants::{Firing, anchor, firings, useful_until};
use super::{Planning, rule};

/// Missed reminders are made up for only if the next is further away than this (contract.md 10.19).
const NEXT_IS_FAR_MS: i64 = 7 * 24 * 3600 * 1000;

/// A rule that holds for a thing.
struct Wanted<'a> {
    name: &'a str,
    rule: &'a Pianificazione,
    key: String,
    event: String,
    importazione: bool,
    anchor: String,
    firings: Vec<Firing>,
    useful_until_ms: Option<i64>,
    held_until_ms: Option<i64>,
    /// Discarded as a whole, with the reason.
    instead: Option<Motivo>,
}

/// Brings every rule of the service into line with the case's facts.
pub(super) fn reconcile(planning: &mut Planning<'_, '_>) {
    let mut seen: HashSet<(String, String)> = HashSet::new();
    for (name, pianificazione) in planning.ctx.rules() {
        if pianificazione.momento.ancora.is_none() {
            take_back_undone(planning, name, pianificazione);
            continue;
        }
        for wanted in wanted(planning, name, pianificazione) {
            seen.insert((wanted.name.to_owned(), wanted.key.clone()));
            bring_into_line(planning, &wanted);
        }
    }
    take_back_unwanted(planning, &seen);
}

/// Immediate messages that have not gone yet and that a later fact undoes.
fn take_back_undone(planning: &mut Planning<'_, '_>, name: &str, pianificazione: &Pianificazione) {
    for index in 0..planning.case.planned.len() {
        let planned = &planning.case.planned[index];
        if planned.rule != name || !planning.is_live(planned) {
            continue;
        }
        let thing = planning.case.things.get(&planned.thing);
        let on = thing.and_then(|thing| rule::trigger(planning.ctx, pianificazione, thing));
        let undone =
            on.and_then(|on| rule::undone(planning.ctx, planning.case, pianificazione, &planned.thing, &on));
        if undone.is_some() {
            planning.cancel(index, Motivo::Annullato);
        }
    }
}

/// The things for which a rule with an anchor holds.
fn wanted<'a>(
    planning: &Planning<'_, 'a>,
    name: &'a str,
    pianificazione: &'a Pianificazione,
) -> Vec<Wanted<'a>> {
    let ctx = planning.ctx;
    let Some(cosa) = rule::cosa(ctx, pianificazione) else { return Vec::new() };
    let listed =
        pianificazione.innesco.iter().any(|i| ctx.service.eventi.get(&i.evento).is_some_and(|t| t.lista));
    if listed != planning.case.share || (!ctx.is_message(name) && !ctx.is_active(name)) {
        return Vec::new();
    }
    let held_until_ms = rule::held_until(ctx, planning.case, pianificazione);
    let things = planning.case.things.iter().filter(|(key, _)| rule::is_of(key, cosa));
    things
        .filter_map(|(key, thing)| {
            let on = rule::trigger(ctx, pianificazione, thing)?;
            let undone = rule::undone(ctx, planning.case, pianificazione, key, &on).is_some();
            if undone || rule::follows_nothing(ctx, pianificazione, &on) {
                return None;
            }
            Some(wanted_of(planning, name, pianificazione, key, &on)).map(|w| Wanted { held_until_ms, ..w })
        })
        .filter(|wanted| !wanted.firings.is_empty())
        .collect()
}

fn wanted_of<'a>(
    planning: &Planning<'_, 'a>,
    name: &'a str,
    pianificazione: &'a Pianificazione,
    key: &str,
    on: &Base<'_>,
) -> Wanted<'a> {
    let ctx = planning.ctx;
    let switched_off = (!ctx.is_active(name)).then_some(Motivo::TipoDisattivato);
    Wanted {
        name,
        rule: pianificazione,
        key: key.to_owned(),
        event: on.fact.stamp.id.clone(),
        importazione: on.fact.importazione,
        anchor: anchor(pianificazione, &on.fields),
        firings: firings(ctx, name, pianificazione, &on.fields),
        useful_until_ms: useful_until(ctx, pianificazione, &on.fields),
        held_until_ms: None,
        instead: switched_off.or_else(|| planning.suppressed(pianificazione, key, &on.fields)),
    }
}

fn bring_into_line(planning: &mut Planning<'_, '_>, wanted: &Wanted<'_>) {
    let mine: Vec<usize> = (0..planning.case.planned.len())
        .filter(|i| {
            let p = &planning.case.planned[*i];
            p.rule == wanted.name && p.thing == wanted.key
        })
        .collect();
    if let Some(motivo) = wanted.instead {
        discard_all(planning, wanted, &mine, motivo);
    } else if mine.iter().any(|i| is_known(&planning.case.planned[*i], wanted)) {
        keep_in_line(planning, wanted, &mine);
    } else {
        plan_anew(planning, wanted, &mine);
    }
}

/// Whether an entry was reckoned from what is wanted now, and not merely discarded for a reason that may
/// pass.
fn is_known(planned: &Planned, wanted: &Wanted<'_>) -> bool {
    planned.anchor == wanted.anchor && !may_pass(planned.standing)
}

fn may_pass(standing: Standing) -> bool {
    use Motivo::{Annullato, Premium, TipoDisattivato};
    matches!(standing, Standing::Discarded(Annullato | Premium | TipoDisattivato))
}

/// The whole rule is superfluous: live ones go, and the discard is recorded once per anchor.
fn discard_all(planning: &mut Planning<'_, '_>, wanted: &Wanted<'_>, mine: &[usize], motivo: Motivo) {
    let mut recorded = false;
    for index in mine {
        let planned = &planning.case.planned[*index];
        if planning.is_live(planned) {
            planning.cancel(*index, motivo);
            recorded = true;
        } else if planned.anchor == wanted.anchor {
            recorded = true;
        }
    }
    if !recorded && !wanted.importazione {
        let first = wanted.firings[0];
        add(planning, wanted, first.days, first.due_ms, Standing::Discarded(motivo));
    }
}

/// Nothing is known of this anchor yet: arm what is ahead, treat what is past as late, and let go of what
/// hung on another anchor.
fn plan_anew(planning: &mut Planning<'_, '_>, wanted: &Wanted<'_>, mine: &[usize]) {
    let now = planning.ctx.now_ms();
    let (late, ahead): (Vec<Firing>, Vec<Firing>) =
        wanted.firings.iter().partition(|f| f.due_ms <= now && !f.today);
    let live: Vec<usize> =
        mine.iter().copied().filter(|i| planning.is_live(&planning.case.planned[*i])).collect();
    let mut moved = HashSet::new();
    for firing in &ahead {
        let due_ms = if firing.today { firing.due_ms.min(now) } else { firing.due_ms };
        // The same event, changed by a later one: what was armed on it moves (contract.md 10.22).
        let movable = live.iter().copied().find(|i| {
            let p = &planning.case.planned[*i];
            p.firing == firing.days && p.event == wanted.event
        });
        match movable {
            Some(index) => {
                moved.insert(index);
                move_to(planning, wanted, index, due_ms);
            }
            None => add(planning, wanted, firing.days, due_ms, Standing::Armed),
        }
    }
    for index in live.into_iter().filter(|index| !moved.contains(index)) {
        planning.cancel(index, Motivo::Annullato);
    }
    plan_late(planning, wanted, &late, ahead.first());
}

fn move_to(planning: &mut Planning<'_, '_>, wanted: &Wanted<'_>, index: usize, due_ms: i64) {
    planning.reschedule(index, due_ms);
    let planned = &mut planning.case.planned[index];
    planned.anchor.clone_from(&wanted.anchor);
    planned.useful_until_ms = wanted.useful_until_ms;
    planned.held_until_ms = wanted.held_until_ms;
}

/// Firings whose instant was past when their event came (rules.md 1.7, 1.11; contract.md 10.19).
fn plan_late(planning: &mut Planning<'_, '_>, wanted: &Wanted<'_>, late: &[Firing], next: Option<&Firing>) {
    let Some(last) = late.last() else { return };
    let now = planning.ctx.now_ms();
    for firing in late {
        add(planning, wanted, firing.days, firing.due_ms, Standing::Missed);
    }
    let is_message = planning.ctx.is_message(wanted.name);
    let useful = wanted.useful_until_ms.is_none_or(|end| end >= now);
    let goes = useful && !wanted.importazione;
    match wanted.rule.momento.in_ritardo {
        InRitardo::Subito if goes => add(planning, wanted, CATCH_UP, now, Standing::Armed),
        InRitardo::Uno if goes && next.is_none_or(|n| n.due_ms - now > NEXT_IS_FAR_MS) => {
            add(planning, wanted, CATCH_UP, now, Standing::Armed);
        }
        // Nothing of it will ever go: say so once.
        _ if is_message && next.is_none() => {
            add(planning, wanted, last.days, last.due_ms, Standing::Discarded(Motivo::ScadenzaPassata));
        }
        _ => {}
    }
}

/// The anchor is known: arm again what was taken back, follow changed choices of the ente, keep the rest.
fn keep_in_line(planning: &mut Planning<'_, '_>, wanted: &Wanted<'_>, mine: &[usize]) {
    let now = planning.ctx.now_ms();
    for index in mine.iter().copied() {
        let planned = &planning.case.planned[index];
        if !planning.is_live(planned) {
            continue;
        }
        if planned.anchor != wanted.anchor {
            planning.cancel(index, Motivo::Annullato);
            continue;
        }
        let firing = wanted.firings.iter().find(|f| f.days == planned.firing);
        match firing {
            Some(firing) if firing.due_ms != planned.due_ms && firing.due_ms > now => {
                planning.reschedule(index, firing.due_ms);
            }
            None if planned.firing != CATCH_UP => planning.cancel(index, Motivo::Annullato),
            _ => {}
        }
        let planned = &mut planning.case.planned[index];
        planned.useful_until_ms = wanted.useful_until_ms;
        planned.held_until_ms = wanted.held_until_ms;
    }
    for firing in wanted.firings.iter().filter(|f| f.due_ms > now) {
        if !has_its_own(planning, wanted, mine, firing) {
            add(planning, wanted, firing.days, firing.due_ms, Standing::Armed);
        }
    }
}

/// Whether a firing has an entry for this anchor that still counts: live, gone, or missed.
fn has_its_own(planning: &Planning<'_, '_>, wanted: &Wanted<'_>, mine: &[usize], firing: &Firing) -> bool {
    mine.iter()
        .map(|i| &planning.case.planned[*i])
        .any(|p| p.firing == firing.days && p.anchor == wanted.anchor && !may_pass(p.standing))
}

fn add(planning: &mut Planning<'_, '_>, wanted: &Wanted<'_>, firing: i16, due_ms: i64, standing: Standing) {
    let cause = planning.cause;
    planning.add(Planned {
        slot: 0,
        rule: wanted.name.to_owned(),
        thing: wanted.key.clone(),
        firing,
        anchor: wanted.anchor.clone(),
        cycle: 0,
        due_ms,
        useful_until_ms: wanted.useful_until_ms,
        held_until_ms: wanted.held_until_ms,
        changed_by: (cause != wanted.event).then(|| cause.to_owned()),
        event: wanted.event.clone(),
        is_timer: due_ms > planning.ctx.now_ms(),
        standing,
    });
}

/// Live entries of rules with an anchor that no thing of the case wants any longer.
fn take_back_unwanted(planning: &mut Planning<'_, '_>, seen: &HashSet<(String, String)>) {
    for index in 0..planning.case.planned.len() {
        let planned = &planning.case.planned[index];
        let rules = &planning.ctx.service;
        let anchored = rules
            .messaggi
            .get(&planned.rule)
            .map(|m| &m.regola)
            .or_else(|| rules.timer.get(&planned.rule).map(|t| &t.regola))
            .is_some_and(|regola| regola.momento.ancora.is_some());
        let wanted = seen.contains(&(planned.rule.clone(), planned.thing.clone()));
        if anchored && !wanted && planning.is_live(planned) {
            planning.cancel(index, Motivo::Annullato);
        }
    }
}
