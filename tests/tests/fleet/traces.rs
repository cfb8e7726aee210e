//! Traces: the context of an event on its way through every hop, and the spans of the hops.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use shared::domain::TraceContext;
use tests::collector::{Collector, Sent, settings};
use tests::fleet::client::{Client, metrics, sandbox_messages};
use tests::fleet::{Enti, Fleet, SERVICES};

const LIMIT: Duration = Duration::from_mins(1);
const IN_BODY: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const IN_HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OF_REFUSED: &str = "00-1123456789abcdef0123456789abcdef-0123456789abcdef-01";
/// What names a person or was chosen by somebody else: none of it may be in a span.
const CANARIES: [&str; 7] = [
    "RSSMRA85T10A562S",
    "VRDGPP70A01H501S",
    "traccia-",
    "PRATICA",
    "PROTOCOLLO",
    "domande.example.it",
    "presa in carico",
];

fn event(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://gestionale.example.it",
        "type": "domanda.protocollata", "subject": format!("PRATICA-{id}"), "time": "2026-11-20T10:00:00+01:00",
        "ente": "borgochiaro", "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": "RSSMRA85T10A562S", "bando": "B27", "numero_protocollo": "PROTOCOLLO/1",
            "url_domanda": "https://domande.example.it/1",
        },
    })
}

async fn start(more: String) -> anyhow::Result<(Fleet, Client)> {
    let fleet = Fleet::start(crate::binaries(), &Enti { more, ..Enti::default() }).await?;
    let client = Client::connect(fleet.brokers.amqp_url()).await?;
    Ok((fleet, client))
}

fn count(outcomes: &[Value], tipo: &str) -> usize {
    outcomes.iter().filter(|it| it["type"] == tipo).count()
}

/// The outcome of that type about an event.
fn told<'a>(outcomes: &'a [Value], tipo: &str, event: &str) -> anyhow::Result<&'a Value> {
    let found = outcomes.iter().find(|it| it["type"] == tipo && it["data"]["evento"] == event);
    found.with_context(|| format!("no {tipo} about {event}"))
}

fn parsed(traceparent: Option<&str>) -> anyhow::Result<TraceContext> {
    traceparent.and_then(TraceContext::parse).context("no trace context")
}

/// The spans of a trace.
fn of_trace<'a>(spans: &'a [Sent], trace: &[u8]) -> Vec<&'a Sent> {
    spans.iter().filter(|it| it.span.trace_id == trace).collect()
}

