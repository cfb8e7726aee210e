//! Reading the facts of a thing: the event that counts, the fields as later changes leave them.

use crate::domain::Fields;
use crate::domain::case::{Case, Fact, Stamp, Thing};
use crate::domain::derive::derive;

use super::Context;

/// The event that a rule hangs on, with the fields as later changes leave them, derived ones included.
pub(super) struct Base<'a> {
    pub(super) tipo: &'a str,
    pub(super) fact: &'a Fact,
    pub(super) fields: Fields,
}

/// The newest fact of a type.
pub(super) fn newest<'a>(thing: &'a Thing, tipo: &str) -> Option<&'a Fact> {
    thing.get(tipo)?.last()
}

/// The newest fact among those types that are no mere changes.
pub(super) fn base<'a>(
    ctx: &Context<'_>,
    thing: &'a Thing,
    types: impl Iterator<Item = &'a str>,
) -> Option<Base<'a>> {
    let (tipo, fact) = types
        .filter(|name| !is_change(ctx, name))
        .filter_map(|name| Some((name, newest(thing, name)?)))
        .max_by(|a, b| a.1.stamp.cmp(&b.1.stamp))?;
    let mut fields = fact.fields.clone();
    for change in changes_after(ctx, thing, &fact.stamp) {
        fields.extend(change.fields.iter().map(|(name, field)| (name.clone(), field.clone())));
    }
    Some(Base { tipo, fact, fields: derived(ctx, tipo, fact, &fields) })
}

/// Whether events of that type change single fields only.
pub(super) fn is_change(ctx: &Context<'_>, tipo: &str) -> bool {
    ctx.service.eventi.get(tipo).is_some_and(|t| t.modifica)
}

/// The changes that happened after a fact, oldest first.
fn changes_after<'a>(ctx: &Context<'_>, thing: &'a Thing, after: &Stamp) -> Vec<&'a Fact> {
    let mut changes: Vec<&Fact> = thing
        .iter()
        .filter(|(tipo, _)| is_change(ctx, tipo))
        .flat_map(|(_, facts)| facts)
        .filter(|fact| fact.stamp > *after)
        .collect();
    changes.sort_by(|a, b| a.stamp.cmp(&b.stamp));
    changes
}

fn derived(ctx: &Context<'_>, tipo: &str, fact: &Fact, fields: &Fields) -> Fields {
    let Some(record) = ctx.service.eventi.get(tipo) else { return fields.clone() };
    let time = chrono::DateTime::from_timestamp_millis(fact.stamp.time_ms).unwrap_or(ctx.now);
    derive(fields, record, time, &ctx.calendar(), &ctx.catalogue.permessi)
}

/// The fields of one fact with its derived ones.
pub(super) fn fields_of(ctx: &Context<'_>, tipo: &str, fact: &Fact) -> Fields {
    derived(ctx, tipo, fact, &fact.fields)
}

/// The fields of a thing as its newest base event and the changes after it leave them; empty if it has
/// none.
pub(super) fn merged_fields(ctx: &Context<'_>, case: &Case, key: &str) -> Fields {
    let Some(thing) = case.things.get(key) else { return Fields::new() };
    base(ctx, thing, thing.keys().map(String::as_str)).map(|base| base.fields).unwrap_or_default()
}
