//! The port by which a message that cannot be written ends.

use std::future::Future;

use shared::domain::FiscalCode;
use shared::store::StoreError;
use shared::wire::MessageRef;

/// Ends messages as failed.
pub trait FailureSink: Clone + Send + Sync + 'static {
    /// Makes the message final and tells its ente `messaggio.fallito` with this code. Returns after both
    /// are safe; again for the same emission it has the same effect and answer.
    ///
    /// False if this emission no longer counts (cancelled, superseded, ended otherwise), or was written before and may
    /// have left: nothing is told.
    fn fail(
        &self,
        message: &MessageRef,
        recipient: &FiscalCode,
        code: &str,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}
