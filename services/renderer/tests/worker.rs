//! The worker over a broker in memory: what is written, what fails, what survives a broker's absence.

#![expect(clippy::unwrap_used, reason = "what a test stands on may stop it")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use renderer::FailureSink;
use renderer::inforce::InForce;
use renderer::worker::{Parts, Worker};
use serde_json::{Value, json};
use shared::broker::memory::MemoryBroker;
use shared::broker::topology::{DEAD_QUEUE, DISPATCH_QUEUE, RENDER, RENDER_QUEUE, Topology, WORK};
use shared::broker::{Consumer as _, Deliveries as _, Outgoing, Publisher as _};
use shared::clock::Clock;
use shared::domain::FiscalCode;
use shared::domain::catalogue::{Catalogue, InDubbio};
use shared::service::validator;
use shared::settings::Live;
use shared::store::StoreError;
use shared::suspects::{self, CrashCount, Suspect, Suspects};
use shared::telemetry::metrics::Known;
use shared::telemetry::{FleetMetrics, Health, Process};
use shared::trace::Traces;
use shared::wire::{DispatchRequest, MessageRef};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const ENTE: &str = r#"
id = "borgochiaro"
denominazione = "Comune di Borgochiaro"
comune = "Borgochiaro"
fuso = "Europe/Rome"
[io]
account = "borgochiaro"
calls_per_5s = 150
[servizi.permesso-soggiorno]
chiave = "trial"
[servizi.permesso-soggiorno.variabili]
ufficio = "Ufficio Anagrafe"
url_prenotazione = "https://prenota.example.it"
url_info = "https://info.example.it"
url_disdetta = "https://prenota.example.it/disdici"
url_pratica = "https://pratiche.example.it/{numero_pratica}"
"#;

fn in_force() -> InForce {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/catalogue");
    let catalogue = Arc::new(Catalogue::load(&root).unwrap());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("borgochiaro.toml"), ENTE).unwrap();
    let live = Live::load(folder.path(), validator(&catalogue)).unwrap();
    InForce::compile(catalogue, live.current()).unwrap()
}

/// Remembers what failed; counts as ours unless told otherwise, and is away for the first `away` calls.
#[derive(Clone, Default)]
struct Failures {
    told: Arc<Mutex<Vec<(String, String)>>>,
    away: Arc<Mutex<u32>>,
    superseded: bool,
    /// How often each was in hand when a process ended.
    ends: Arc<Mutex<HashMap<Suspect, u32>>>,
}

impl CrashCount for Failures {
    async fn of(&self, suspect: &Suspect) -> Result<u32, StoreError> {
        Ok(self.ends.lock().unwrap().get(suspect).copied().unwrap_or(0))
    }

    async fn note(&self, suspect: &Suspect, count: u32) -> Result<(), StoreError> {
        self.ends.lock().unwrap().insert(*suspect, count);
        Ok(())
    }

    async fn forget(&self, suspect: &Suspect) -> Result<(), StoreError> {
        self.ends.lock().unwrap().remove(suspect);
        Ok(())
    }
}

impl FailureSink for Failures {
    async fn fail(&self, message: &MessageRef, _: &FiscalCode, code: &str) -> Result<bool, StoreError> {
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return Err(StoreError::Unreadable("test"));
        }
        self.told.lock().unwrap().push((message.chiave.clone(), code.to_owned()));
        Ok(!self.superseded)
    }
}

fn request() -> Value {
    json!({
        "v": 1, "ente": "borgochiaro", "servizio": "permesso-soggiorno", "pratica": "P1",
        "messaggio": "permesso-in-scadenza", "chiave": "k1", "evento": "e1", "caso": "c1", "slot": 0,
        "attempt": 2, "codice_fiscale": "RSSMRA85T10A562S",
        "campi": { "data_scadenza": "2027-06-30" }, "dovuto_ms": 7,
    })
}

fn without_the_date() -> Value {
    let mut body = request();
    body["campi"] = json!({});
    body
}

