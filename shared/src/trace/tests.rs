//! Spans, on an exporter in memory.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SimpleSpanProcessor, SpanData, SpanExporter};
use prometheus::{IntCounterVec, Opts};

use url::Url;

use super::*;

const EVENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TO: Place<'_> = Place { exchange: "promemoria.work", routing_key: "render", queue: None };
const FROM: Place<'_> = Place { queue: Some("promemoria.render"), ..TO };

/// Keeps what it is given.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Kept {
    fn spans(&self) -> Vec<SpanData> {
        self.0.lock().unwrap().clone()
    }
}

fn traces(ratio: f64) -> (Traces, Kept) {
    let kept = Kept::default();
    (Traces::on(SimpleSpanProcessor::new(kept.clone()), Process::Scheduler, ratio), kept)
}

fn event() -> Option<TraceContext> {
    TraceContext::parse(EVENT)
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key)?;
    Some(found.value.to_string())
}

#[test]
fn without_tracing_there_is_no_span_and_no_context() {
    let span = Traces::off().process(&FROM, Cause::Event(event()));
    span.fail("json");
    assert_eq!((span.context(), span.is_kept()), (None, false));
}

#[test]
fn what_an_event_causes_at_once_belongs_to_its_trace() {
    let (traces, kept) = traces(1.0);
    let span = traces.process(&FROM, Cause::Event(event()));
    let context = span.context().unwrap();
    assert_eq!(context.trace(), event().unwrap().trace());
    drop(traces.send(&TO, Cause::Hop(Some(context))));
    drop(span);
    let [sent, taken] = &kept.spans()[..] else { panic!("two spans") };
    assert_eq!(taken.parent_span_id.to_bytes(), event().unwrap().span());
    assert_eq!(sent.parent_span_id, taken.span_context.span_id());
    assert_eq!(sent.span_context.trace_id(), taken.span_context.trace_id());
}

#[test]
fn what_it_causes_much_later_is_a_trace_of_its_own_with_a_link() {
    let (traces, kept) = traces(1.0);
    drop(traces.send(&TO, Cause::Since(event())));
    let [span] = &kept.spans()[..] else { panic!("one span") };
    assert_ne!(span.span_context.trace_id().to_bytes(), event().unwrap().trace());
    assert_eq!(span.links.links.len(), 1);
    assert_eq!(span.links.links[0].span_context.trace_id().to_bytes(), event().unwrap().trace());
    assert_eq!(span.links.links[0].span_context.span_id().to_bytes(), event().unwrap().span());
}

#[tokio::test]
async fn what_is_done_within_a_span_hangs_on_it_and_nothing_hangs_on_nothing() {
    let (traces, kept) = traces(1.0);
    assert_eq!(traces.send(&TO, Cause::Current).context(), None);
    assert_eq!(traces.process(&FROM, Cause::Hop(None)).context(), None);
    let span = traces.process(&FROM, Cause::Event(None));
    let within = span.within(async { traces.send(&TO, Cause::CurrentOrSince(event())).context() }).await;
    assert_eq!(within.map(|it| it.trace()), span.context().map(|it| it.trace()));
    let [sent] = &kept.spans()[..] else { panic!("one span so far") };
    assert_eq!(sent.parent_span_id.to_bytes(), span.context().unwrap().span());
    drop(traces.send(&TO, Cause::CurrentOrSince(event())));
    assert_eq!(kept.spans()[1].links.links.len(), 1);
}

#[test]
fn an_event_that_is_not_kept_leaves_no_span_on_any_hop() {
    let unsampled = TraceContext::parse(&EVENT.replace("-01", "-00"));
    for (ratio, event) in [(0.0, event()), (0.0, None), (1.0, unsampled)] {
        let (traces, kept) = traces(ratio);
        for cause in [Cause::Event(event), Cause::Since(event)] {
            let span = traces.process(&FROM, cause);
            // It goes on, so that the next hop does not begin a trace of its own.
            assert!(span.context().is_some_and(|it| !it.is_sampled()));
            assert_eq!(span.kept(), None);
            drop(traces.send(&TO, Cause::Hop(span.context())));
        }
        assert_eq!(kept.spans().len(), 0);
    }
}

