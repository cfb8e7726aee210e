//! What the sandbox remembers: who may call and how often, what was sent, which faults are armed.

mod accounts;
mod calls;
mod faults;
mod limiter;
mod store;

pub(crate) use accounts::{Admission, Configuration, Directory, Service};
pub(crate) use calls::Calls;
pub(crate) use faults::{Call, FaultKind, FaultSet, FaultSpec, Operation, RetryAfter, Spoiled};
pub(crate) use store::{Filter, Status, Store, Stored};

use crate::options::Options;
use std::time::Duration;

/// Everything that the handlers share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) directory: Directory,
    pub(crate) store: Store,
    pub(crate) faults: FaultSet,
    pub(crate) calls: Calls,
    /// Time from acceptance to the final status.
    pub(crate) processed_after: Duration,
}

impl State {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            directory: Directory::new(&options.servizi),
            store: Store::new(options.keep),
            faults: FaultSet::default(),
            calls: Calls::default(),
            processed_after: options.processed_after,
        }
    }
}