/// Runs a worker over these bodies until every one of them is settled.
async fn settle(broker: &MemoryBroker, sink: Failures, bodies: &[String]) -> FleetMetrics {
    for body in bodies {
        broker.publish(Outgoing::new(WORK, RENDER, "m", body.clone())).await.unwrap();
    }
    let metrics =
        FleetMetrics::register(&prometheus::Registry::new(), Process::Renderer, &Known::default()).unwrap();
    let shutdown = CancellationToken::new();
    let (_keep, in_force) = watch::channel(Arc::new(in_force()));
    let worker = Worker::new(Parts {
        publisher: broker.clone(),
        suspects: Suspects::new(sink.clone(), suspects::CROWD, || true),
        sink,
        in_force,
        in_doubt: InDubbio::Hold,
        clock: Clock::system(),
        metrics: metrics.clone(),
        traces: Traces::off(),
        health: Health::new(&[]),
        shutdown: shutdown.clone(),
    });
    let in_hand = TaskTracker::new();
    let deliveries = broker.subscribe(RENDER_QUEUE, 500);
    let settled = async {
        while !broker.waiting(RENDER_QUEUE).is_empty() || broker.in_hand() > 0 {
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        shutdown.cancel();
    };
    let both = async { tokio::join!(worker.run(deliveries, &in_hand), settled) };
    tokio::time::timeout(Duration::from_mins(1), both).await.unwrap();
    in_hand.close();
    in_hand.wait().await;
    metrics
}

fn broker() -> MemoryBroker {
    MemoryBroker::new(Topology::fleet())
}

/// Code and reason of the first dead letter.
async fn dead_letter(broker: &MemoryBroker) -> (String, String) {
    let mut deliveries = broker.subscribe(DEAD_QUEUE, 1);
    let delivery = deliveries.next().await.unwrap();
    let header = |name| delivery.header(name).unwrap().to_owned();
    (header("x-promemoria-code"), header("x-promemoria-reason"))
}

#[tokio::test(start_paused = true)]
async fn what_is_due_reaches_the_dispatcher_written() {
    let broker = broker();
    settle(&broker, Failures::default(), &vec![request().to_string(); 200]).await;
    let written = broker.waiting(DISPATCH_QUEUE);
    assert_eq!(written.len(), 200);
    let sent: DispatchRequest = serde_json::from_slice(&written[0]).unwrap();
    assert!(sent.content.markdown.contains("scadrà il 30/06/2027"));
    assert_eq!((sent.message.attempt, sent.dovuto_ms), (2, 7));
    assert!(broker.waiting(DEAD_QUEUE).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_delays_and_loses_nothing() {
    let broker = broker();
    let bodies = [request().to_string(), without_the_date().to_string()];
    for body in &bodies {
        broker.publish(Outgoing::new(WORK, RENDER, "m", body.clone())).await.unwrap();
    }
    broker.fail_publishes(3);
    settle(&broker, Failures::default(), &[]).await;
    assert_eq!((broker.waiting(DISPATCH_QUEUE).len(), broker.waiting(DEAD_QUEUE).len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_ends_as_failed_with_its_reason() {
    let (broker, sink) = (broker(), Failures::default());
    *sink.away.lock().unwrap() = 2;
    let metrics = settle(&broker, sink.clone(), &[without_the_date().to_string()]).await;
    assert_eq!(*sink.told.lock().unwrap(), [("k1".to_owned(), "variable".to_owned())]);
    let (code, reason) = dead_letter(&broker).await;
    assert_eq!(code, "variable");
    assert!(reason.contains("`data_scadenza`"), "{reason}");
    assert!(broker.waiting(DISPATCH_QUEUE).is_empty());
    assert_eq!(metrics.dead.with_label_values(&["variable"]).get(), 1);
    let failed = ["borgochiaro", "permesso-in-scadenza", "fallito"];
    assert_eq!(metrics.messages.with_label_values(&failed).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_ended_every_process_is_given_up_and_its_neighbours_are_written() {
    let (broker, sink) = (broker(), Failures::default());
    sink.ends.lock().unwrap().insert(Suspect::of(RENDER_QUEUE, b"k1"), 2);
    let mut neighbour = request();
    neighbour["chiave"] = json!("k2");
    // Emitted before and new to this process, as it comes when a lease ended meanwhile.
    let metrics = settle(&broker, sink.clone(), &[request().to_string(), neighbour.to_string()]).await;
    assert_eq!(*sink.told.lock().unwrap(), [("k1".to_owned(), "attempts".to_owned())]);
    assert_eq!(broker.waiting(DISPATCH_QUEUE).len(), 1);
    let (code, reason) = dead_letter(&broker).await;
    assert_eq!((code.as_str(), reason.as_str()), ("attempts", suspects::ENDED_EVERYONE));
    assert_eq!(metrics.dead.with_label_values(&["attempts"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_superseded_emission_is_nobodys_failure() {
    let (broker, sink) = (broker(), Failures { superseded: true, ..Failures::default() });
    settle(&broker, sink, &[without_the_date().to_string()]).await;
    assert!(broker.waiting(DEAD_QUEUE).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_of_a_later_release_is_left_to_its_lease() {
    let mut newer = request();
    newer["v"] = json!(2);
    newer["domani"] = json!(true);
    newer["campi"] = json!("otherwise");
    let broker = broker();
    let metrics = settle(&broker, Failures::default(), &[newer.to_string(), request().to_string()]).await;
    assert!(broker.waiting(DEAD_QUEUE).is_empty());
    assert_eq!(broker.waiting(DISPATCH_QUEUE).len(), 1);
    assert_eq!(metrics.foreign.with_label_values(&["render"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_read_is_dead_lettered_and_the_next_goes_on() {
    let mut stranger = request();
    stranger["ente"] = json!("altrove");
    let mut secret = request();
    secret["codice_fiscale"] = json!("RSSMRA85T10A562X");
    for (body, expected) in [
        (String::new(), "json"),
        ("{\"v\":1}".to_owned(), "json"),
        ("{\"v\":\"segreto\"}".to_owned(), "json"),
        (secret.to_string(), "json"),
        (stranger.to_string(), "ente"),
    ] {
        let broker = broker();
        settle(&broker, Failures::default(), &[body.clone(), request().to_string()]).await;
        assert_eq!(broker.waiting(DEAD_QUEUE), [body.as_str()]);
        assert_eq!(broker.waiting(DISPATCH_QUEUE).len(), 1);
        let (code, reason) = dead_letter(&broker).await;
        assert_eq!(code, expected);
        for value in ["segreto", "RSSMRA", "altrove"] {
            assert!(!reason.contains(value), "{reason}");
        }
    }
}
