//! Label values that the enti in force and the catalogue give beforehand.

use crate::domain::catalogue::Catalogue;
use crate::settings;

/// Label values that are known beforehand.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The enti.
    pub enti: Vec<KnownEnte>,
}

/// What is known of one ente.
#[derive(Debug, Clone, Default)]
pub struct KnownEnte {
    /// Its id.
    pub id: String,
    /// Its IO account.
    pub account: String,
    /// Event types of its services.
    pub tipi: Vec<String>,
    /// Message types of its services.
    pub messaggi: Vec<String>,
    /// Office timers of its services.
    pub timer: Vec<String>,
}

impl Known {
    /// The values that the enti in force and the catalogue give.
    #[must_use]
    pub fn of(registry: &settings::Registry, catalogue: &Catalogue) -> Self {
        let enti = registry.enti().map(|ente| {
            let mut known =
                KnownEnte { id: ente.id.clone(), account: ente.io.account.clone(), ..KnownEnte::default() };
            for service in ente.servizi.keys().filter_map(|id| catalogue.servizio(id)) {
                known.tipi.extend(service.eventi.keys().cloned());
                known.messaggi.extend(service.messaggi.keys().cloned());
                known.timer.extend(service.timer.keys().cloned());
            }
            known
        });
        Self { enti: enti.collect() }
    }
}