#[test]
fn an_event_is_kept_or_not_whenever_it_is_asked() {
    let (traces, _) = traces(0.5);
    let mut count = 0;
    for number in 1..=200u64 {
        let trace = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let event = TraceContext::new(trace.to_be_bytes(), [7; 8], 1);
        let [now, later] = [Cause::Event(event), Cause::Since(event)].map(|cause| traces.send(&TO, cause));
        assert_eq!(now.is_kept(), later.is_kept());
        count += u32::from(now.is_kept());
    }
    assert!((60..=140).contains(&count), "{count} of 200");
}

#[test]
fn spans_say_what_the_conventions_ask_for() {
    let (traces, kept) = traces(1.0);
    let span = traces.process(&FROM, Cause::Event(None));
    span.fail("json");
    drop(span);
    drop(traces.send(&TO, Cause::Event(None)));
    let spans = kept.spans();
    let (taken, sent) = (&spans[0], &spans[1]);
    assert_eq!((&*taken.name, &*sent.name), ("process promemoria.render", "send promemoria.work"));
    assert_eq!((&taken.span_kind, &sent.span_kind), (&SpanKind::Consumer, &SpanKind::Producer));
    for (key, of_taken, of_sent) in [
        ("messaging.system", Some("rabbitmq"), Some("rabbitmq")),
        ("messaging.operation.type", Some("process"), Some("send")),
        (
            "messaging.destination.name",
            Some("promemoria.work:render:promemoria.render"),
            Some("promemoria.work:render"),
        ),
        ("messaging.rabbitmq.destination.routing_key", Some("render"), Some("render")),
        ("error.type", Some("json"), None),
    ] {
        assert_eq!(attribute(taken, key).as_deref(), of_taken, "{key}");
        assert_eq!(attribute(sent, key).as_deref(), of_sent, "{key}");
    }
}

#[tokio::test]
async fn a_call_is_named_by_its_template_and_never_by_its_url() {
    let (traces, kept) = traces(1.0);
    let base = Url::parse("https://api.example:8443/v1").unwrap();
    let call = Call { method: "GET", template: "/messages/{fiscal_code}/{id}", base: &base };
    traces.process(&FROM, Cause::Event(None)).within(async { drop(traces.call(&call)) }).await;
    let span = &kept.spans()[0];
    assert_eq!((&*span.name, &span.span_kind), ("GET /messages/{fiscal_code}/{id}", &SpanKind::Client));
    assert_eq!(attribute(span, "server.address").as_deref(), Some("api.example"));
    assert_eq!(attribute(span, "server.port").as_deref(), Some("8443"));
    assert!(span.attributes.iter().all(|it| !it.key.as_str().contains("url.full")));
}

/// Takes nothing until it is told how the next batch ends.
#[derive(Debug)]
struct Held(Mutex<Receiver<bool>>, Sender<usize>);

impl SpanExporter for Held {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.1.send(batch.len()).unwrap();
        let good = self.0.lock().unwrap().recv().unwrap_or(true);
        if good { Ok(()) } else { Err(OTelSdkError::InternalFailure("refused".to_owned())) }
    }
}

#[tokio::test]
async fn a_collector_that_does_not_answer_costs_spans_and_holds_nobody_up() {
    let counter = IntCounterVec::new(Opts::new("spans", "Spans."), &["result"]).unwrap();
    let (end, ends) = channel();
    let (begun, begins) = channel();
    let traces = Traces::on(gate::gate(Held(Mutex::new(ends), begun), &counter), Process::Renderer, 1.0);
    let some = |count: usize| (0..count).for_each(|_| drop(traces.send(&TO, Cause::Event(None))));
    some(1);
    let first = begins.recv_timeout(Duration::from_mins(1)).unwrap();
    some(2047 + 10);
    let count = |result: &str| usize::try_from(counter.with_label_values(&[result]).get()).unwrap();
    assert_eq!((first, count("dropped"), count("exported"), count("failed")), (1, 10, 0, 0));
    end.send(false).unwrap();
    let second = begins.recv_timeout(Duration::from_mins(1)).unwrap();
    assert_eq!(count("failed"), 1);
    drop(end); // from here on every batch is taken
    traces.flush(Duration::from_mins(1)).await;
    assert_eq!((count("exported"), count("dropped"), second <= 512), (2047, 10, true));
}
