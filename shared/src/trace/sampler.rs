//! Which events are kept.
//!
//! The decision is one of the event: it goes by the event's trace id, so that every process and every hop of it
//! decides alike, months later too, and a story is kept whole or not at all.

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

use super::span;
use crate::domain::TraceContext;

/// An event's context, flagged by whether the event is kept: its sender keeps it, and its trace id falls into
/// the share.
pub(super) fn admitted(event: TraceContext, ratio: f64) -> SpanContext {
    let kept = event.is_sampled() && falls_into(TraceId::from_bytes(event.trace()), ratio);
    span::context(event, kept)
}

/// Whether a trace id is among the share.
fn falls_into(trace: TraceId, ratio: f64) -> bool {
    let by_id = Sampler::TraceIdRatioBased(ratio);
    let decided = by_id.should_sample(None, trace, "", &SpanKind::Internal, &[], &[]);
    decided.decision == SamplingDecision::RecordAndSample
}

/// Follows what was decided of the event: by the flag of the parent, else of the link; a trace that begins here
/// is decided by its own id.
#[derive(Debug, Clone)]
pub(super) struct ByEvent {
    ratio: f64,
}

impl ByEvent {
    pub(super) fn new(ratio: f64) -> Self {
        Self { ratio }
    }
}

impl ShouldSample for ByEvent {
    fn should_sample(
        &self,
        parent_context: Option<&Context>,
        trace_id: TraceId,
        _name: &str,
        _span_kind: &SpanKind,
        _attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent_context.map(|context| context.span().span_context().clone());
        let decided =
            parent.filter(SpanContext::is_valid).or_else(|| Some(links.first()?.span_context.clone()));
        let kept = decided.map_or_else(|| falls_into(trace_id, self.ratio), |context| context.is_sampled());
        let decision = if kept { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}
