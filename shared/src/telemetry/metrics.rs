//! The metrics a process feeds, registered from the table of families. Label values that are known
//! beforehand start at 0.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    Result,
};

use super::families::{self as f, Family, Kind, Process};
pub use super::known::{Known, KnownEnte};
use super::{COMMIT, VERSION};
use crate::broker::Counters;
use crate::domain::event::RefusalCode;
use crate::formats::FORMATS;

/// Metrics that every service feeds.
#[derive(Debug, Clone)]
pub struct FleetMetrics {
    /// [`f::MESSAGES`]
    pub messages: IntCounterVec,
    /// [`f::STAGE_DURATION`]
    pub stage_duration: HistogramVec,
    /// [`f::DEAD`]
    pub dead: IntCounterVec,
    /// [`f::CONFIG_RELOAD_ERRORS`]
    pub config_reload_errors: IntCounter,
    /// [`f::BROKER_BLOCKED`]
    pub broker_blocked: IntGauge,
    /// [`f::BROKER_FAULTS`]
    pub broker_faults: IntCounterVec,
    /// [`f::FOREIGN_FORMATS`]
    pub foreign: IntCounterVec,
    /// [`f::CERTIFICATE_END`]
    pub certificate_end: IntGaugeVec,
    /// [`f::TRACE_SPANS`]
    pub trace_spans: IntCounterVec,
}

impl FleetMetrics {
    /// Registers them, and [`f::BUILD_INFO`].
    pub fn register(registry: &Registry, process: Process, known: &Known) -> Result<Self> {
        let build_info = gauges(registry, &f::BUILD_INFO)?;
        build_info.with_label_values(&[VERSION, COMMIT]).set(1);
        let metrics = Self {
            messages: counters(registry, &f::MESSAGES)?,
            stage_duration: histograms(registry, &f::STAGE_DURATION)?,
            dead: counters(registry, &f::DEAD)?,
            config_reload_errors: counter(registry, &f::CONFIG_RELOAD_ERRORS)?,
            broker_blocked: gauges(registry, &f::BROKER_BLOCKED)?.with_label_values::<&str>(&[]),
            broker_faults: counters(registry, &f::BROKER_FAULTS)?,
            foreign: counters(registry, &f::FOREIGN_FORMATS)?,
            certificate_end: gauges(registry, &f::CERTIFICATE_END)?,
            trace_spans: counters(registry, &f::TRACE_SPANS)?,
        };
        for (kind, _) in Counters::default().faults() {
            metrics.broker_faults.with_label_values(&[kind]);
        }
        for format in FORMATS {
            metrics.foreign.with_label_values(&[format.name]);
        }
        for (_, stages) in f::STAGES.iter().filter(|(feeder, _)| *feeder == process) {
            for stage in *stages {
                metrics.stage_duration.with_label_values(&[stage]);
            }
        }
        for code in RefusalCode::ALL {
            metrics.dead.with_label_values(&[code.as_str()]);
        }
        for result in f::SPAN_RESULTS {
            metrics.trace_spans.with_label_values(&[result]);
        }
        metrics.start_at_zero(known);
        Ok(metrics)
    }

    /// Starts the series of these enti at 0; those that are there keep their value.
    pub fn start_at_zero(&self, known: &Known) {
        for ente in &known.enti {
            for messaggio in &ente.messaggi {
                for outcome in f::OUTCOMES {
                    self.messages.with_label_values(&[ente.id.as_str(), messaggio, outcome]);
                }
            }
        }
    }
}

