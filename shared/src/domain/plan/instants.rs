//! From a rule and its fields to instants: term, firings, the end of use (rules.md section 1).

use chrono::{Duration, NaiveDate, NaiveTime};

use crate::domain::Fields;
use crate::domain::calendar::add;
use crate::domain::catalogue::Pianificazione;

use super::Context;

/// A permit valid no longer than this has the short ladder (catalogue.md, message 1).
const SHORT_MONTHS: i32 = 6;

/// One firing of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Firing {
    /// Days from the term.
    pub(super) days: i16,
    /// Due instant, Unix milliseconds.
    pub(super) due_ms: i64,
    /// It falls on the present day and the rule goes at once on that day.
    pub(super) today: bool,
}

/// The firings of a rule for a thing, earliest first; none if its anchor is missing or cannot be reckoned.
pub(super) fn firings(ctx: &Context<'_>, name: &str, rule: &Pianificazione, fields: &Fields) -> Vec<Firing> {
    let Some(term) = term(ctx, name, rule, fields) else { return Vec::new() };
    let calendar = ctx.calendar();
    let hour = hour(ctx, name, rule);
    let today = calendar.date(ctx.now);
    let mut firings: Vec<Firing> = ladder(ctx, name, rule, fields)
        .into_iter()
        .filter_map(|days| {
            let day = term.checked_add_signed(Duration::try_days(days)?)?;
            let due_ms = calendar.instant(day, hour).timestamp_millis();
            let today = rule.momento.subito_se_oggi && day == today;
            Some(Firing { days: i16::try_from(days).ok()?, due_ms, today })
        })
        .collect();
    firings.sort_unstable_by_key(|f| f.due_ms);
    firings.dedup_by_key(|f| f.days);
    firings
}

/// The term: the anchor plus months and days, moved off a holiday where the rule says so.
fn term(ctx: &Context<'_>, name: &str, rule: &Pianificazione, fields: &Fields) -> Option<NaiveDate> {
    let moment = &rule.momento;
    let anchor = fields.get(moment.ancora.as_ref()?)?;
    let calendar = ctx.calendar();
    let anchor = anchor.date().or_else(|| Some(calendar.date(anchor.instant()?)))?;
    let choice = ctx.ente.servizi.get(&ctx.service.scheda.id).and_then(|c| c.timer.get(name)?.giorni);
    let given = moment.termine_campo.as_ref().and_then(|field| fields.get(field)?.int());
    let days = given.or(choice).unwrap_or(moment.termine_giorni);
    let term = add(anchor, moment.termine_mesi, days)?;
    Some(if moment.sposta_festivi { calendar.working_day_from(term) } else { term })
}

/// The days from the term at which it fires: the ente's own list, else the rule's.
fn ladder(ctx: &Context<'_>, name: &str, rule: &Pianificazione, fields: &Fields) -> Vec<i64> {
    let choices = ctx.ente.servizi.get(&ctx.service.scheda.id).and_then(|c| c.messaggi.get(name));
    if let Some(choices) = choices {
        let permit = fields.get("tipo_permesso").and_then(crate::domain::Field::text);
        let by_permit = permit.and_then(|code| choices.giorni_prima_per_permesso.get(code));
        if let Some(days) = by_permit.or(choices.giorni_prima.as_ref()) {
            return days.iter().map(|d| -d).collect();
        }
    }
    let short = !rule.momento.scatti_brevi.is_empty() && is_short(fields);
    if short { rule.momento.scatti_brevi.clone() } else { rule.momento.scatti.clone() }
}

/// Whether the permit is valid 6 months or less; one whose start is not known is not (contract.md 10.20).
fn is_short(fields: &Fields) -> bool {
    let date = |name: &str| fields.get(name).and_then(crate::domain::Field::date);
    match (date("data_rilascio"), date("data_scadenza")) {
        (Some(from), Some(to)) => add(from, SHORT_MONTHS, 0).is_some_and(|limit| to <= limit),
        _ => false,
    }
}

fn hour(ctx: &Context<'_>, name: &str, rule: &Pianificazione) -> NaiveTime {
    let choices = ctx.ente.servizi.get(&ctx.service.scheda.id);
    let chosen = choices.and_then(|c| {
        c.messaggi.get(name).and_then(|m| m.ora).or_else(|| c.timer.get(name).and_then(|t| t.ora))
    });
    let default = || NaiveTime::from_hms_opt(9, 0, 0).unwrap_or(NaiveTime::MIN);
    chosen.unwrap_or_else(|| {
        NaiveTime::parse_from_str(&rule.momento.ora, "%H:%M").unwrap_or_else(|_| default())
    })
}

/// The instant (Unix milliseconds) from which the message is of no use: the end of a day, or an instant.
pub(super) fn useful_until(ctx: &Context<'_>, rule: &Pianificazione, fields: &Fields) -> Option<i64> {
    let field = fields.get(rule.momento.utile_fino_a.as_ref()?)?;
    let end = field.date().map(|day| ctx.calendar().end_of_day(day)).or_else(|| field.instant())?;
    Some(end.timestamp_millis())
}

/// What a planned message was reckoned from: the anchor, and the fields that make it a new message when
/// they change.
pub(super) fn anchor(rule: &Pianificazione, fields: &Fields) -> String {
    let moment = &rule.momento;
    let names = moment.ancora.iter().chain(&moment.nuovo_se_cambia);
    let values: Vec<&str> =
        names.filter_map(|name| fields.get(name)).filter_map(crate::domain::Field::text).collect();
    values.join("|")
}
