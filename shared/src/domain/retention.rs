//! What of a case is forgotten, and when.
//!
//! A case is *over* once nothing of it is armed, on its way or in doubt. From then on three periods run:
//! first what names a person goes, then the ids of its events, at last the case itself. What stays in
//! between is what the planner needs to judge a late event: which facts there were, when, and their dates.

use std::collections::BTreeMap;
use std::time::Duration;

use super::case::{Case, EventKey, Fact, Things};
use super::catalogue::{TipoCampo, TipoEvento};

/// How long things are kept after a case is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Periods {
    /// Personal data.
    pub payload: Duration,
    /// Ids of events (contract.md 10.5).
    pub dedup: Duration,
    /// The case.
    pub idle_case: Duration,
}

/// What is to become of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Keep,
    /// It becomes this one, and these events are no longer known.
    Shrink(Box<Case>, Vec<EventKey>),
    /// It goes, and so do these events.
    Delete(Vec<EventKey>),
}

/// Decides on a case at `now_ms`. `ended` tells when the message in a slot ended, Unix milliseconds; none
/// while it has not. `eventi` are the event types of the case's service: the fields of others all go.
#[must_use]
pub fn fate(
    case: &Case,
    eventi: &BTreeMap<String, TipoEvento>,
    ended: &dyn Fn(u16) -> Option<i64>,
    (now_ms, periods): (i64, &Periods),
) -> Fate {
    let Some(over_ms) = over_since(case, ended) else { return Fate::Keep };
    let past = |period: Duration| now_ms - over_ms >= i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
    if past(periods.idle_case) {
        return Fate::Delete(case.events.clone());
    }
    let mut after = case.clone();
    if past(periods.payload) {
        shrink(&mut after.things, eventi, |_| true);
    }
    let forgotten = if past(periods.dedup) { std::mem::take(&mut after.events) } else { Vec::new() };
    if after == *case { Fate::Keep } else { Fate::Shrink(Box::new(after), forgotten) }
}

/// The facts of a person without what names anybody, as far as they are older than the period; none if
/// nothing changes.
#[must_use]
pub fn shrunk_facts(
    facts: &Things,
    eventi: &BTreeMap<String, TipoEvento>,
    (now_ms, periods): (i64, &Periods),
) -> Option<Things> {
    let payload_ms = i64::try_from(periods.payload.as_millis()).unwrap_or(i64::MAX);
    let mut after = facts.clone();
    shrink(&mut after, eventi, |fact| now_ms - fact.taken_ms >= payload_ms);
    (after != *facts).then_some(after)
}

/// Since when nothing of the case is open, Unix milliseconds; none while something is.
fn over_since(case: &Case, ended: &dyn Fn(u16) -> Option<i64>) -> Option<i64> {
    let facts = case.things.values().flat_map(BTreeMap::values).flatten();
    let mut since = facts.map(|fact| fact.taken_ms).max().unwrap_or(0);
    for planned in case.planned.iter().filter(|planned| planned.standing.is_armed()) {
        since = since.max(ended(planned.slot)?);
    }
    Some(since)
}

fn shrink(things: &mut Things, eventi: &BTreeMap<String, TipoEvento>, which: impl Fn(&Fact) -> bool) {
    for thing in things.values_mut() {
        for (tipo, facts) in thing {
            for fact in facts.iter_mut().filter(|fact| which(fact)) {
                (fact.recipient, fact.trace) = (None, None);
                let campi = eventi.get(tipo).map_or(&[][..], |tipo| &tipo.campi);
                fact.fields.retain(|nome, _| campi.iter().any(|c| c.nome == *nome && is_kept(c.tipo)));
            }
        }
    }
}

