//! Traces: what became of one event, hop by hop, as OpenTelemetry spans. Off unless `tracing.endpoint` is set.
//!
//! - [`Traces`]: the way to spans; where tracing is off it makes none and nothing runs.
//! - [`Span`]: one under way. [`Cause`]: what it hangs on. `sampler`: which events are kept.
//! - `attributes`: what a span says. Only words of ours and derived keys: no id, text or address that somebody
//!   else chose, since those may name a person.
//! - `export`, `gate`: the way to the collector, bounded and counted.
//!
//! The context of an event travels without all of this, as data: [`crate::domain::TraceContext`].

mod attributes;
mod export;
mod gate;
mod sampler;
mod span;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{Link, SpanBuilder, SpanKind, TraceContextExt as _, Tracer as _};
use opentelemetry::trace::{SpanContext, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use prometheus::IntCounterVec;

use crate::domain::TraceContext;
use crate::settings::Tracing;
use crate::telemetry::{Process, VERSION};

pub use attributes::{Call, Place};
pub use export::StartError;
pub use span::Span;

/// Longest that a stop waits for the collector, whatever is left of the grace.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// What a span hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The event itself, which came just now: the span belongs to the event's trace. Without a context a new
    /// trace begins.
    Event(Option<TraceContext>),
    /// An event of long ago: a new trace, with a link to the event's. Backends keep traces for days, a
    /// reminder comes after months, and a trace that lasts months is one that nobody can look at.
    Since(Option<TraceContext>),
    /// The hop before, by the header of the message. Without one there is no span: the fleet's traces begin
    /// where events are taken and where work is emitted.
    Hop(Option<TraceContext>),
    /// What the task at hand is doing; no span if it does nothing traced.
    Current,
    /// What the task at hand is doing, else an event of long ago.
    CurrentOrSince(Option<TraceContext>),
}

/// The way to spans.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

struct Inner {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    sample_ratio: f64,
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Traces(on)" } else { "Traces(off)" })
    }
}

impl Traces {
    /// Tracing is off.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Begins to send spans to the collector of the settings; none of them, no task. `spans` counts what
    /// becomes of the spans.
    ///
    /// # Errors
    /// The client for the collector cannot be set up. A collector that is away is no error.
    ///
    /// # Panics
    /// Outside a Tokio runtime, where tracing is on.
    pub fn start(
        tracing: Option<&Tracing>,
        process: Process,
        spans: &IntCounterVec,
    ) -> Result<Self, StartError> {
        let Some(tracing) = tracing else { return Ok(Self::off()) };
        let exporter = export::exporter(&tracing.endpoint)?;
        Ok(Self::on(gate::gate(exporter, spans), process, tracing.sample_ratio))
    }

    fn on(
        processor: impl opentelemetry_sdk::trace::SpanProcessor + 'static,
        process: Process,
        sample_ratio: f64,
    ) -> Self {
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler::ByEvent::new(sample_ratio))
            .with_resource(attributes::resource(process))
            .with_span_processor(processor)
            .build();
        let scope = opentelemetry::InstrumentationScope::builder("promemoria").with_version(VERSION).build();
        let tracer = provider.tracer_with_scope(scope);
        Self(Some(Arc::new(Inner { provider, tracer, sample_ratio })))
    }

    /// A delivery is handled.
    #[must_use]
    pub fn process(&self, taken: &Place<'_>, cause: Cause) -> Span {
        self.span(cause, SpanKind::Consumer, || (taken.name("process"), taken.attributes("process")))
    }

    /// A message is published, until it is confirmed.
    #[must_use]
    pub fn send(&self, to: &Place<'_>, cause: Cause) -> Span {
        self.span(cause, SpanKind::Producer, || (to.name("send"), to.attributes("send")))
    }

    /// The IO API is called.
    #[must_use]
    pub fn call(&self, call: &Call<'_>) -> Span {
        self.span(Cause::Current, SpanKind::Client, || (call.name(), call.attributes()))
    }

    fn span(&self, cause: Cause, kind: SpanKind, says: impl FnOnce() -> (String, Vec<KeyValue>)) -> Span {
        let Some(inner) = &self.0 else { return Span::none() };
        let Some((parent, links)) = inner.place(cause) else { return Span::none() };
        let (name, attributes) = says();
        let builder =
            SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes).with_links(links);
        Span::of(parent.with_span(inner.tracer.build_with_context(builder, &parent)))
    }

    /// Sends what there is to the collector and ends tracing, within `left` of the process's grace and
    /// 5 s. What is left then is lost.
    pub async fn flush(&self, left: Duration) {
        let Some(inner) = &self.0 else { return };
        let (provider, limit) = (inner.provider.clone(), left.min(FLUSH_LIMIT));
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(limit)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("the collector did not take the last spans in time");
        }
    }
}

impl Inner {
    /// Parent and links of a span; none if there is to be no span.
    fn place(&self, cause: Cause) -> Option<(Context, Vec<Link>)> {
        let below = |context: SpanContext| Context::new().with_remote_span_context(context);
        let kept = |event: TraceContext| sampler::admitted(event, self.sample_ratio);
        Some(match cause {
            Cause::Event(None) | Cause::Since(None) => (Context::new(), Vec::new()),
            Cause::Event(Some(event)) => (below(kept(event)), Vec::new()),
            Cause::Since(Some(event)) => (Context::new(), vec![Link::with_context(kept(event))]),
            Cause::Hop(before) => (below(span::context(before?, before?.is_sampled())), Vec::new()),
            Cause::Current => (Span::current()?, Vec::new()),
            Cause::CurrentOrSince(event) => match Span::current() {
                Some(current) => (current, Vec::new()),
                None => return self.place(Cause::Since(event)),
            },
        })
    }
}
