//! What a line of the journal enters into the register, and whether the ledger agrees with a page of it.
//! Pure.
//!
//! The journal hears of a message when it is announced, or when it ends: one that goes at once is heard of at
//! its end. A page is held against the ledger without planning anything again, so what planning decided by
//! the settings of a rebuild is taken as it stands.

use std::collections::HashSet;

use super::line::{Became, Entry, Line, Told};
use crate::arrival::Arrival;
use crate::domain::catalogue::{Catalogue, Pianificazione};
use crate::domain::ente::Ente;
use crate::domain::event::CaseEvent;
use crate::domain::plan::{case_id, message_key};
use crate::store::Unit;
use crate::store::keys::{CaseId, Kind, Member};
use crate::store::progress::RawProgress;
use crate::store::register::{Mark, Name, Page};
use crate::wire::RecipientHash;

/// A day, milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

/// A message on which journal and ledger differ; [`WHOLE_CASE`] for a case of which one knows nothing.
pub type Disagreement = (CaseId, Name);

/// In place of a message's name: the case itself.
pub const WHOLE_CASE: Name = [0; 4];

/// The pages that a line adds to. `ente` is the line's.
#[must_use]
pub fn entered(line: &Line, (catalogue, ente, hash): (&Catalogue, &Ente, &RecipientHash)) -> Vec<Page> {
    let page = |case, marks| Page { case, day: day_of(line.at_ms), marks };
    // What IO says of a sent message comes days later: the page must not look younger than its case.
    let late = |page| Page { day: 0, ..page };
    match &line.entry {
        Entry::Taken => {
            let cases = cases_of(line, (catalogue, ente, hash));
            cases.into_iter().map(|case| page(case, Vec::new())).collect()
        }
        Entry::Told(told) => {
            let mark = name_of(&told.chiave).map(|name| (name, mark_of(&told.what)));
            let case = case_of(told, catalogue);
            let page = mark.zip(case).map(|(mark, case)| page(case, vec![mark]));
            let is_late = matches!(told.what, Became::Delivered(_) | Became::Rejected(_));
            page.map(|page| if is_late { late(page) } else { page }).into_iter().collect()
        }
        Entry::Intent(_) | Entry::Nothing => Vec::new(),
    }
}

/// The day of an instant, since 1970.
#[must_use]
pub fn day_of(at_ms: i64) -> u16 {
    u16::try_from(at_ms / DAY_MS).unwrap_or(u16::MAX)
}

/// The cases that an event makes, unless today's catalogue refuses it.
fn cases_of(line: &Line, (catalogue, ente, hash): (&Catalogue, &Ente, &RecipientHash)) -> Vec<CaseId> {
    let known = |id: &str| (id == ente.id).then_some(ente);
    let body = line.record.body.as_bytes();
    let Ok(event) = CaseEvent::parse(body, None, &line.record.key, catalogue, known) else {
        return Vec::new();
    };
    let Some(arrival) = Arrival::new(&event, catalogue, ente, hash) else { return Vec::new() };
    let touches = arrival.touches();
    touches.iter().filter(|touch| !touch.only_if_known).map(|touch| touch.id).collect()
}

/// The case of a message: a list event's are in their recipient's share.
fn case_of(told: &Told, catalogue: &Catalogue) -> Option<CaseId> {
    let service = catalogue.servizio(&told.servizio)?;
    let of_list = |rule: &Pianificazione| {
        rule.innesco.iter().any(|it| service.eventi.get(&it.evento).is_some_and(|tipo| tipo.lista))
    };
    let message = service.messaggi.get(&told.rule).map(|message| &message.regola);
    let rule = message.or_else(|| service.timer.get(&told.rule).map(|timer| &timer.regola))?;
    let share = if of_list(rule) { Some(told.destinatario.as_deref()?) } else { None };
    Some(case_id(&told.servizio, &told.pratica, share))
}

fn mark_of(what: &Became) -> Mark {
    match what {
        Became::Planned { .. } | Became::Doubtful { .. } => Mark::Open,
        Became::Sent { .. }
        | Became::Assumed { .. }
        | Became::Delivered(_)
        | Became::Rejected(_)
        | Became::Matured => Mark::Sent,
        Became::Discarded(_) | Became::Failed(_) => Mark::NotSent,
    }
}

/// The first bytes of a message's key.
fn name_of(chiave: &str) -> Option<Name> {
    u32::from_str_radix(chiave.get(..8)?, 16).ok().map(u32::to_be_bytes)
}

/// The messages of a case that wait for something: each must be in a set of the schedule.
#[must_use]
pub fn waiting(unit: &Unit) -> Vec<Member> {
    let open = unit.case.planned.iter().filter(|planned| {
        unit.known && planned.standing.is_armed() && unit.raw_progress(planned.slot).ended().is_none()
    });
    open.map(|planned| Member { case: unit.id, slot: planned.slot, kind: Kind::Message }).collect()
}

/// On which messages the ledger differs from a page. `unplaced` are those of [`waiting`] that are in no set.
#[must_use]
pub fn disagreements(ente: &str, page: &Page, unit: &Unit, unplaced: &[Member]) -> HashSet<Disagreement> {
    if !unit.known {
        let all = page.marks.iter().map(|(name, _)| *name);
        return all
            .chain(page.marks.is_empty().then_some(WHOLE_CASE))
            .map(|name| (page.case, name))
            .collect();
    }
    let mut found = HashSet::new();
    let mut named = HashSet::new();
    for planned in &unit.case.planned {
        let Some(name) = name_of(&message_key(ente, &unit.case, &unit.id, planned)) else { continue };
        named.insert(name);
        let told = page.marks.iter().find(|(of, _)| *of == name).map(|(_, mark)| *mark);
        let stands = stands(&unit.raw_progress(planned.slot));
        let agrees = match told {
            // What planning took back, it took back by the settings that it has now.
            _ if !planned.standing.is_armed() => true,
            Some(told) => told == stands,
            None => stands == Mark::Open,
        };
        let is_placed = !unplaced.iter().any(|member| member.case == unit.id && member.slot == planned.slot);
        if !(agrees && is_placed) {
            found.insert((unit.id, name));
        }
    }
    // A case that is revised very often forgets what ended long ago.
    let lost = page.marks.iter().filter(|(name, mark)| *mark == Mark::Open && !named.contains(name));
    found.extend(lost.map(|(name, _)| (unit.id, *name)));
    found
}

/// Where a message stands by the ledger.
fn stands(progress: &RawProgress) -> Mark {
    match progress.ended() {
        None => Mark::Open,
        Some("inviato" | "consegnato" | "rifiutato" | "maturata") => Mark::Sent,
        Some(_) => Mark::NotSent,
    }
}

#[cfg(test)]
mod tests;
