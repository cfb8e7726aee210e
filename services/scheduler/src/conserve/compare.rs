//! The register held against the cases.

use std::collections::HashSet;
use std::time::Duration;

use shared::broker::Publisher;
use shared::journal::{Disagreement, WHOLE_CASE, day_of, disagreements, waiting};
use shared::store::keys::CaseId;
use shared::store::register::{Occupied, Page, Walk};
use tokio::time::Instant;

use super::{Ended, Turn};

/// Cases loaded by one script.
const TOGETHER: usize = 100;
/// So many comparisons in a row read only the buckets that have pages; the next reads all, and finds cases of
/// which the journal knows nothing. With the usual minute between two that is once an hour.
const PARTIAL: u32 = 59;
/// For each second of work so many of rest: a comparison takes a fifth of one connection at most.
const REST: u32 = 4;

/// What a turn knows of an ente's register, which nobody else writes meanwhile.
#[derive(Default)]
pub(super) struct Known {
    /// Where it has pages.
    pub(super) occupied: Occupied,
    /// Comparisons until all buckets are read again; none at first.
    partial: u32,
    /// Cases of which the journal knew nothing at the last one: they are asked for again, wherever they are.
    strangers: Vec<CaseId>,
}

impl Known {
    /// The walk of the next comparison: through all buckets at first and now and then, with nothing known before.
    fn begin(&mut self) -> Walk {
        if let Some(partial) = self.partial.checked_sub(1) {
            self.partial = partial;
            return Walk::through(&self.occupied);
        }
        *self = Self { partial: PARTIAL, ..Self::default() };
        Walk::default()
    }
}

impl<P: Publisher> Turn<'_, P> {
    /// On which messages of an ente journal and ledger differ now.
    pub(super) async fn compare(&mut self, ente: &str) -> Result<HashSet<Disagreement>, Ended> {
        let mut found = HashSet::new();
        let mut known = self.known.remove(ente).unwrap_or_default();
        let mut walk = known.begin();
        let mut strange = HashSet::new();
        for some in known.strangers.chunks(TOGETHER) {
            strange.extend(self.strangers(ente, some).await?);
        }
        loop {
            let begun = Instant::now();
            let Some(listed) = self.register.list(ente, &mut walk).await? else { break };
            for page in &listed.pages {
                known.occupied.note(&page.case);
            }
            for some in listed.pages.chunks(TOGETHER) {
                found.extend(self.pages(ente, some, listed.now_ms).await?);
            }
            for some in listed.linked.chunks(TOGETHER) {
                strange.extend(self.strangers(ente, some).await?);
            }
            self.keep().await?;
            tokio::time::sleep(begun.elapsed().saturating_mul(REST).min(Duration::from_secs(1))).await;
        }
        known.strangers = strange.iter().map(|(case, _)| *case).collect();
        self.known.insert(ente.to_owned(), known);
        found.extend(strange);
        Ok(found)
    }

    async fn pages(&self, ente: &str, pages: &[Page], now_ms: i64) -> Result<HashSet<Disagreement>, Ended> {
        let ids: Vec<CaseId> = pages.iter().map(|page| page.case).collect();
        let units = self.of.store.load(ente, None, &ids, &[]).await?.units;
        let members: Vec<_> = units.iter().flat_map(waiting).collect();
        let unplaced = self.schedule.unplaced(ente, &members).await?;
        let mut found = HashSet::new();
        for (page, unit) in pages.iter().zip(&units) {
            if !unit.known && self.is_past(page, now_ms) {
                // The journal was read again after retention had taken the case.
                self.register.forget(ente, &page.case).await?;
            } else {
                found.extend(disagreements(ente, page, unit, &unplaced));
            }
        }
        Ok(found)
    }

    /// Cases of which the journal knows nothing.
    async fn strangers(&self, ente: &str, linked: &[CaseId]) -> Result<HashSet<Disagreement>, Ended> {
        let strangers = self.register.strangers(ente, linked).await?;
        if strangers.is_empty() {
            return Ok(HashSet::new());
        }
        let units = self.of.store.load(ente, None, &strangers, &[]).await?.units;
        Ok(units.iter().filter(|unit| unit.known).map(|unit| (unit.id, WHOLE_CASE)).collect())
    }

    /// Whether retention may have taken a case of which the journal last told so long ago.
    fn is_past(&self, page: &Page, now_ms: i64) -> bool {
        let days = self.of.idle_case.as_secs() / (24 * 3600);
        u64::from(day_of(now_ms).saturating_sub(page.day)) >= days
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, PARTIAL};

    #[test]
    fn the_first_walk_and_each_sixtieth_pass_all_buckets_and_forget_what_was_known() {
        let mut known = Known::default();
        for _ in 0..3 {
            known.strangers.push([7; 12]);
            assert!(known.begin().is_whole());
            assert!(known.strangers.is_empty(), "the walk finds again who is a stranger still");
            known.strangers.push([7; 12]);
            for _ in 0..PARTIAL {
                assert!(!known.begin().is_whole());
                assert_eq!(known.strangers.len(), 1, "no other walk looks where strangers are");
            }
        }
    }
}
