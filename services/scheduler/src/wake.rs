//! Telling the emission loops that an ente may have due work.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The enti that may have due work now.
#[derive(Clone, Default)]
pub(crate) struct Wake {
    enti: Arc<Mutex<HashSet<String>>>,
    bell: Arc<Notify>,
}

impl Wake {
    /// Says that an ente may have due work.
    pub(crate) fn ente(&self, id: &str) {
        let mut enti = self.enti.lock().unwrap_or_else(PoisonError::into_inner);
        if !enti.contains(id) {
            enti.insert(id.to_owned());
        }
        self.bell.notify_one();
    }

    /// Waits until some ente may have due work.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// The enti named since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.enti.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}
