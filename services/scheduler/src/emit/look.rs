//! Looking at a case again: its plan brought into line with facts that came by another way, or too late.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use shared::broker::Publisher;
use shared::crash_point;
use shared::domain::catalogue::Catalogue;
use shared::domain::ente::Ente;
use shared::store::{Claimed, StoreError};
use tracing::warn;

use super::Emitter;

/// A case that changed while it was looked at again is looked at once more after this, milliseconds.
const LOOK_AGAIN_MS: i64 = 200;

impl<P: Publisher> Emitter<P> {
    pub(super) async fn look_again(
        &self,
        catalogue: &Catalogue,
        ente: &Ente,
        entry: &Claimed,
    ) -> Result<(), StoreError> {
        match self.look(catalogue, ente, entry).await {
            Some(true) => drop(self.store().done(&ente.id, entry).await?),
            Some(false) => drop(self.store().put_back(&ente.id, entry, LOOK_AGAIN_MS).await?),
            // Its lease brings it back.
            None => {}
        }
        Ok(())
    }

    /// Brings a case's plan into line with its facts, and tells what changed: false if that was not possible now,
    /// none if nothing was.
    pub(super) async fn look(&self, catalogue: &Catalogue, ente: &Ente, entry: &Claimed) -> Option<bool> {
        let persons = entry.case.as_ref().map(|case| case.persons.clone()).unwrap_or_default();
        let looked = self.taker.look_again(catalogue, ente, (entry.member.case, &persons), None);
        // A panic is this case's, and not the end of all emission: its lease brings it back.
        match AssertUnwindSafe(looked).catch_unwind().await.ok()? {
            Ok(told) => {
                crash_point!("look-again.committed");
                Some(match told {
                    Some(told) => self.outbox.tell(told).await,
                    None => false,
                })
            }
            Err(failure) => {
                warn!(ente = %ente.id, error = %failure, "a case could not be looked at again");
                None
            }
        }
    }
}
