//! The doubts of the store, by their message keys.

use shared::domain::case::{Case, Planned};
use shared::domain::catalogue::InDubbio;
use shared::domain::ente::Ente;
use shared::domain::plan::message_key;
use shared::store::inspect::{Inspector, Seen, Shelf, Window};
use shared::store::keys::Member;
use shared::store::progress::RawProgress;

use crate::connect;
use crate::report::Failure;
use crate::setup::Setup;

/// Entries looked at in one script.
const PAGE: u64 = 200;

/// One message in doubt.
pub(super) struct Doubt<'a> {
    pub(super) ente: &'a Ente,
    pub(super) chiave: String,
    pub(super) member: Member,
    pub(super) case: Case,
    pub(super) planned: Planned,
    pub(super) progress: RawProgress,
    pub(super) why: String,
    pub(super) since_ms: i64,
}

impl Doubt<'_> {
    /// What happens to it unless an operator decides.
    pub(super) fn policy(&self) -> InDubbio {
        if self.progress.gives_up() { InDubbio::Expire } else { InDubbio::Hold }
    }

    /// When it is given up, Unix milliseconds, if it is.
    pub(super) fn gives_up_ms(&self) -> Option<i64> {
        self.planned.useful_until_ms.filter(|_| self.progress.gives_up())
    }
}

/// Those of one ente, or of all.
pub(super) async fn doubts<'a>(
    setup: &'a Setup,
    inspector: &Inspector,
    only: Option<&str>,
) -> Result<Vec<Doubt<'a>>, Failure> {
    let enti: Vec<&Ente> = match only {
        Some(id) => vec![setup.ente(id)?],
        None => setup.enti.enti().map(AsRef::as_ref).collect(),
    };
    let mut found = Vec::new();
    for ente in enti {
        let mut window = Window { from_ms: None, until_ms: None, skip: 0, most: PAGE };
        loop {
            let page = inspector.page(&ente.id, Shelf::Doubt, window).await;
            let page = page.map_err(|error| connect::redis_away(&error))?;
            found.extend(page.entries.into_iter().filter_map(|seen| doubt(ente, seen)));
            window.skip += PAGE;
            if window.skip >= page.total {
                break;
            }
        }
    }
    Ok(found)
}

/// None for what is not in doubt any more: it is on its way again, and the shelf forgets it when it ends.
fn doubt(ente: &Ente, seen: Seen) -> Option<Doubt<'_>> {
    let why = seen.progress.doubt()?.to_owned();
    let case = seen.case?;
    let planned = case.planned.iter().find(|planned| planned.slot == seen.member.slot)?.clone();
    let chiave = message_key(&ente.id, &case, &seen.member.case, &planned);
    let Seen { member, at_ms: since_ms, progress, .. } = seen;
    Some(Doubt { ente, chiave, member, case, planned, progress, why, since_ms })
}
