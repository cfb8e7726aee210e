//! The enti and the catalogue in force, taken together.

use std::sync::Arc;

use shared::domain::catalogue::Catalogue;
use shared::settings::{Live, Registry};

/// What events are checked and planned with, at one moment.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) enti: Arc<Registry>,
}

/// Gives out snapshots.
#[derive(Clone)]
pub(crate) struct InForce {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) live: Arc<Live>,
}

impl InForce {
    /// What is in force now.
    pub(crate) fn current(&self) -> Snapshot {
        Snapshot { catalogue: Arc::clone(&self.catalogue), enti: self.live.current() }
    }
}