/// Metrics of the scheduler.
#[derive(Debug, Clone)]
pub struct SchedulerMetrics {
    /// [`f::EVENTS`]
    pub events: IntCounterVec,
    /// [`f::UNKNOWN_FIELDS`]
    pub unknown_fields: IntCounterVec,
    /// [`f::TIMERS_ARMED`]
    pub timers_armed: IntGaugeVec,
    /// [`f::TIMERS_DUE_LAG`]
    pub timers_due_lag: Histogram,
    /// [`f::RETENTION`]
    pub retention: IntCounterVec,
    /// [`f::SCHEDULE_DUE`]
    pub schedule_due: IntGaugeVec,
    /// [`f::SCHEDULE_NEXT`]
    pub schedule_next: IntGaugeVec,
    /// [`f::SCHEDULE_TODAY`]
    pub schedule_today: IntGaugeVec,
    /// [`f::SCHEDULE_DAY_END`]
    pub schedule_day_end: IntGaugeVec,
    /// [`f::CONSERVATION_DIFFERENCE`]
    pub conservation_difference: IntGaugeVec,
    /// [`f::CONSERVATION_COMPARED`]
    pub conservation_compared: IntGaugeVec,
    /// [`f::RATE_LIMIT_CALLS`]
    pub rate_limit_calls: IntGaugeVec,
}

impl SchedulerMetrics {
    /// Registers them.
    pub fn register(registry: &Registry, known: &Known) -> Result<Self> {
        let metrics = Self {
            events: counters(registry, &f::EVENTS)?,
            unknown_fields: counters(registry, &f::UNKNOWN_FIELDS)?,
            timers_armed: gauges(registry, &f::TIMERS_ARMED)?,
            timers_due_lag: histogram(registry, &f::TIMERS_DUE_LAG)?,
            retention: counters(registry, &f::RETENTION)?,
            schedule_due: gauges(registry, &f::SCHEDULE_DUE)?,
            schedule_next: gauges(registry, &f::SCHEDULE_NEXT)?,
            schedule_today: gauges(registry, &f::SCHEDULE_TODAY)?,
            schedule_day_end: gauges(registry, &f::SCHEDULE_DAY_END)?,
            conservation_difference: gauges(registry, &f::CONSERVATION_DIFFERENCE)?,
            conservation_compared: gauges(registry, &f::CONSERVATION_COMPARED)?,
            rate_limit_calls: gauges(registry, &f::RATE_LIMIT_CALLS)?,
        };
        metrics.start_at_zero(known);
        Ok(metrics)
    }

    /// Starts the series of these enti at 0; those that are there keep their value.
    pub fn start_at_zero(&self, known: &Known) {
        // Without a 0 before it the first event that cannot be read is no increase, and no alert.
        self.events.with_label_values(&["-", "-", "refused"]);
        for ente in &known.enti {
            let id = ente.id.as_str();
            self.events.with_label_values(&[id, "-", "refused"]);
            for what in f::RETENTION_KINDS {
                self.retention.with_label_values(&[id, what]);
            }
            for tipo in &ente.tipi {
                self.unknown_fields.with_label_values(&[id, tipo]);
                self.events.with_label_values(&["-", tipo, "refused"]);
                for result in f::EVENT_RESULTS {
                    self.events.with_label_values(&[id, tipo, result]);
                }
            }
            for name in ente.messaggi.iter().chain(&ente.timer) {
                self.timers_armed.with_label_values(&[id, name]);
            }
            let account = ente.account.as_str();
            self.schedule_due.with_label_values(&[id, account]);
            self.schedule_next.with_label_values(&[id]);
            self.schedule_today.with_label_values(&[id, account]);
            self.schedule_day_end.with_label_values(&[id, account]);
            self.conservation_difference.with_label_values(&[id]);
            self.conservation_compared.with_label_values(&[id]);
            self.rate_limit_calls.with_label_values(&[account]);
        }
    }
}

