//! The metrics that the dispatcher feeds; names and labels are in `shared::telemetry`.

use prometheus::Registry;
use shared::telemetry::metrics::Known;
use shared::telemetry::{DispatcherMetrics, FleetMetrics, Process};
use shared::wire::{DispatchRequest, Level};

/// The metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Those that every service has.
    pub fleet: FleetMetrics,
    /// Those that only the dispatcher has.
    pub own: DispatcherMetrics,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn register(registry: &Registry, known: &Known) -> prometheus::Result<Self> {
        Ok(Self {
            fleet: FleetMetrics::register(registry, Process::Dispatcher, known)?,
            own: DispatcherMetrics::register(registry, known)?,
        })
    }

    /// Starts the series of these enti at 0.
    pub fn start_at_zero(&self, known: &Known) {
        self.fleet.start_at_zero(known);
        self.own.start_at_zero(known);
    }

    /// Counts a sent message that concerns Premium.
    pub fn count_premium(&self, request: &DispatchRequest) {
        let content = &request.content;
        let kind = match request.livello {
            Level::Advanced if content.third_party_data.is_some() => "allegato",
            Level::Advanced if content.payment_data.is_some() => "promemoria-pagamento",
            Level::Advanced => "promemoria-appuntamento",
            Level::Standard if request.ripiego => "ripiego",
            Level::Standard => return,
        };
        self.own.premium_messages.with_label_values(&[request.message.ente.as_str(), kind]).inc();
    }
}
