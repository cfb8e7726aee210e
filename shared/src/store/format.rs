//! The format of what an ente's part of the store holds.
//!
//! The first commit of a release that writes a newer format raises it, in the same script. From then on the
//! scripts give an older build nothing, so that it neither plans nor emits; and it does not start.

use super::{Redis, StoreError};
use crate::formats::STORE;

impl Redis {
    /// The format of an ente's part of the store; 0 where nothing was committed yet.
    pub async fn format(&self, ente: &str) -> Result<u64, StoreError> {
        let mut connection = self.connection();
        let key = format!("{}format", self.ente(ente));
        let format: Option<u64> = ::redis::cmd("GET")
            .arg(key)
            .query_async(&mut connection)
            .await
            .map_err(StoreError::from_redis)?;
        Ok(format.unwrap_or(0))
    }

    /// Whether this build reads what is stored of an ente.
    ///
    /// # Errors
    /// [`StoreError::Foreign`] where a later release wrote there, or the store failed.
    pub async fn check_format(&self, ente: &str) -> Result<(), StoreError> {
        Ok(STORE.check_newest(self.format(ente).await?)?)
    }
}