/// Metrics of the dispatcher.
#[derive(Debug, Clone)]
pub struct DispatcherMetrics {
    /// [`f::END_TO_END`]
    pub end_to_end: HistogramVec,
    /// [`f::SENT_LAG`]
    pub sent_lag: HistogramVec,
    /// [`f::IO_REQUESTS`]
    pub io_requests: IntCounterVec,
    /// [`f::IO_REQUEST_DURATION`]
    pub io_request_duration: HistogramVec,
    /// [`f::RATE_LIMIT_WAIT`]
    pub rate_limit_wait: HistogramVec,
    /// [`f::RATE_LIMIT_REMAINING`]
    pub rate_limit_remaining: IntGaugeVec,
    /// [`f::RETRIES_HELD`]
    pub retries_held: IntCounterVec,
    /// [`f::IN_DOUBT`]
    pub in_doubt: IntGaugeVec,
    /// [`f::PREMIUM_MESSAGES`]
    pub premium_messages: IntCounterVec,
}

impl DispatcherMetrics {
    /// Registers them.
    pub fn register(registry: &Registry, known: &Known) -> Result<Self> {
        let metrics = Self {
            end_to_end: histograms(registry, &f::END_TO_END)?,
            sent_lag: histograms(registry, &f::SENT_LAG)?,
            io_requests: counters(registry, &f::IO_REQUESTS)?,
            io_request_duration: histograms(registry, &f::IO_REQUEST_DURATION)?,
            rate_limit_wait: histograms(registry, &f::RATE_LIMIT_WAIT)?,
            rate_limit_remaining: gauges(registry, &f::RATE_LIMIT_REMAINING)?,
            retries_held: counters(registry, &f::RETRIES_HELD)?,
            in_doubt: gauges(registry, &f::IN_DOUBT)?,
            premium_messages: counters(registry, &f::PREMIUM_MESSAGES)?,
        };
        for operation in f::IO_OPERATIONS {
            metrics.io_request_duration.with_label_values(&[operation]);
        }
        metrics.start_at_zero(known);
        Ok(metrics)
    }

    /// Starts the series of these enti at 0; those that are there keep their value. The budget left is
    /// not known before the first call: its series starts with it.
    pub fn start_at_zero(&self, known: &Known) {
        for ente in &known.enti {
            self.start_ente(ente);
        }
    }

    fn start_ente(&self, ente: &KnownEnte) {
        let id = ente.id.as_str();
        for messaggio in &ente.messaggi {
            self.end_to_end.with_label_values(&[messaggio]);
        }
        for (operation, good) in f::IO_OPERATIONS.iter().zip(["200", "201", "200"]) {
            for status in [good, "401", "429", "none"] {
                self.io_requests.with_label_values(&[id, operation, status]);
            }
        }
        for kind in f::PREMIUM_KINDS {
            self.premium_messages.with_label_values(&[id, kind]);
        }
        self.rate_limit_wait.with_label_values(&[ente.account.as_str()]);
        self.retries_held.with_label_values(&[ente.account.as_str()]);
        self.in_doubt.with_label_values(&[id]);
        self.sent_lag.with_label_values(&[id]);
    }
}

fn names(family: &Family) -> Vec<&'static str> {
    family.labels.iter().map(|label| label.name).collect()
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counter(registry: &Registry, family: &Family) -> Result<IntCounter> {
    registered(registry, IntCounter::new(family.name, family.help)?)
}

fn counters(registry: &Registry, family: &Family) -> Result<IntCounterVec> {
    registered(registry, IntCounterVec::new(Opts::new(family.name, family.help), &names(family))?)
}

fn gauges(registry: &Registry, family: &Family) -> Result<IntGaugeVec> {
    registered(registry, IntGaugeVec::new(Opts::new(family.name, family.help), &names(family))?)
}

fn options(family: &Family) -> HistogramOpts {
    let options = HistogramOpts::new(family.name, family.help);
    match family.kind {
        Kind::Histogram(buckets) => options.buckets(buckets.to_vec()),
        Kind::Counter | Kind::Gauge => options,
    }
}

fn histogram(registry: &Registry, family: &Family) -> Result<Histogram> {
    registered(registry, Histogram::with_opts(options(family))?)
}

fn histograms(registry: &Registry, family: &Family) -> Result<HistogramVec> {
    registered(registry, HistogramVec::new(options(family), &names(family))?)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
