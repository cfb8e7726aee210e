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
    /// Comparisons since all buckets were read.
    partial: u32,
    /// Cases of which the journal knew nothing at the last one: they are asked for again, wherever they are.
    strangers: Vec<CaseId>,
}

impl<P: Publisher> Turn<'_, P> {
    /// On which messages of an ente journal and ledger differ now.
    pub(super) async fn compare(&mut self, ente: &str) -> Result<HashSet<Disagreement>, Ended> {
        let mut found = HashSet::new();
        let mut walk = self.walk(ente);
        let mut known = self.known.remove(ente).filter(|_| !walk.is_whole()).unwrap_or_default();
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
        known.partial = if walk.is_whole() { 0 } else { known.partial + 1 };
        known.strangers = strange.iter().map(|(case, _)| *case).collect();
        self.known.insert(ente.to_owned(), known);
        found.extend(strange);
        Ok(found)
    }

    /// Through all buckets at first and now and then.
    fn walk(&self, ente: &str) -> Walk {
        match self.known.get(ente) {
            Some(known) if known.partial < PARTIAL => Walk::through(&known.occupied),
            _ => Walk::default(),
        }
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