fn named<'a>(spans: &[&'a Sent], service: &str, name: &str) -> anyhow::Result<&'a Sent> {
    let found = spans.iter().find(|it| it.service == service && it.span.name == name);
    found.copied().with_context(|| format!("no span {name} of {service}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_the_event_to_the_call_and_the_outcome() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let (fleet, mut client) = start(collector.settings(1.0)).await?;
    let key = "borgochiaro.domanda.protocollata";
    let mut first = event("traccia-1");
    first["traceparent"] = json!(IN_BODY);
    client.publish_traced(key, first.to_string().as_bytes(), Some(IN_HEADER)).await?;
    client.publish_traced(key, event("traccia-2").to_string().as_bytes(), Some(IN_HEADER)).await?;
    let mut third = event("traccia-3");
    third["traceparent"] = json!("malformed");
    client.publish_event(&third).await?;
    let refused = client.publish_traced("borgochiaro.VRDGPP70A01H501S", b"{}", Some(OF_REFUSED));
    refused.await?;
    let all = |outcomes: &[Value]| {
        count(outcomes, "messaggio.consegnato") == 3 && count(outcomes, "evento.rifiutato") == 1
    };
    let outcomes = client.outcomes_until(LIMIT, all).await?;
    let messages = sandbox_messages(fleet.ports.sandbox).await?;
    fleet.shutdown().await?;

    outcomes_carry_the_context(&client, &outcomes)?;
    let spans = collector.spans()?;
    one_trace(&spans, &messages)?;
    status_is_asked_for_in_a_linked_trace(&spans)?;
    let raw = String::from_utf8_lossy(&collector.raw()).into_owned();
    assert!(raw.contains("borgochiaro"), "what was scanned can be read");
    for canary in CANARIES {
        assert!(!raw.contains(canary), "{canary} in the spans");
    }
    let refused = of_trace(&spans, &parsed(Some(OF_REFUSED))?.trace());
    assert_eq!(
        named(&refused, "scheduler", "process promemoria.events")?.text("error.type").as_deref(),
        Some("envelope")
    );
    Ok(())
}

/// In the body the event's own, in the header the hop, which belongs to the same trace while it goes at once.
fn outcomes_carry_the_context(client: &Client, outcomes: &[Value]) -> anyhow::Result<()> {
    for (id, own) in [("traccia-1", IN_BODY), ("traccia-2", IN_HEADER)] {
        let sent = told(outcomes, "messaggio.inviato", id)?;
        assert_eq!(sent["traceparent"], own);
        assert_eq!(parsed(client.trace_of(sent))?.trace(), parsed(Some(own))?.trace());
        let delivered = told(outcomes, "messaggio.consegnato", id)?;
        assert_eq!(delivered["traceparent"], own);
        assert_ne!(parsed(client.trace_of(delivered))?.trace(), parsed(Some(own))?.trace());
    }
    // One that brought none gets one from its first span.
    assert!(parsed(told(outcomes, "messaggio.inviato", "traccia-3")?["traceparent"].as_str()).is_ok());
    let refused = outcomes.iter().find(|it| it["type"] == "evento.rifiutato").context("refused")?;
    assert_eq!(refused["traceparent"], OF_REFUSED);
    Ok(())
}

fn one_trace(spans: &[Sent], messages: &[Value]) -> anyhow::Result<()> {
    let event = parsed(Some(IN_BODY))?;
    let trace = of_trace(spans, &event.trace());
    // Each with the one that it hangs on.
    let chain = [
        ("scheduler", "send promemoria.work", "renderer", "process promemoria.render"),
        ("renderer", "process promemoria.render", "renderer", "send promemoria.work"),
        ("renderer", "send promemoria.work", "dispatcher", "process promemoria.dispatch"),
        ("dispatcher", "process promemoria.dispatch", "dispatcher", "POST /profiles"),
        ("dispatcher", "process promemoria.dispatch", "dispatcher", "POST /messages"),
        ("dispatcher", "process promemoria.dispatch", "dispatcher", "send promemoria.outcomes"),
    ];
    for (of, above, service, below) in chain {
        let (above, below) = (named(&trace, of, above)?, named(&trace, service, below)?);
        assert_eq!(above.span.span_id, below.span.parent_span_id, "{}", below.span.name);
    }
    for begins in ["process promemoria.events", "send promemoria.work"] {
        assert_eq!(named(&trace, "scheduler", begins)?.span.parent_span_id, event.span(), "{begins}");
    }
    let call = named(&trace, "dispatcher", "POST /messages")?;
    let in_request = |it: &&Value| {
        parsed(it["traceparent"].as_str()).is_ok_and(|at| at.span().as_slice() == call.span.span_id)
    };
    assert_eq!(messages.iter().filter(in_request).count(), 1, "the call carries its context");
    assert_eq!(trace.len(), 8, "{:#?}", trace.iter().map(|it| &it.span.name).collect::<Vec<_>>());
    Ok(())
}

fn status_is_asked_for_in_a_linked_trace(spans: &[Sent]) -> anyhow::Result<()> {
    let event = parsed(Some(IN_BODY))?;
    let linked = |it: &&Sent| {
        it.span.links.iter().any(|link| link.trace_id == event.trace() && link.span_id == event.span())
    };
    let begins = spans.iter().find(linked).context("nothing is linked to the event")?;
    assert_eq!((begins.service.as_str(), begins.span.name.as_str()), ("scheduler", "send promemoria.work"));
    let trace = of_trace(spans, &begins.span.trace_id);
    for name in ["process promemoria.follow", "GET /messages/{fiscal_code}/{id}", "send promemoria.outcomes"]
    {
        named(&trace, "dispatcher", name)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_share_of_nothing_no_span_is_sent_and_the_context_still_travels() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let (fleet, mut client) = start(collector.settings(0.0)).await?;
    let mut traced = event("traccia-1");
    traced["traceparent"] = json!(IN_BODY);
    client.publish_event(&traced).await?;
    client.publish_event(&event("traccia-2")).await?;
    let all = |outcomes: &[Value]| count(outcomes, "messaggio.consegnato") == 2;
    let outcomes = client.outcomes_until(LIMIT, all).await?;
    let messages = sandbox_messages(fleet.ports.sandbox).await?;
    fleet.shutdown().await?;
    for tipo in ["messaggio.inviato", "messaggio.consegnato"] {
        let with = told(&outcomes, tipo, "traccia-1")?;
        assert_eq!((with["traceparent"].as_str(), client.trace_of(with)), (Some(IN_BODY), Some(IN_BODY)));
        let without = told(&outcomes, tipo, "traccia-2")?;
        assert_eq!((without.get("traceparent"), client.trace_of(without)), (None, None));
    }
    assert!(messages.iter().all(|it| it["traceparent"].is_null()), "IO is told nothing");
    assert!(collector.raw().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_up_neither_messages_nor_the_end() -> anyhow::Result<()> {
    // Connections are made by the system, and nobody takes them.
    let mute = TcpListener::bind("127.0.0.1:0")?;
    let (fleet, mut client) = start(settings(mute.local_addr()?, 1.0)).await?;
    client.publish_event(&event("traccia-1")).await?;
    let all = |outcomes: &[Value]| count(outcomes, "messaggio.consegnato") == 1;
    client.outcomes_until(LIMIT, all).await?;
    for service in SERVICES {
        until_spans_failed(&fleet, service).await?;
    }
    fleet.shutdown().await
}

async fn until_spans_failed(fleet: &Fleet, service: &str) -> anyhow::Result<()> {
    let series = r#"promemoria_trace_spans_total{result="failed"} "#;
    let failed = async {
        loop {
            let text = metrics(fleet.ports.of(service)).await?;
            let count = text.lines().find_map(|line| line.strip_prefix(series)).context("no series")?;
            if count != "0" {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, failed).await.with_context(|| format!("{service} counted no lost span"))?
}
