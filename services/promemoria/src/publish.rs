//! `publish`: events from files to the exchange, checked first.

mod files;

use serde_json::json;
use shared::broker::{Outgoing, Publisher, topology};
use shared::domain::event::CaseEvent;

use crate::connect;
use crate::report::{Failure, Report, counted};
use crate::setup::Setup;
pub(crate) use files::{Given, bytes, read_all, routing_key};

/// Checks every event of the files, then publishes all of them.
pub(crate) async fn run(setup: &Setup, files: &[std::path::PathBuf]) -> Result<Report, Failure> {
    let given = read_all(files)?;
    let messages = checked(setup, given)?;
    let count = messages.len();
    let ids: Vec<String> = messages.iter().map(|message| message.message_id.clone()).collect();
    let broker = connect::broker(&setup.settings).await?;
    let results = broker.publisher().publish_all(messages).await;
    broker.close().await;
    let failed: Vec<String> = results
        .iter()
        .zip(&ids)
        .filter_map(|(result, id)| Some(format!("{}: {}", crate::shown::shown(id), result.as_ref().err()?)))
        .collect();
    match failed.first() {
        None => {
            let text = format!("{} published and confirmed", counted(count, "event"));
            Ok(Report::good(text, json!({ "published": count, "ids": ids })))
        }
        Some(first) => Err(Failure::Away(format!(
            "{} of {count} not confirmed, the first {first}; publish the same files again: events that arrived \
             have no effect twice",
            failed.len()
        ))),
    }
}

/// The messages to publish, or every fault of every event.
fn checked(setup: &Setup, given: Vec<Given>) -> Result<Vec<Outgoing>, Failure> {
    let mut faults = Vec::new();
    let mut messages = Vec::new();
    for Given { place, body } in given {
        let key = routing_key(&body);
        let ente_of = |id: &str| setup.enti.ente(id).map(AsRef::as_ref);
        let event = CaseEvent::parse(&body, Some(CLOUDEVENTS), &key, &setup.catalogue, ente_of);
        match event {
            Ok(event) => messages.push(outgoing(&event, &key, body)),
            Err(refusal) => faults.push(format!("{place}: {refusal}")),
        }
    }
    if faults.is_empty() {
        return Ok(messages);
    }
    let good = messages.len();
    faults.push(format!(
        "nothing published: {} bad, {good} good; mend them and publish again",
        counted(faults.len(), "event")
    ));
    Err(Failure::Fault(faults))
}

const CLOUDEVENTS: &str = "application/cloudevents+json";

fn outgoing(event: &CaseEvent, key: &str, body: Vec<u8>) -> Outgoing {
    let mut message = Outgoing::new(topology::EVENTS, key, event.id.clone(), body);
    CLOUDEVENTS.clone_into(&mut message.content_type);
    message.with_trace(event.traceparent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::tests::setup;
    use shared::domain::catalogue::example_event;

    fn event(tipo: &str) -> serde_json::Value {
        example_event(&setup().catalogue, "permesso-soggiorno", tipo).unwrap()
    }

    fn given(event: &serde_json::Value) -> Given {
        Given { place: "e.json".to_owned(), body: event.to_string().into_bytes() }
    }

    #[test]
    fn a_good_event_goes_out_as_it_came_with_its_own_id() {
        let event = event("permesso.rinnovato");
        let messages = checked(&setup(), vec![given(&event)]).unwrap();
        let message = &messages[0];
        assert_eq!(message.exchange, "promemoria.events");
        assert_eq!(message.routing_key, "borgochiaro.permesso.rinnovato");
        assert_eq!(message.message_id, event["id"].as_str().unwrap());
        assert_eq!(message.content_type, "application/cloudevents+json");
        assert_eq!(message.body, event.to_string().into_bytes());
        assert!(message.mandatory);
    }

    #[test]
    fn one_bad_event_stops_all_and_every_fault_is_told() {
        let good = event("permesso.rinnovato");
        let mut bad = good.clone();
        bad["data"]["codice_fiscale"] = "RSSMRA85T10A562A".into();
        let mut worse = good.clone();
        worse["ente"] = "altrove".into();
        let Err(Failure::Fault(lines)) = checked(&setup(), vec![given(&bad), given(&good), given(&worse)])
        else {
            panic!("must be refused");
        };
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("e.json: fiscal-code: data.codice_fiscale"), "{lines:?}");
        assert!(lines[1].starts_with("e.json: ente: "), "{lines:?}");
        assert!(lines[2].contains("2 events bad, 1 good"), "{lines:?}");
        assert!(!lines.concat().contains("RSSMRA"), "{lines:?}");
    }
}
