//! A rule held against the facts of a case: what it hangs on, and what undoes, suspends or suppresses it.

use chrono::NaiveDate;

use crate::domain::Fields;
use crate::domain::case::{Case, Fact, Motivo, Progress, Thing};
use crate::domain::catalogue::{Annullamento, Pianificazione, any_holds, holds};

use super::facts::{Base, base, fields_of, newest};
use super::{Context, Planning};

/// The thing (`cosa`) that a rule's events speak of.
pub(super) fn cosa<'a>(ctx: &Context<'a>, rule: &Pianificazione) -> Option<&'a str> {
    let first = rule.innesco.first()?;
    ctx.service.eventi.get(&first.evento).map(|tipo| tipo.cosa.as_str())
}

/// Whether a thing's key is of that `cosa`.
pub(super) fn is_of(key: &str, cosa: &str) -> bool {
    key.strip_prefix(cosa).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// The newest event among the rule's own, if its conditions hold.
pub(super) fn trigger<'a>(ctx: &Context<'_>, rule: &'a Pianificazione, thing: &'a Thing) -> Option<Base<'a>> {
    let base = base(ctx, thing, rule.innesco.iter().map(|i| i.evento.as_str()))?;
    let innesco = rule.innesco.iter().find(|i| i.evento == base.tipo)?;
    let is_met = holds(&innesco.dove, &base.fields) && !any_holds(&innesco.non_dove, &base.fields);
    is_met.then_some(base)
}

/// What undoes the rule for this thing, with the reason: an event of the case that closes it or that the
/// rule names.
pub(super) fn undone(
    ctx: &Context<'_>,
    case: &Case,
    rule: &Pianificazione,
    key: &str,
    on: &Base<'_>,
) -> Option<Motivo> {
    let named = rule.annullato_da.iter().chain(&ctx.service.scheda.chiude);
    named.filter(|a| counts(ctx, case, a, key, on)).find_map(|a| Motivo::parse(&a.motivo))
}

fn counts(ctx: &Context<'_>, case: &Case, undoing: &Annullamento, key: &str, on: &Base<'_>) -> bool {
    let Some(tipo) = ctx.service.eventi.get(&undoing.evento) else { return false };
    case.things
        .iter()
        // An event of the same kind of thing undoes only what hangs on that very thing.
        .filter(|(other, _)| is_of(other, &tipo.cosa) && (!is_of(key, &tipo.cosa) || *other == key))
        .filter_map(|(_, thing)| newest(thing, &undoing.evento))
        .any(|fact| fact_undoes(ctx, case, undoing, fact, on))
}

fn fact_undoes(ctx: &Context<'_>, case: &Case, undoing: &Annullamento, fact: &Fact, on: &Base<'_>) -> bool {
    let fields = fields_of(ctx, &undoing.evento, fact);
    if !holds(&undoing.dove, &fields) || any_holds(&undoing.non_dove, &fields) {
        return false;
    }
    let in_time = match &undoing.non_prima_di {
        Some([theirs, ours]) => match (date(&fields, theirs), date(&on.fields, ours)) {
            (Some(theirs), Some(ours)) => theirs >= ours,
            _ => fact.stamp > on.fact.stamp,
        },
        None => undoing.anche_prima || fact.stamp > on.fact.stamp,
    };
    in_time && !taken_away(ctx, case, undoing, fact)
}

/// Whether a later event takes the effect of the undoing one away.
fn taken_away(ctx: &Context<'_>, case: &Case, undoing: &Annullamento, fact: &Fact) -> bool {
    undoing.salvo_poi.iter().any(|exception| {
        case.things.values().filter_map(|thing| newest(thing, &exception.evento)).any(|later| {
            later.stamp > fact.stamp && holds(&exception.dove, &fields_of(ctx, &exception.evento, later))
        })
    })
}

fn date(fields: &Fields, name: &str) -> Option<NaiveDate> {
    fields.get(name)?.date()
}

/// The instant (Unix milliseconds) up to which what falls due is skipped.
pub(super) fn held_until(ctx: &Context<'_>, case: &Case, rule: &Pianificazione) -> Option<i64> {
    let hold = rule.sospeso_da.as_ref()?;
    let things = case.things.iter().filter(|(key, _)| is_of(key, &hold.cosa));
    let alive = things.filter_map(|(_, thing)| base(ctx, thing, thing.keys().map(String::as_str)));
    alive
        .filter(|base| hold.eventi.iter().any(|tipo| tipo == base.tipo) && holds(&hold.dove, &base.fields))
        .filter_map(|base| Some(base.fields.get(&hold.fino_a)?.instant()?.timestamp_millis()))
        .max()
}

impl Planning<'_, '_> {
    /// Why the rule is superfluous for this thing, if it is.
    pub(super) fn suppressed(&self, rule: &Pianificazione, key: &str, fields: &Fields) -> Option<Motivo> {
        let why = rule.soppresso_da.as_ref()?;
        let by_fields = !why.dove.is_empty() && holds(&why.dove, fields);
        let by_premium = why.premium_di.as_ref().is_some_and(|notice| self.goes_premium(notice, key));
        (by_fields || by_premium).then(|| Motivo::parse(&why.motivo)).flatten()
    }

    /// Whether the notice of this thing went, or will go, as Premium. It hangs on how it was really sent
    /// (catalogue.md section 1), and before that on the contract.
    fn goes_premium(&self, notice: &str, key: &str) -> bool {
        let contract = self.ctx.ente.premium;
        if contract.promemoria_anche_con_premium {
            return false;
        }
        let last = self
            .case
            .planned
            .iter()
            .rev()
            .find(|p| p.rule == notice && p.thing == key && p.standing.is_armed());
        match last.map(|p| self.progress(p.slot)) {
            Some(Progress::SentStandard) => false,
            Some(Progress::SentAdvanced) => true,
            _ => contract.promemoria,
        }
    }
}

/// Whether the message that this rule follows was past its use already when its event came: then nothing
/// follows it (contract.md 10.21).
pub(super) fn follows_nothing(ctx: &Context<'_>, rule: &Pianificazione, on: &Base<'_>) -> bool {
    let followed = rule.segue.as_ref().and_then(|id| ctx.service.messaggi.get(id));
    followed
        .and_then(|message| super::instants::useful_until(ctx, &message.regola, &on.fields))
        .is_some_and(|end| end < on.fact.taken_ms)
}
