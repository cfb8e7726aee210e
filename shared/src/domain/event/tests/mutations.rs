//! Whatever comes, the check answers: it never panics, and never repeats what a person is called.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CATALOGUE, ENTE, example};
use crate::domain::event::CaseEvent;

fn check(body: &[u8], key: &str) -> Result<(), TestCaseError> {
    let parsed = CaseEvent::parse(body, None, key, &CATALOGUE, |id| (id == "borgochiaro").then_some(&*ENTE));
    match parsed {
        Ok(event) => {
            let tipo = &CATALOGUE.servizi[&event.servizio].eventi[&event.tipo];
            prop_assert!(event.derived(tipo, &ENTE, &CATALOGUE).len() >= event.fields.len());
        }
        Err(refusal) => {
            for personal in ["RSSMRA85T10A562S", "Mario", "Rossi"] {
                prop_assert!(!refusal.reason.contains(personal), "{}", refusal.reason);
            }
        }
    }
    Ok(())
}

/// Every (service, type).
fn kinds() -> Vec<(String, String)> {
    let services = CATALOGUE.servizi.iter();
    services.flat_map(|(id, s)| s.eventi.keys().map(|tipo| (id.clone(), tipo.clone()))).collect()
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        ".{0,40}".prop_map(Value::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}".prop_map(Value::from),
        "(19|20|22|99)[0-9]{2}-(02|12)-(28|29|31)".prop_map(Value::from),
        "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](Z|[+-][0-2][0-9]:[0-5][0-9])"
            .prop_map(Value::from),
        "https://[a-z@:\\\\.\u{e0} ]{0,20}".prop_map(Value::from),
        "[A-Za-z]{6}[0-9L-V]{2}[A-T][0-9]{2}[A-Z][0-9]{3}[A-Z]".prop_map(Value::from),
        prop::collection::vec(".{0,20}", 0..4).prop_map(|list| json!(list)),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300), key in ".{0,60}") {
        check(&body, &key)?;
    }

    #[test]
    fn good_events_with_bytes_changed_never_panic(
        kind in prop::sample::select(kinds()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut body = example(&kind.0, &kind.1).to_string().into_bytes();
        for (place, byte) in changes {
            let place = place.index(body.len());
            body[place] = byte;
        }
        let parsed = CaseEvent::parse(&body, None, &format!("borgochiaro.{}", kind.1), &CATALOGUE, |_| Some(&*ENTE));
        prop_assert!(parsed.is_ok() || parsed.is_err());
    }

    #[test]
    fn good_events_with_odd_values_never_panic(
        kind in prop::sample::select(kinds()),
        place in any::<prop::sample::Index>(),
        in_data in any::<bool>(),
        value in odd_value(),
    ) {
        let mut event = example(&kind.0, &kind.1);
        let object = if in_data { event["data"].as_object_mut() } else { event.as_object_mut() };
        if let Some((_, slot)) = object.and_then(|o| { let n = o.len(); o.iter_mut().nth(place.index(n)) }) {
            *slot = value;
        }
        check(event.to_string().as_bytes(), &format!("borgochiaro.{}", kind.1))?;
    }
}
