//! The kept corpus of events (`shared/tests/corpus/events`), each with its verdict, and damaged copies of it,
//! through the check and on through the renderer.
//!
//! Longer: `PROPTEST_CASES=2000000 cargo test --release -p shared corpus`.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::{CATALOGUE, ENTE};
use crate::corpus::{Edit, edited, files};
use crate::domain::FiscalCode;
use crate::domain::catalogue::InDubbio;
use crate::domain::event::{CaseEvent, Refusal};
use crate::domain::render::{Texts, render};
use crate::formats;
use crate::wire::{MessageRef, RenderRequest};

static TEXTS: LazyLock<Texts> =
    LazyLock::new(|| Texts::compile(&CATALOGUE, [&*ENTE]).unwrap_or_else(|faults| panic!("{faults:#?}")));
static CORPUS: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| files(folder(), ".json"));

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/events"))
}

/// As the scheduler takes it, with the routing key that the body itself asks for.
fn taken(body: &[u8]) -> Result<CaseEvent, Refusal> {
    let known = serde_json::from_slice::<serde_json::Value>(body).ok();
    let word = |name: &str| known.as_ref().and_then(|body| body[name].as_str()).unwrap_or("-").to_owned();
    let key = format!("{}.{}", word("ente"), word("type"));
    CaseEvent::parse(body, None, &key, &CATALOGUE, |id| (id == ENTE.id).then_some(&*ENTE))
}

#[test]
fn each_input_has_the_verdict_that_lies_beside_it() {
    let verdicts = std::fs::read_to_string(folder().join("verdicts.txt")).unwrap();
    let found: String = CORPUS
        .iter()
        .map(|(name, body)| match taken(body) {
            Ok(_) => format!("{name}: taken\n"),
            Err(refusal) => format!("{name}: {}\n", refusal.code.as_str()),
        })
        .collect();
    assert_eq!(found, verdicts);
}

/// Takes and renders; whatever comes, nothing panics, a refusal names no one, and what is rendered is within
/// IO's limits.
fn survive(body: &[u8]) -> Result<(), TestCaseError> {
    let event = match taken(body) {
        Ok(event) => event,
        Err(refusal) => {
            for personal in ["RSSMRA85T10A562S", "Mario", "Rossi"] {
                prop_assert!(!refusal.reason.contains(personal), "{}", refusal.reason);
            }
            return Ok(());
        }
    };
    let service = &CATALOGUE.servizi[&event.servizio];
    let campi = event.derived(&service.eventi[&event.tipo], &ENTE, &CATALOGUE);
    let led_to =
        service.messaggi.values().filter(|m| m.regola.innesco.iter().any(|t| t.evento == event.tipo));
    for message in led_to {
        let request = RenderRequest {
            v: formats::RENDER.written(),
            message: MessageRef {
                ente: ENTE.id.clone(),
                servizio: event.servizio.clone(),
                pratica: event.pratica.clone(),
                messaggio: message.id.clone(),
                chiave: "k".to_owned(),
                evento: event.id.clone(),
                caso: "c".to_owned(),
                slot: 0,
                attempt: 1,
                traceparent: None,
            },
            codice_fiscale: FiscalCode::parse("AAAAAA00A00A000A").unwrap(),
            campi: campi.clone(),
            solo_standard: false,
            dovuto_ms: 1,
            utile_fino_ms: None,
            accolto_ms: None,
        };
        let Ok(sent) = render(&TEXTS, &CATALOGUE, &ENTE, &request, InDubbio::Hold) else { continue };
        let units = |text: &str| text.encode_utf16().count();
        prop_assert!((10..=120).contains(&units(&sent.content.subject)), "{}", message.id);
        prop_assert!((80..=10_000).contains(&units(&sent.content.markdown)), "{}", message.id);
        prop_assert!(!sent.content.subject.contains(['\n', '\r']), "{}", message.id);
    }
    Ok(())
}

/// 2,000 cases unless `PROPTEST_CASES` says otherwise.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn damaged_copies_of_the_corpus_survive(
        input in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        edits in prop::collection::vec(any::<Edit>(), 0..8),
    ) {
        let (input, other) = (&input.get(&CORPUS).1, &other.get(&CORPUS).1);
        survive(&edited(input, other, &edits))?;
    }

    /// Most inputs are refused early; these are good but for one or two changes, and get far.
    #[test]
    fn good_events_with_little_damage_survive(edits in prop::collection::vec(any::<Edit>(), 0..3)) {
        let good = CORPUS.iter().find(|(name, _)| name == "good.json").map(|(_, body)| body);
        let good = good.ok_or_else(|| TestCaseError::fail("good.json is gone"))?;
        survive(&edited(good, b"", &edits))?;
    }
}
