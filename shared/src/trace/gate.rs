//! The bounded way between the work and the exporter: what does not fit is dropped and counted, and nobody
//! waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};
use prometheus::{IntCounter, IntCounterVec};
use tracing::{info, warn};

use crate::telemetry::families::SPAN_RESULTS;

/// Spans that wait for the collector at most, those being sent among them: about 2 MiB.
const QUEUE: usize = 2048;
/// Spans in one request.
const BATCH: usize = 512;
/// How long a span waits for others to go along.
const DELAY: Duration = Duration::from_secs(1);

/// What is shared by the two ends.
#[derive(Debug)]
struct Tally {
    waiting: AtomicUsize,
    failing: AtomicBool,
    taken: IntCounter,
    dropped: IntCounter,
    failed: IntCounter,
}

/// A processor in front of an exporter. The library's own would drop in silence.
pub(super) fn gate<E: SpanExporter + 'static>(exporter: E, spans: &IntCounterVec) -> Gate {
    let [taken, dropped, failed] = SPAN_RESULTS.map(|result| spans.with_label_values(&[result]));
    let (waiting, failing) = (AtomicUsize::new(0), AtomicBool::new(false));
    let tally = Arc::new(Tally { waiting, failing, taken, dropped, failed });
    let exporter = Counted { exporter, tally: Arc::clone(&tally) };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUE)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(DELAY)
        .build();
    Gate { batches: BatchSpanProcessor::new(exporter, config), tally }
}

/// The entrance.
#[derive(Debug)]
pub(super) struct Gate {
    batches: BatchSpanProcessor,
    tally: Arc<Tally>,
}

impl SpanProcessor for Gate {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.tally.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE {
            self.tally.waiting.fetch_sub(1, Ordering::Relaxed);
            self.tally.dropped.inc();
            return;
        }
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// The exit.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    tally: Arc<Tally>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.exporter.export(batch).await;
        self.tally.waiting.fetch_sub(count, Ordering::Relaxed);
        let counter = if result.is_ok() { &self.tally.taken } else { &self.tally.failed };
        counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        let was_failing = self.tally.failing.swap(result.is_err(), Ordering::Relaxed);
        match (was_failing, result.is_err()) {
            // Once, and not with every batch: the metric goes on telling.
            (false, true) => warn!(spans = count, "the collector takes no spans"),
            (true, false) => info!("the collector takes spans again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
