//! The enti in force, exchanged whole while the fleet runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tracing::{error, info};

use super::enti::{self, Enti, Loaded};
use crate::domain::Fault;
use crate::domain::ente::Ente;

/// Finds what is wrong with an ente beyond its own file: unknown messages, missing variables.
pub type Validator = Arc<dyn Fn(&Ente) -> Vec<Fault> + Send + Sync>;

/// The enti in force at one moment. An ente whose file did not change keeps its `Arc`.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    loaded: BTreeMap<String, Loaded>,
}

impl Registry {
    /// The ente of that id.
    #[must_use]
    pub fn ente(&self, id: &str) -> Option<&Arc<Ente>> {
        self.loaded.get(id).map(|loaded| &loaded.ente)
    }

    /// All enti, by id.
    pub fn enti(&self) -> impl Iterator<Item = &Arc<Ente>> {
        self.loaded.values().map(|loaded| &loaded.ente)
    }

    /// Folders of the keys and texts that the enti name.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.loaded.values().flat_map(|loaded| loaded.folders.iter().map(PathBuf::as_path))
    }
}

/// The handle to the enti in force.
pub struct Live {
    pub(super) folder: PathBuf,
    validator: Validator,
    current: watch::Sender<Arc<Registry>>,
    reloading: Mutex<()>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Live {
    /// Reads the folder for the first time.
    ///
    /// # Errors
    ///
    /// Every fault of every file: a process must not start with any.
    pub fn load(folder: &Path, validator: Validator) -> Result<Self, Vec<Fault>> {
        let read = Enti::read(folder, &validator);
        if !read.faults.is_empty() {
            return Err(read.faults);
        }
        let current = watch::Sender::new(Arc::new(Registry { loaded: read.taken }));
        Ok(Self { folder: folder.to_owned(), validator, current, reloading: Mutex::new(()) })
    }

    /// The enti in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Registry> {
        Arc::clone(&self.current.borrow())
    }

    /// Tells of every exchange.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Registry>> {
        self.current.subscribe()
    }

    /// Reads the folder again. A file with faults is refused whole and its ente stays as it was; the
    /// other files are taken, those that are gone too. Returns the faults, which are logged.
    pub fn reload(&self) -> Vec<Fault> {
        let _turn = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current();
        let mut read = Enti::read(&self.folder, &self.validator);
        if !self.folder.is_dir() {
            log_faults(&read.faults);
            return read.faults; // the folder is gone: nothing is taken from that
        }
        for id in std::mem::take(&mut read.refused) {
            keep_old(&mut read.taken, &old, &id);
        }
        for (id, loaded) in &mut read.taken {
            if let Some(same) = old.loaded.get(id).filter(|before| before.digest == loaded.digest) {
                loaded.ente = Arc::clone(&same.ente);
            }
        }
        self.settle_accounts(&mut read, &old);
        let changed = changes(&old.loaded, &read.taken);
        if changed > 0 {
            self.current.send_replace(Arc::new(Registry { loaded: read.taken }));
        }
        info!(enti = self.current().loaded.len(), changed, faults = read.faults.len(), "enti read again");
        log_faults(&read.faults);
        read.faults
    }

    /// Puts changed enti back until those that share an account agree. Ends, since the old ones did.
    fn settle_accounts(&self, read: &mut Enti, old: &Registry) {
        loop {
            let at_odds = enti::disagreeing(&read.taken);
            let changed: Vec<String> =
                at_odds.into_iter().filter(|id| !is_same(old.loaded.get(id), read.taken.get(id))).collect();
            if changed.is_empty() {
                return;
            }
            for id in changed {
                let fault = enti::disagreement(&self.folder, &id);
                if !read.faults.contains(&fault) {
                    read.faults.push(fault);
                }
                keep_old(&mut read.taken, old, &id);
            }
        }
    }
}

fn keep_old(taken: &mut BTreeMap<String, Loaded>, old: &Registry, id: &str) {
    match old.loaded.get(id) {
        Some(before) => drop(taken.insert(id.to_owned(), before.clone())),
        None => drop(taken.remove(id)),
    }
}

fn is_same(before: Option<&Loaded>, after: Option<&Loaded>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => Arc::ptr_eq(&before.ente, &after.ente),
        (None, None) => true,
        _ => false,
    }
}

/// How many enti were added, changed or removed.
fn changes(before: &BTreeMap<String, Loaded>, after: &BTreeMap<String, Loaded>) -> usize {
    let gone = before.keys().filter(|id| !after.contains_key(*id)).count();
    gone + after.iter().filter(|(id, loaded)| !is_same(before.get(*id), Some(loaded))).count()
}

fn log_faults(faults: &[Fault]) {
    for fault in faults {
        error!(
            file = fault.file,
            key = fault.key,
            reason = fault.reason,
            "ente file refused, the old one stays"
        );
    }
}
