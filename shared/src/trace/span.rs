//! A span under way.

use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};

use crate::domain::TraceContext;

/// A span under way; it ends when its last clone is dropped. There may be none behind it: tracing is off.
#[derive(Clone, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// No span.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// The one that is active in a context.
    pub(super) fn of(context: Context) -> Self {
        Self(Some(context))
    }

    /// That of the task at hand, in OpenTelemetry's form.
    pub(super) fn current() -> Option<Context> {
        Some(Context::current()).filter(Context::has_active_span)
    }

    /// Whether somebody will see what is said of it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.0.as_ref().is_some_and(|context| context.span().is_recording())
    }

    /// What goes on with a message or request, so that what comes of it hangs on this span. Also of one that
    /// is not kept: the next hop must not keep its own part.
    #[must_use]
    pub fn context(&self) -> Option<TraceContext> {
        let span = self.0.as_ref()?.span();
        let context = span.span_context();
        let flags = context.trace_flags().to_u8();
        TraceContext::new(context.trace_id().to_bytes(), context.span_id().to_bytes(), flags)
    }

    /// The same, only of one that is kept.
    #[must_use]
    pub fn kept(&self) -> Option<TraceContext> {
        self.context().filter(TraceContext::is_sampled)
    }

    /// Adds what is known of the message by now.
    pub fn note(&self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// It ends badly; `code` is one of a closed list.
    pub fn fail(&self, code: &'static str) {
        self.note("error.type", code);
        if let Some(context) = &self.0 {
            context.span().set_status(Status::error(code));
        }
    }

    /// Does some work as part of it: what is sent or called meanwhile hangs on it.
    pub async fn within<F: Future>(&self, work: F) -> F::Output {
        match &self.0 {
            Some(context) => work.with_context(context.clone()).await,
            None => work.await,
        }
    }
}

impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Span").field(&self.context()).finish()
    }
}

/// A context in OpenTelemetry's types, with the flag that says whether its trace is kept.
pub(super) fn context(of: TraceContext, kept: bool) -> SpanContext {
    let (trace, span) = (TraceId::from_bytes(of.trace()), SpanId::from_bytes(of.span()));
    SpanContext::new(trace, span, TraceFlags::default().with_sampled(kept), true, TraceState::default())
}
