//! Whatever happens, and however late: what is sent and told carries the trace context of the event it names.

use serde_json::{Value, json};
use shared::domain::TraceContext;
use shared::simulate::{Simulation, What, World};

use crate::world::{CF1, Event, Which, body, catalogue, ente, hash, local, texts};

/// The context of the event with this number.
fn traceparent(number: u8) -> String {
    format!("00-0af7651916cd43dd8448eb211c8031{number:02x}-b7ad6b7169203331-01")
}

fn event(number: u8, at: &str, (tipo, data): (&str, Value)) -> Vec<u8> {
    let pratica = "2026/0451";
    let event = Event { servizio: "permesso-soggiorno", tipo, pratica, id: format!("e{number}"), data };
    let mut event: Value = serde_json::from_slice(&body(&event, local(at))).expect("JSON");
    event["traceparent"] = traceparent(number).into();
    event.to_string().into_bytes()
}

#[test]
fn a_reminder_of_next_year_and_its_cancellation_name_the_event_that_armed_them() {
    let (ente, hash) = (ente(Which::N), hash());
    let texts = texts(&ente);
    let world = World {
        catalogue: catalogue(),
        ente: &ente,
        texts: &texts,
        hash: &hash,
        not_on_io: [].into(),
        premium_refused: false,
    };
    let mut simulation = Simulation::new(world, local("2026-01-01 00:00"));
    let permit = json!({ "codice_fiscale": CF1, "tipo_permesso": "O", "data_rilascio": "2026-01-10", "data_scadenza": "2028-06-30" });
    let revoked = json!({ "codice_fiscale": CF1, "data": "2028-05-20", "motivo": "revocato" });
    for (number, at, (tipo, data)) in [
        (1, "2026-01-12 10:00", ("permesso.registrato", permit)),
        (2, "2028-05-20 10:00", ("permesso.cessato", revoked)),
    ] {
        let bytes = event(number, at, (tipo, data));
        simulation.publish(&bytes, &format!("borgochiaro.{tipo}"), local(at));
    }
    let (mut sent, mut told) = (0, 0);
    for moment in simulation.timeline() {
        let (event, trace) = match &moment.what {
            What::Sent(request) => {
                sent += 1;
                (request.message.evento.as_str(), request.message.traceparent)
            }
            What::Told(outcome) => {
                told += 1;
                (outcome.data["evento"].as_str().expect("an event"), outcome.traceparent)
            }
            _ => continue,
        };
        let number = event.trim_start_matches('e').parse().expect("a number");
        assert_eq!(trace, TraceContext::parse(&traceparent(number)), "{event}");
    }
    assert!(sent > 0 && told > 3, "{sent} sent, {told} told");
}
