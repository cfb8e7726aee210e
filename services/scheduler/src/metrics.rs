//! What the scheduler counts.

use std::time::Instant;

use prometheus::Registry;
use shared::store::register::Compared;
use shared::telemetry::{FleetMetrics, Known, Process, SchedulerMetrics};
use shared::wire::Outcome;

/// The scheduler's metrics.
pub(crate) struct Metrics {
    pub(crate) fleet: FleetMetrics,
    pub(crate) own: SchedulerMetrics,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry, known: &Known) -> prometheus::Result<Self> {
        Ok(Self {
            fleet: FleetMetrics::register(registry, Process::Scheduler, known)?,
            own: SchedulerMetrics::register(registry, known)?,
        })
    }

    /// An event was taken, known or refused.
    pub(crate) fn event(&self, ente: &str, tipo: &str, result: &str) {
        self.own.events.with_label_values(&[ente, tipo, result]).inc();
    }

    pub(crate) fn unknown_fields(&self, ente: &str, tipo: &str, count: usize) {
        if count > 0 {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.own.unknown_fields.with_label_values(&[ente, tipo]).inc_by(count);
        }
    }

    pub(crate) fn dead(&self, code: &str) {
        self.fleet.dead.with_label_values(&[code]).inc();
    }

    /// A delivery was taken, or work was claimed and emitted.
    pub(crate) fn stage(&self, stage: &str, begun: Instant) {
        self.fleet.stage_duration.with_label_values(&[stage]).observe(begun.elapsed().as_secs_f64());
    }

    /// Something fell due; `lag_ms` after its instant.
    pub(crate) fn due(&self, lag_ms: i64) {
        #[expect(clippy::cast_precision_loss, reason = "a lag of 2^53 ms is 285,000 years")]
        self.own.timers_due_lag.observe(lag_ms.max(0) as f64 / 1000.0);
    }

    /// Outcomes about messages; those of office timers are not about messages.
    pub(crate) fn told(&self, ente: &str, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let message = outcome.data.get("messaggio").and_then(serde_json::Value::as_str);
            if let (Some(message), Some(what)) = (message, outcome.tipo.strip_prefix("messaggio.")) {
                self.fleet.messages.with_label_values(&[ente, message, what]).inc();
            }
        }
    }

    /// Journal and ledger were compared, by this process or another.
    pub(crate) fn compared(&self, ente: &str, compared: Compared) {
        self.own.conservation_difference.with_label_values(&[ente]).set(compared.difference);
        self.own.conservation_compared.with_label_values(&[ente]).set(compared.at_ms / 1000);
    }

    pub(crate) fn message(&self, ente: &str, message: &str, what: &str) {
        self.fleet.messages.with_label_values(&[ente, message, what]).inc();
    }
}
