//! What the fleet tells about itself: log lines, metrics, health.
//!
//! `logging` starts the log lines; `families` is the one table of all metrics (`family`: what each is made of), `metrics` the structs
//! that feed them, `page` writes `docs/metrics.md`; `certificates` tells when certificates end; `probes` answers `/livez`, `/readyz`, `/metrics`.

pub mod certificates;
pub mod families;
mod family;
mod known;
pub mod logging;
pub mod metrics;
mod page;
pub mod probes;

pub use families::{FAMILIES, Family, Kind, Process};
pub use logging::start;
pub use metrics::{DispatcherMetrics, FleetMetrics, Known, SchedulerMetrics};
pub use page::metrics_page;
pub use probes::Health;

/// Version of the build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Commit of the build, where `PROMEMORIA_COMMIT` was set when it was made.
pub const COMMIT: &str = match option_env!("PROMEMORIA_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
