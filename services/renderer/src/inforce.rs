//! What messages are written with at one moment.

use std::sync::Arc;

use shared::domain::catalogue::Catalogue;
use shared::domain::render::{TextFault, Texts};
use shared::settings::{Live, Registry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

/// Catalogue, enti and the texts compiled from both.
pub struct InForce {
    /// The catalogue.
    pub catalogue: Arc<Catalogue>,
    /// The enti.
    pub enti: Arc<Registry>,
    /// Their texts.
    pub texts: Texts,
}

impl InForce {
    /// Compiles the texts of the enti.
    ///
    /// # Errors
    /// Every text with a fault.
    pub fn compile(catalogue: Arc<Catalogue>, enti: Arc<Registry>) -> Result<Self, Vec<TextFault>> {
        let texts = Texts::compile(&catalogue, enti.enti().map(AsRef::as_ref))?;
        Ok(Self { catalogue, enti, texts })
    }
}

/// Compiles the texts again whenever the enti change; ends with `stop`.
pub async fn follow(live: Arc<Live>, in_force: watch::Sender<Arc<InForce>>, stop: CancellationToken) {
    let mut changes = live.subscribe();
    while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
        let enti = Arc::clone(&changes.borrow_and_update());
        let catalogue = Arc::clone(&in_force.borrow().catalogue);
        match InForce::compile(catalogue, enti) {
            Ok(new) => drop(in_force.send_replace(Arc::new(new))),
            // The validator refuses such files one by one: this is for what it may not see.
            Err(faults) => error!(faults = faults.len(), "texts do not compile, the old ones stay"),
        }
    }
}