/// Dates, choices and counts tell the planner what was decided; texts, links, codes and documents may name
/// a person and are of use to a message only.
fn is_kept(tipo: TipoCampo) -> bool {
    matches!(
        tipo,
        TipoCampo::Data
            | TipoCampo::Istante
            | TipoCampo::Enum
            | TipoCampo::Bool
            | TipoCampo::Intero
            | TipoCampo::TitoloPermesso
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::{Planned, Stamp, Standing};
    use crate::domain::{Field, FiscalCode, TraceContext};

    const DAY: i64 = 86_400_000;

    fn periods() -> Periods {
        let days = |count: u64| Duration::from_hours(24 * count);
        Periods { payload: days(30), dedup: days(60), idle_case: days(1825) }
    }

    fn eventi() -> BTreeMap<String, TipoEvento> {
        let text = r#"
            tipo = "permesso.registrato"
            descrizione = "Un permesso."
            effetto = "Si arma un promemoria."
            cosa = "permesso"
            campi = [
              { nome = "data_scadenza", tipo = "data" },
              { nome = "cognome", tipo = "testo" },
              { nome = "url_pratica", tipo = "url" },
            ]
        "#;
        let tipo: TipoEvento = toml::from_str(text).unwrap();
        BTreeMap::from([(tipo.tipo.clone(), tipo)])
    }

    fn case() -> Case {
        let fact = Fact {
            stamp: Stamp { time_ms: 0, sequence: None, id: "e1".into() },
            recipient: FiscalCode::parse("RSSMRA85T10A562S").ok(),
            fields: [("data_scadenza", "2027-06-30"), ("cognome", "Rossi"), ("url_pratica", "https://a.it")]
                .map(|(name, text)| (name.to_owned(), Field::Text(text.to_owned())))
                .into(),
            importazione: false,
            taken_ms: DAY,
            trace: TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        };
        let thing = BTreeMap::from([("permesso.registrato".to_owned(), vec![fact])]);
        let planned = Planned {
            slot: 0,
            rule: "permesso-in-scadenza".into(),
            thing: "permesso".into(),
            firing: 30,
            anchor: "2027-06-30".into(),
            cycle: 0,
            due_ms: 5 * DAY,
            useful_until_ms: None,
            held_until_ms: None,
            event: "e1".into(),
            changed_by: None,
            is_timer: true,
            standing: Standing::Armed,
        };
        Case {
            servizio: "permesso-soggiorno".into(),
            pratica: "P1".into(),
            things: Things::from([("permesso".to_owned(), thing)]),
            planned: vec![planned],
            events: vec![[7; 12]],
            persons: vec![[3; 8]],
            ..Case::default()
        }
    }

    fn at(case: &Case, day: i64, ended: Option<i64>) -> Fate {
        fate(case, &eventi(), &|_| ended, (day * DAY, &periods()))
    }

    #[test]
    fn what_is_open_is_kept_however_old() {
        assert_eq!(at(&case(), 9_000, None), Fate::Keep);
    }

    #[test]
    fn after_the_payload_period_nothing_names_a_person_and_the_dates_stay() {
        assert_eq!(at(&case(), 39, Some(10 * DAY)), Fate::Keep);
        let Fate::Shrink(after, forgotten) = at(&case(), 40, Some(10 * DAY)) else { panic!("kept") };
        let fact = &after.things["permesso"]["permesso.registrato"][0];
        assert_eq!((&fact.recipient, fact.trace), (&None, None));
        assert_eq!(fact.fields.keys().collect::<Vec<_>>(), ["data_scadenza"]);
        assert_eq!((after.events.len(), forgotten.len()), (1, 0));
        assert_eq!(at(&after, 41, Some(10 * DAY)), Fate::Keep);
    }

    #[test]
    fn ids_go_after_their_period_and_the_case_after_its_own() {
        let Fate::Shrink(after, forgotten) = at(&case(), 70, Some(10 * DAY)) else { panic!("kept") };
        assert_eq!(forgotten, [[7; 12]]);
        assert!(after.events.is_empty());
        assert_eq!(at(&after, 1_834, Some(10 * DAY)), Fate::Keep);
        assert_eq!(at(&after, 1_835, Some(10 * DAY)), Fate::Delete(vec![]));
    }

    #[test]
    fn a_later_fact_keeps_what_is_over() {
        let mut late = case();
        late.things.values_mut().flat_map(BTreeMap::values_mut).flatten().for_each(|f| f.taken_ms = 30 * DAY);
        assert_eq!(at(&late, 59, Some(10 * DAY)), Fate::Keep);
        assert!(matches!(at(&late, 60, Some(10 * DAY)), Fate::Shrink(..)));
    }

    #[test]
    fn the_facts_of_a_person_age_by_themselves() {
        let facts = case().things;
        assert_eq!(shrunk_facts(&facts, &eventi(), (30 * DAY, &periods())), None);
        let after = shrunk_facts(&facts, &eventi(), (31 * DAY, &periods())).unwrap();
        assert_eq!(after["permesso"]["permesso.registrato"][0].recipient, None);
    }

    #[test]
    fn fields_of_an_event_type_that_is_gone_all_go() {
        let Fate::Shrink(after, _) = fate(&case(), &BTreeMap::new(), &|_| Some(0), (40 * DAY, &periods()))
        else {
            panic!("kept")
        };
        assert!(after.things["permesso"]["permesso.registrato"][0].fields.is_empty());
    }
}
