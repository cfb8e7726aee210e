//! Framing, size, duplicate keys, identity, envelope: one row a case of the corpus.

use serde_json::{Value, json};

use super::{A, CATALOGUE, ENTE, example, parse};
use crate::domain::event::{CaseEvent, LARGEST_BODY, Refusal, RefusalCode};

const TYPE: &str = "pagamento.avviso-emesso";
const KEY: &str = "borgochiaro.pagamento.avviso-emesso";

fn raw(body: &[u8], content_type: Option<&str>, key: &str) -> Result<CaseEvent, Refusal> {
    CaseEvent::parse(body, content_type, key, &CATALOGUE, |id| (id == "borgochiaro").then_some(&*ENTE))
}

fn good() -> String {
    example(A, TYPE).to_string()
}

#[test]
fn a_body_that_is_not_one_json_document_is_refused() {
    let good = good();
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&str, Vec<u8>); 14] = [
        ("empty", Vec::new()),
        ("not JSON", b"ciao".to_vec()),
        ("truncated", good.as_bytes()[..good.len() - 1].to_vec()),
        ("trailing bytes", format!("{good}x").into_bytes()),
        ("two documents", format!("{good}{good}").into_bytes()),
        ("byte order mark", format!("\u{feff}{good}").into_bytes()),
        ("UTF-16", utf16),
        ("invalid UTF-8", [good.as_bytes(), b"\xff"].concat()),
        ("invalid UTF-8 in a string", good.replace("Rossi", "Ro\u{1}").into_bytes()),
        ("lone surrogate", good.replace("Rossi", "\\ud800").into_bytes()),
        ("compressed", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
        ("number out of range", good.replace("31050", "1e400").into_bytes()),
        ("a key twice", good.replacen('{', "{\"id\":\"altro\",", 1).into_bytes()),
        ("a key twice in data", good.replace("\"causale\"", "\"nome\":\"x\",\"causale\"").into_bytes()),
    ];
    for (name, body) in cases {
        let refusal = raw(&body, None, KEY).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Json, "{name}: {refusal}");
        assert!(!refusal.reason.contains("Rossi") && !refusal.reason.contains("altro"), "{name}: {refusal}");
        assert_eq!((refusal.event_id, refusal.subject), (None, None), "{name}");
    }
}

#[test]
fn depth_and_size_are_bounded_before_anything_else() {
    for depth in [33, 127, 128, 20_000] {
        let body = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(raw(body.as_bytes(), None, KEY).unwrap_err().code, RefusalCode::Json, "{depth}");
    }
    let deep = |depth: usize| {
        good().replacen('{', &format!("{{\"x\":{}{},", "[".repeat(depth), "]".repeat(depth)), 1)
    };
    assert!(raw(deep(31).as_bytes(), None, KEY).is_ok(), "32 levels with the event's own");
    let padded = |size: usize| good() + &" ".repeat(size - good().len());
    assert!(raw(padded(LARGEST_BODY).as_bytes(), None, KEY).is_ok());
    let refusal = raw(padded(LARGEST_BODY + 1).as_bytes(), Some("image/png"), KEY).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Size);
    let digits = good().replace("31050", &"9".repeat(60_000));
    assert_eq!(raw(digits.as_bytes(), None, KEY).unwrap_err().code, RefusalCode::Json);
}

#[test]
fn the_content_type_is_json_in_utf_8() {
    let cases = [
        (None, true),
        (Some(""), true),
        (Some("application/json"), true),
        (Some("application/cloudevents+json; charset=UTF-8"), true),
        (Some("Application/JSON;charset=\"utf-8\""), true),
        (Some("application/json; charset=utf-16"), false),
        (Some("application/cloudevents-batch+json"), false),
        (Some("text/plain"), false),
        (Some("application/octet-stream"), false),
    ];
    for (content_type, is_taken) in cases {
        let result = raw(good().as_bytes(), content_type, KEY);
        assert_eq!(result.is_ok(), is_taken, "{content_type:?}");
        if let Err(refusal) = result {
            assert_eq!(refusal.code, RefusalCode::ContentType);
        }
    }
}

