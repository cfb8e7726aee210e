//! The journal: `journal export`, `rebuild` and `audit`.

mod archive;
mod audit;
mod export;
mod progress;
mod rebuild;
mod source;

pub(crate) use audit::run as audit;
pub(crate) use export::run as export;
pub(crate) use rebuild::run as rebuild;
pub(crate) use source::Source;

use shared::journal::{Comparison, ReplayError, compare, gaps};
use shared::store::inspect::Inspector;
use shared::store::keys::CaseId;
use shared::store::{CaseStore, MemoryBooks, Redis};
use std::collections::BTreeSet;

use crate::connect;
use crate::report::Failure;
use crate::setup::Setup;

/// The enti that were named, else all.
fn enti(setup: &Setup, named: Option<&String>) -> Result<Vec<String>, Failure> {
    match named {
        Some(id) => Ok(vec![setup.ente(id)?.id.clone()]),
        None => Ok(setup.enti.enti().map(|ente| ente.id.clone()).collect()),
    }
}

/// Compares what the journal says with what Redis holds.
async fn against_ledger(redis: &Redis, books: &MemoryBooks, ente: &str) -> Result<Comparison, Failure> {
    let away = |error| connect::redis_away(&error);
    let inspector = Inspector::new(redis.clone());
    let mut cases: BTreeSet<CaseId> = books.cases(ente).into_iter().collect();
    cases.extend(inspector.cases(ente).await.map_err(away)?);
    let cases: Vec<CaseId> = cases.into_iter().collect();
    let ledger = CaseStore::new(redis.clone());
    let mut comparison = compare(ente, (books, &ledger), &cases).await.map_err(away)?;
    comparison.differences.extend(gaps(redis, ente, &cases).await.map_err(away)?);
    Ok(comparison)
}

fn replay_failed(error: &ReplayError) -> Failure {
    match error {
        ReplayError::Store(error) => connect::redis_away(error),
        ReplayError::Take(error) => Failure::Away(format!("Redis: {error}; begin again")),
        ReplayError::Panicked => Failure::fault(error.to_string()),
    }
}
