//! Holding two books against each other, message by message: what the journal says there should be, and
//! what the ledger has.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::case::{Motivo, Planned, Standing};
use crate::domain::plan::message_key;
use crate::store::keys::CaseId;
use crate::store::progress::RawProgress;
use crate::store::{Books, StoreError, Unit};

/// Cases compared in one reading.
const TOGETHER: usize = 100;

/// Messages and office timers by where they stand. `accepted` counts all that were planned; each stands in
/// exactly one place, so it is the sum of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Planned.
    pub accepted: u64,
    /// Sent to IO, or for an office timer told.
    pub sent: u64,
    /// In the schedule or on the way.
    pub pending: u64,
    /// Taken back.
    pub cancelled: u64,
    /// Superfluous: paid, signed, Premium, or switched off.
    pub suppressed: u64,
    /// Not sent for another reason.
    pub discarded: u64,
    /// Refused by IO or given up by an operator.
    pub failed: u64,
    /// Nobody knows whether it was sent.
    pub in_doubt: u64,
    /// Given up after every attempt; it lies in `promemoria.dead`.
    pub dead: u64,
}

/// How a message of one book differs in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The journal has it, the ledger does not.
    Missing,
    /// The ledger has it, the journal does not.
    Extra,
    /// Both wait for it, at other instants.
    Shifted,
    /// It ended in one and not, or otherwise, in the other.
    Progress,
    /// It waits, but in no set of the schedule: nobody would ever send it.
    Unplaced,
    /// An entry of the schedule without its case.
    Orphan,
}

/// One message that differs. Keys only: never a personal datum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// How.
    pub kind: Kind,
    /// Message key; of an entry without a case its key and slot.
    pub chiave: String,
    /// Message type or office timer.
    pub messaggio: String,
    /// Where it stands by the journal.
    pub journal: Option<&'static str>,
    /// Where it stands by the ledger.
    pub ledger: Option<&'static str>,
}

/// An ente's books compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Comparison {
    /// Counted from the journal.
    pub journal: Tally,
    /// Counted from the ledger.
    pub ledger: Tally,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    name: &'static str,
    due_ms: i64,
}

impl Tally {
    fn add(&mut self, place: &str) {
        self.accepted += 1;
        let count = match place {
            "sent" => &mut self.sent,
            "cancelled" => &mut self.cancelled,
            "suppressed" => &mut self.suppressed,
            "discarded" => &mut self.discarded,
            "failed" => &mut self.failed,
            "in-doubt" => &mut self.in_doubt,
            "dead" => &mut self.dead,
            _ => &mut self.pending,
        };
        *count += 1;
    }
}

/// Compares the cases of an ente, which are those that either book has.
pub async fn compare(
    ente: &str,
    (journal, ledger): (&impl Books, &impl Books),
    cases: &[CaseId],
) -> Result<Comparison, StoreError> {
    let mut comparison = Comparison::default();
    for some in cases.chunks(TOGETHER) {
        let should = journal.load(ente, None, some, &[]).await?.units;
        let is = ledger.load(ente, None, some, &[]).await?.units;
        for (should, is) in should.iter().zip(&is) {
            comparison.unit(ente, should, is);
        }
    }
    comparison.differences.sort_by(|a, b| (a.kind, &a.chiave).cmp(&(b.kind, &b.chiave)));
    Ok(comparison)
}

impl Comparison {
    fn unit(&mut self, ente: &str, should: &Unit, is: &Unit) {
        let (should, is) = (places(ente, should), places(ente, is));
        for (chiave, (rule, place)) in &should {
            self.journal.add(place.name);
            self.one(chiave, rule, (Some(*place), is.get(chiave).map(|(_, place)| *place)));
        }
        for (chiave, (rule, place)) in &is {
            self.ledger.add(place.name);
            if !should.contains_key(chiave) {
                self.one(chiave, rule, (None, Some(*place)));
            }
        }
    }

    fn one(&mut self, chiave: &str, rule: &str, (journal, ledger): (Option<Place>, Option<Place>)) {
        let kind = match (journal, ledger) {
            (Some(_), None) => Kind::Missing,
            (None, Some(_)) => Kind::Extra,
            (Some(a), Some(b)) if a.name != b.name => Kind::Progress,
            (Some(a), Some(b)) if a.name == "pending" && a.due_ms != b.due_ms => Kind::Shifted,
            _ => return,
        };
        self.differences.push(Difference {
            kind,
            chiave: chiave.to_owned(),
            messaggio: rule.to_owned(),
            journal: journal.map(|place| place.name),
            ledger: ledger.map(|place| place.name),
        });
    }
}

/// Where each message of a case stands, by its key.
fn places(ente: &str, unit: &Unit) -> BTreeMap<String, (String, Place)> {
    let planned = unit.case.planned.iter().filter(|_| unit.known);
    planned
        .filter_map(|planned| {
            let name = place(planned, &unit.raw_progress(planned.slot))?;
            let key = message_key(ente, &unit.case, &unit.id, planned);
            Some((key, (planned.rule.clone(), Place { name, due_ms: planned.due_ms })))
        })
        .collect()
}

/// Where a planned message stands, in one word; none for one that was past when it was planned.
fn place(planned: &Planned, progress: &RawProgress) -> Option<&'static str> {
    Some(match planned.standing {
        Standing::Missed => return None,
        Standing::Discarded(motivo) => reason(motivo),
        Standing::Armed | Standing::Moved => match progress.ended() {
            Some("annullato") => "cancelled",
            Some("scartato") => progress.detail(0).and_then(Motivo::parse).map_or("discarded", reason),
            Some("fallito") if progress.detail(0) == Some("attempts") => "dead",
            // `perso`: its record was gone when it fell due.
            Some("fallito" | "perso") => "failed",
            Some(_) => "sent",
            None if progress.is_in_doubt() => "in-doubt",
            None => "pending",
        },
    })
}

fn reason(motivo: Motivo) -> &'static str {
    match motivo {
        Motivo::Annullato => "cancelled",
        Motivo::GiaPagato | Motivo::FirmaConIo | Motivo::Premium | Motivo::TipoDisattivato => "suppressed",
        Motivo::DestinatarioNonRaggiungibile | Motivo::ScadenzaPassata | Motivo::Duplicato => "discarded",
    }
}