#[test]
fn each_attribute_of_the_envelope_is_checked() {
    use RefusalCode::{Ente, Envelope, Time, Type, Version};
    let long = "x".repeat(129);
    let cases: [(&str, Value, RefusalCode); 34] = [
        ("specversion", json!("0.3"), Envelope),
        ("specversion", json!(1.0), Envelope),
        ("id", json!(null), Envelope),
        ("id", json!(7), Envelope),
        ("id", json!(""), Envelope),
        ("id", json!("  "), Envelope),
        ("id", json!(long), Envelope),
        ("id", json!("a\u{0}b"), Envelope),
        ("id", json!("a\nb"), Envelope),
        ("source", json!(""), Envelope),
        ("subject", json!(long), Envelope),
        ("subject", json!("a\u{7f}"), Envelope),
        ("type", json!(null), Envelope),
        ("type", json!("permesso.perduto"), Type),
        ("servizio", json!("biblioteca"), Envelope),
        ("servizio", json!("permesso-soggiorno"), Type),
        ("servizio", json!(null), Envelope),
        ("ente", json!(["borgochiaro"]), Envelope),
        ("dataschema", json!("https://example.it/schemi/v2"), Version),
        ("dataschema", json!(1), Version),
        ("sequence", json!(-1), Envelope),
        ("sequence", json!(1.5), Envelope),
        ("sequence", json!("1x"), Envelope),
        ("sequence", json!(""), Envelope),
        ("sequence", json!("18446744073709551616"), Envelope),
        ("time", json!("2027-01-18T10:00:00"), Time),
        ("time", json!("2027-01-18"), Time),
        ("time", json!(1_800_000_000.5), Envelope),
        ("time", json!("2027-02-29T10:00:00Z"), Time),
        ("time", json!("0000-01-01T10:00:00Z"), Time),
        ("time", json!("9999-01-01T10:00:00Z"), Time),
        ("time", json!("2016-12-31T23:59:60Z"), Time),
        ("data", json!([]), Envelope),
        ("data", json!(null), Envelope),
    ];
    for (name, value, code) in cases {
        let mut event = example(A, TYPE);
        event[name] = value.clone();
        let refusal = raw(event.to_string().as_bytes(), None, KEY).unwrap_err();
        assert_eq!(refusal.code, code, "{name} = {value}: {refusal}");
        let named = if code == Type { "type" } else { name };
        assert!(refusal.reason.starts_with(named), "{name}: {refusal}");
        event.as_object_mut().unwrap().remove(name);
        let optional = ["dataschema", "sequence"].contains(&name);
        assert_eq!(raw(event.to_string().as_bytes(), None, KEY).is_ok(), optional, "{name} left out");
    }
    let mut event = example(A, TYPE);
    event["ente"] = json!("altrove");
    let refusal = raw(event.to_string().as_bytes(), None, "altrove.pagamento.avviso-emesso").unwrap_err();
    assert_eq!(refusal.code, Ente);
}

#[test]
fn odd_but_legal_ids_are_taken_as_they_are() {
    for id in ["*", "{}", "a:b", "à", "EVENTO-1", "evento-1"] {
        let mut event = example(A, TYPE);
        event["id"] = json!(id);
        assert_eq!(parse(&event).unwrap().id, id);
    }
}

#[test]
fn an_integrator_of_one_ente_does_not_speak_for_another() {
    let body = good();
    for key in ["roccamarina.pagamento.avviso-emesso", "borgochiaro.pagamento.eseguito", "borgochiaro", ""] {
        assert_eq!(raw(body.as_bytes(), None, key).unwrap_err().code, RefusalCode::RoutingKey, "{key}");
    }
    let mut one_service = ENTE.clone();
    one_service.servizi.remove(A);
    let refusal = super::parse_with(&example(A, TYPE), &one_service).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Ente);
}

#[test]
fn a_refusal_names_the_event_where_it_can() {
    let mut event = example(A, TYPE);
    event["time"] = json!("ieri");
    let refusal = raw(event.to_string().as_bytes(), None, KEY).unwrap_err();
    assert_eq!(refusal.event_id.as_deref(), event["id"].as_str());
    assert_eq!(refusal.subject.as_deref(), Some("2026/0451"));
    event["id"] = json!("con\u{0}controllo");
    assert_eq!(raw(event.to_string().as_bytes(), None, KEY).unwrap_err().event_id, None);
}
