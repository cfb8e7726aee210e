//! From the journal into the register.

use std::collections::{BTreeMap, HashMap};

use shared::broker::Publisher;
use shared::journal::{Following, Line, Until, entered};
use shared::store::keys::CaseId;
use shared::store::register::{Page, Places};

use super::{Ended, Turn};

/// Lines read before they are entered.
const TOGETHER: usize = 500;
/// Cases entered by one script: some milliseconds.
const CASES: usize = 64;

impl<P: Publisher> Turn<'_, P> {
    /// Reads each strand as far as asked, and enters what it says.
    pub(super) async fn read_on(&mut self, following: &mut Following, until: Until<'_>) -> Result<(), Ended> {
        for strand in 0..Following::STRANDS {
            loop {
                let batch = following.some(strand, TOGETHER, until).await?;
                self.enter(strand, &batch.lines, following.places()).await?;
                self.keep().await?;
                if batch.is_end {
                    break;
                }
            }
        }
        let places = following.places();
        let enti: Vec<String> = self.stands.keys().cloned().collect();
        for ente in enti {
            let read = self.stands.get(&ente).copied().unwrap_or_default().places;
            // One that has read further keeps its place.
            let next = [read[0].max(places[0]), read[1].max(places[1])];
            if next != read {
                self.write(&ente, next, &[]).await?;
            }
        }
        Ok(())
    }

    /// Enters lines of a strand, after which the journal is read up to `places`.
    async fn enter(&mut self, strand: usize, lines: &[(u64, Line)], places: Places) -> Result<(), Ended> {
        let snapshot = self.of.in_force.current();
        let mut found: HashMap<&str, BTreeMap<CaseId, Page>> = HashMap::new();
        for (offset, line) in lines {
            let Some(ente) = snapshot.enti.ente(line.record.ente()) else { continue };
            // An ente that came meanwhile is read from the beginning, in the next turn.
            if self.stands.get(&ente.id).is_none_or(|stand| *offset < stand.places[strand]) {
                continue;
            }
            let pages = found.entry(&ente.id).or_default();
            for page in entered(line, (&snapshot.catalogue, ente, &self.of.hash)) {
                let into = pages.entry(page.case).or_insert_with(|| Page { marks: Vec::new(), ..page });
                into.day = into.day.max(page.day);
                into.marks.extend(page.marks);
            }
        }
        for (ente, pages) in found {
            let mut pages: Vec<Page> = pages.into_values().collect();
            let mut read = self.stands.get(ente).copied().unwrap_or_default().places;
            while pages.len() > CASES {
                let rest = pages.split_off(CASES);
                self.write(ente, read, &pages).await?;
                pages = rest;
            }
            // Only with the last of them the journal counts as read up to there.
            read[strand] = read[strand].max(places[strand]);
            self.write(ente, read, &pages).await?;
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, ente: &str, places: Places, pages: &[Page]) -> Result<(), Ended> {
        let before = self.stands.get(ente).copied().unwrap_or_default();
        let after = before.next(places);
        if !self.register.enter(ente, (before, after), pages).await? {
            return Err(Ended::Reread);
        }
        self.stands.insert(ente.to_owned(), after);
        if let Some(known) = self.known.get_mut(ente) {
            for page in pages {
                known.occupied.note(&page.case);
            }
        }
        Ok(())
    }
}
