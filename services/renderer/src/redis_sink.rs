//! Ending a message that cannot be written: in the store, and in the ente's outcomes.

use std::borrow::Cow;

use shared::broker::Publisher;
use shared::domain::FiscalCode;
use shared::outbox::Outbox;
use shared::store::ledger::{Ledger, Settled, Settlement};
use shared::store::{RedisLedger, StoreError};
use shared::wire::{MessageRef, Outcome, RecipientHash};

use crate::sink::FailureSink;

/// The sink on the fleet's ledger.
#[derive(Clone)]
pub(crate) struct RedisSink<P> {
    pub(crate) ledger: RedisLedger,
    pub(crate) outbox: Outbox<P>,
    pub(crate) hash: RecipientHash,
}

impl<P: Publisher> FailureSink for RedisSink<P> {
    async fn fail(
        &self,
        message: &MessageRef,
        recipient: &FiscalCode,
        code: &str,
    ) -> Result<bool, StoreError> {
        let settlement = Settlement::Failed { codice: Cow::Owned(code.to_owned()) };
        // A delivery that comes again may have been written the first time, and be leaving at this moment.
        let recorded = self.ledger.turn_back(message, &settlement).await?;
        if recorded != Settled::Recorded {
            return Ok(false);
        }
        let outcome = Outcome::of_message("messaggio.fallito", message)
            .with("codice", code)
            .with("destinatario", self.hash.of(recipient));
        if self.outbox.tell(vec![outcome]).await {
            Ok(true)
        } else {
            // Recorded, yet not told: asked again, the ledger answers the same and it is told then.
            Err(StoreError::Unavailable("the outcome was not confirmed".into()))
        }
    }
}
