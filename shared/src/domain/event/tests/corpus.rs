//! The kept corpus of events (`shared/tests/corpus/events`), each with its verdict, and damaged copies of it,
//! through the check and on through the renderer.
//!
//! Longer, and led by coverage: `make fuzz`.

use std::path::Path;
use std::sync::LazyLock;

use bolero::check;

use super::{CATALOGUE, ENTE};
use crate::corpus::{CASES, Edit, any_of, edited, files};
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
fn survive(body: &[u8]) {
    let event = match taken(body) {
        Ok(event) => event,
        Err(refusal) => {
            for personal in ["RSSMRA85T10A562S", "Mario", "Rossi"] {
                assert!(!refusal.reason.contains(personal), "{}", refusal.reason);
            }
            return;
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
        assert!((10..=120).contains(&units(&sent.content.subject)), "{}", message.id);
        assert!((80..=10_000).contains(&units(&sent.content.markdown)), "{}", message.id);
        assert!(!sent.content.subject.contains(['\n', '\r']), "{}", message.id);
    }
}

#[test]
fn damaged_copies_of_the_corpus_survive() {
    check!().with_iterations(CASES).with_type::<(u16, u16, Vec<Edit>)>().for_each(|(input, other, edits)| {
        survive(&edited(any_of(&CORPUS, *input), any_of(&CORPUS, *other), edits));
    });
}

/// Most inputs are refused early; these are good but for one or two changes, and get far.
#[test]
fn good_events_with_little_damage_survive() {
    let (_, good) = CORPUS.iter().find(|(name, _)| name == "good.json").expect("good.json");
    check!().with_iterations(CASES).with_type::<(Edit, Edit)>().for_each(|(one, two)| {
        survive(&edited(good, b"", &[*one, *two]));
    });
}
