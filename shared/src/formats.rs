//! The formats that two releases share while one replaces the other: bodies of the queues, lines of the
//! journal, records of the store. This is the one table of their versions; `docs/upgrades.md` shows it and
//! says how a format changes.
//!
//! A build reads the version that it writes and the one before. What it does not read it leaves alone: a
//! body goes back to the schedule by its lease, a store keeps the older build out.

use crate::other_release;

/// One format.
#[derive(Debug, PartialEq, Eq)]
pub struct Format {
    /// Its name in the log, in `promemoria doctor` and in `docs/upgrades.md`.
    pub name: &'static str,
    /// What has this format.
    pub of: &'static str,
    /// The version that this build writes.
    written: u8,
    /// The newest version that it reads: one more than it writes, in the release before a change.
    newest: u8,
}

/// A render request, scheduler to renderer.
pub static RENDER: Format =
    Format { name: "render", of: "bodies of `promemoria.render`", written: 1, newest: 1 };
/// A dispatch request, renderer to dispatcher.
pub static DISPATCH: Format =
    Format { name: "dispatch", of: "bodies of `promemoria.dispatch`", written: 1, newest: 1 };
/// A status request, scheduler to dispatcher.
pub static FOLLOW: Format =
    Format { name: "follow", of: "bodies of `promemoria.follow`", written: 1, newest: 1 };
/// An intent, dispatcher to whoever rebuilds.
pub static INTENT: Format =
    Format { name: "intent", of: "lines of `promemoria.journal.intents`", written: 1, newest: 1 };
/// Redis: records of cases and persons, progress, keys and members.
pub static STORE: Format =
    Format { name: "store", of: "Redis: records, progress, keys", written: 1, newest: 1 };

/// All of them.
pub static FORMATS: [&Format; 5] = [&RENDER, &DISPATCH, &FOLLOW, &INTENT, &STORE];

/// A version that this build does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{format} format {found}: this build reads {oldest} to {newest}")]
pub struct Foreign {
    /// Name of the format.
    pub format: &'static str,
    /// The version that was met.
    pub found: u64,
    /// The oldest that this build reads.
    pub oldest: u8,
    /// The newest.
    pub newest: u8,
}

impl Format {
    /// The version that this build writes.
    #[must_use]
    pub fn written(&self) -> u8 {
        other_release::shifted(self.written)
    }

    /// The oldest version that it reads: the one before the version it writes. Nothing has version 0 but what
    /// tests write.
    #[must_use]
    pub fn oldest(&self) -> u8 {
        self.written().saturating_sub(1)
    }

    /// The newest version that it reads.
    #[must_use]
    pub fn newest(&self) -> u8 {
        other_release::shifted(self.newest)
    }

    /// The same of a store, which says its newest version only: an old one is none.
    ///
    /// # Errors
    /// A later release wrote it.
    pub fn check_newest(&self, found: u64) -> Result<(), Foreign> {
        self.check(found.max(u64::from(self.oldest())))
    }

    /// Whether this build reads a version.
    ///
    /// # Errors
    /// It does not: the two versions by name.
    pub fn check(&self, found: u64) -> Result<(), Foreign> {
        let (oldest, newest) = (self.oldest(), self.newest());
        if (u64::from(oldest)..=u64::from(newest)).contains(&found) {
            return Ok(());
        }
        Err(Foreign { format: self.name, found, oldest, newest })
    }
}

/// The table of `docs/upgrades.md`.
#[must_use]
pub fn table() -> String {
    let mut rows =
        vec!["| format | of | written | read |".to_owned(), "| --- | --- | --- | --- |".to_owned()];
    for format in FORMATS {
        let read = match (format.written.saturating_sub(1).max(1), format.newest) {
            (oldest, newest) if oldest == newest => oldest.to_string(),
            (oldest, newest) => format!("{oldest} to {newest}"),
        };
        rows.push(format!("| `{}` | {} | {} | {read} |", format.name, format.of, format.written));
    }
    rows.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_reads_its_own_version_and_the_one_before() {
        let format = Format { name: "x", of: "", written: 4, newest: 4 };
        for (found, is_read) in [(2, false), (3, true), (4, true), (5, false), (300, false)] {
            assert_eq!(format.check(found).is_ok(), is_read, "{found}");
        }
        let told = format.check(5).map_err(|foreign| foreign.to_string());
        assert_eq!(told, Err("x format 5: this build reads 3 to 4".to_owned()));
    }

    #[test]
    fn the_release_before_a_change_reads_the_next_version_and_writes_its_own() {
        let format = Format { name: "x", of: "", written: 4, newest: 5 };
        assert_eq!((format.written(), format.check(5)), (4, Ok(())));
    }

    #[test]
    fn the_page_shows_this_table() {
        let page = include_str!("../../docs/upgrades.md");
        assert!(page.contains(&table()), "docs/upgrades.md must hold this table:\n{}", table());
    }
}
