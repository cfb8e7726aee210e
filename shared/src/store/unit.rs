//! A case as it was loaded.

use std::collections::HashMap;

use super::StoreError;
use super::keys::CaseId;
use super::progress::RawProgress;
use super::stored::read_case;
use crate::domain::case::{Case, Progress};

/// A case as it was loaded: what is in it, and what a commit compares it with.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Its key.
    pub id: CaseId,
    /// Its content; empty if it is new.
    pub case: Case,
    /// Whether the store had it.
    pub known: bool,
    pub(super) revision: String,
    pub(super) progress: HashMap<u16, RawProgress>,
}

impl Unit {
    /// A case that is there, with the progress of its messages by slot.
    #[cfg(test)]
    pub(crate) fn with_progress(
        id: CaseId,
        case: Case,
        progress: impl IntoIterator<Item = (u16, RawProgress)>,
    ) -> Self {
        Self { id, case, known: true, revision: String::new(), progress: progress.into_iter().collect() }
    }

    /// A case that the store does not have.
    #[cfg(test)]
    pub(super) fn new(id: CaseId) -> Self {
        Self { id, case: Case::default(), known: false, revision: String::new(), progress: HashMap::new() }
    }

    /// How far a message of the case has come.
    #[must_use]
    pub fn progress(&self, slot: u16) -> Progress {
        self.progress.get(&slot).map_or(Progress::Pending, RawProgress::progress)
    }

    /// The same as the store writes it.
    #[must_use]
    pub fn raw_progress(&self, slot: u16) -> RawProgress {
        self.progress.get(&slot).cloned().unwrap_or_default()
    }
}

pub(super) fn unit(id: CaseId, blob: Option<Vec<u8>>, progress: &[Vec<u8>]) -> Result<Unit, StoreError> {
    let mut known = HashMap::new();
    for pair in progress.chunks_exact(2) {
        let [high, low] = pair[0][..] else { continue };
        let text = String::from_utf8_lossy(&pair[1]).into_owned();
        known.insert(u16::from_be_bytes([high, low]), RawProgress(text));
    }
    let (revision, case, is_known) = match blob {
        Some(blob) => {
            let (revision, case) = read_case(&blob)?;
            (revision, case, true)
        }
        None => (String::new(), Case::default(), false),
    };
    Ok(Unit { id, case, known: is_known, revision, progress: known })
}
