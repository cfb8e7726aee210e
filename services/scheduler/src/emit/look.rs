//! Looking at a case again: its plan brought into line with facts that came by another way, or too late.

use std::panic::AssertUnwindSafe;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, TryStreamExt as _};
use shared::broker::Publisher;
use shared::crash_point;
use shared::domain::catalogue::Catalogue;
use shared::domain::ente::Ente;
use shared::store::keys::Kind;
use shared::store::{Claimed, StoreError};
use tracing::warn;

use super::Emitter;

/// A case that changed while it was looked at again is looked at once more after this, milliseconds.
const LOOK_AGAIN_MS: i64 = 200;

/// Cases looked at at once. One after the other, a full claim of messages that come again could outlast its lease on a
/// slow store, and none of them would ever leave.
const AT_ONCE: usize = 32;

impl<P: Publisher> Emitter<P> {
    /// Looks at every case of a claim that needs it: those that are due for it, and those of messages that were emitted
    /// before. While a request may leave, planning does not touch its message, so what came meanwhile counts now; if
    /// the message is taken back here, the fence refuses what is published of it.
    pub(super) async fn look_at_all(
        &self,
        catalogue: &Catalogue,
        ente: &Ente,
        entries: &[Claimed],
    ) -> Result<(), StoreError> {
        let mut looks = FuturesUnordered::new();
        for entry in entries.iter().filter(|entry| needs_look(entry)) {
            if looks.len() == AT_ONCE {
                looks.try_next().await?;
            }
            looks.push(self.look_at(catalogue, ente, entry));
        }
        while looks.try_next().await?.is_some() {}
        Ok(())
    }

    async fn look_at(&self, catalogue: &Catalogue, ente: &Ente, entry: &Claimed) -> Result<(), StoreError> {
        if entry.member.kind == Kind::Replan {
            return self.look_again(catalogue, ente, entry).await;
        }
        self.look(catalogue, ente, entry).await;
        Ok(())
    }

    async fn look_again(
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
    async fn look(&self, catalogue: &Catalogue, ente: &Ente, entry: &Claimed) -> Option<bool> {
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

fn needs_look(entry: &Claimed) -> bool {
    if entry.is_unreadable {
        return false;
    }
    match entry.member.kind {
        Kind::Replan => true,
        Kind::Message => entry.emission > 1 && !entry.progress.is_in_doubt(),
        Kind::Follow => false,
    }
}
