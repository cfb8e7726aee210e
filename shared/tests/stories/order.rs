//! The order in which a case's events come, and how often, changes nothing of what is armed; nothing is
//! due before its moment; an older event never undoes a cancellation.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::domain::render::Texts;
use shared::simulate::{Simulation, World};

use crate::world::{CF1, Event, Which, body, catalogue, ente, hash, local, texts, with};

/// One event of a history: hours after the beginning, type, data.
#[derive(Debug, Clone)]
struct Step {
    hours: i64,
    tipo: &'static str,
    data: Value,
}

fn day(offset: u16) -> String {
    let start = NaiveDate::from_ymd_opt(2031, 1, 1).expect("a date");
    (start + chrono::Days::new(u64::from(offset))).to_string()
}

/// Events of a permit's case, whose dates lie years ahead.
fn permit_step() -> impl Strategy<Value = Step> {
    let permit = |expiry: u16, released: u16| json!({ "tipo_permesso": "O", "data_rilascio": day(released), "data_scadenza": day(800 + expiry) });
    let step = prop_oneof![
        (0..400u16, 0..40u16).prop_map(move |(e, r)| ("permesso.registrato", permit(e, r))),
        (0..400u16, 0..40u16).prop_map(move |(e, r)| ("permesso.rinnovato", permit(e, r))),
        (0..40u16).prop_map(|d| ("permesso.rinnovo-richiesto", json!({ "data_richiesta": day(d) }))),
        (0..40u16, prop::sample::select(vec!["rigettato", "revocato", "rinuncia"]))
            .prop_map(|(d, motivo)| ("permesso.cessato", json!({ "data": day(d), "motivo": motivo }))),
        (0..60u16).prop_map(|d| ("dimora.dichiarata", json!({ "data_dichiarazione": day(d) }))),
        (200..300u16).prop_map(|d| {
            ("cancellazione.avviata", json!({ "motivo": "mancato-rinnovo", "data_limite_invito": day(d) }))
        }),
        (0..40u16).prop_map(|d| ("cancellazione.archiviata", json!({ "data": day(d) }))),
    ];
    (0..2000i64, step).prop_map(|(hours, (tipo, data))| Step { hours, tipo, data })
}

/// Events of a rent notice.
fn rent_step() -> impl Strategy<Value = Step> {
    let code = "302000000000000001";
    let step = prop_oneof![
        (0..300u16, 1..9000i64).prop_map(move |(due, cents)| {
            (
                "pagamento.avviso-emesso",
                json!({
                    "tipo": "canone", "codice_avviso": code, "importo_centesimi": cents,
                    "data_scadenza": day(100 + due), "causale": "Canone", "nome": "M", "cognome": "R",
                }),
            )
        }),
        (0..300u16).prop_map(move |due| {
            ("pagamento.aggiornato", json!({ "codice_avviso": code, "data_scadenza": day(100 + due) }))
        }),
        (1..9000i64).prop_map(move |cents| {
            (
                "pagamento.aggiornato",
                json!({ "codice_avviso": code, "importo_centesimi": cents, "reinvia": false }),
            )
        }),
        Just(("pagamento.annullato", json!({ "codice_avviso": code }))),
    ];
    (0..2000i64, step).prop_map(|(hours, (tipo, data))| Step { hours, tipo, data })
}

/// Steps with their numbers.
type Steps = Vec<(usize, Step)>;

type Armed = BTreeSet<(String, String, i16, i64)>;

/// Publishes the steps in this order at one present instant, before anything is due.
fn armed_after(servizio: &str, texts: &Texts, steps: &[(usize, Step)]) -> Armed {
    let (ente, hash) = (ente(Which::N), hash());
    let now = local("2030-06-01 12:00");
    let world = World {
        catalogue: catalogue(),
        ente: &ente,
        texts,
        hash: &hash,
        not_on_io: std::collections::HashSet::new(),
        premium_refused: false,
    };
    let mut simulation = Simulation::new(world, now);
    for (number, step) in steps {
        let data = with(json!({ "codice_fiscale": CF1 }), step.data.clone());
        let id = format!("e{number}");
        let event = Event { servizio, tipo: step.tipo, pratica: "P", id, data };
        let time = local("2030-01-01 00:00") + chrono::TimeDelta::hours(step.hours);
        simulation.publish(&body(&event, time), &format!("borgochiaro.{}", step.tipo), now);
    }
    let armed = simulation.armed();
    armed.iter().map(|(_, p)| (p.rule.clone(), p.thing.clone(), p.firing, p.due_ms)).collect()
}

/// The steps, numbered, and the same with some repeated, shuffled.
fn orders(step: impl Strategy<Value = Step>) -> impl Strategy<Value = (Steps, Steps)> {
    prop::collection::vec(step, 1..7).prop_flat_map(|steps| {
        let numbered: Steps = steps.into_iter().enumerate().collect();
        let mut repeated = numbered.clone();
        repeated.extend(numbered.iter().step_by(2).cloned());
        (Just(numbered), Just(repeated).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_order_and_any_repetition_of_a_permit_s_events_arm_the_same((steps, other) in orders(permit_step())) {
        let texts = texts(&ente(Which::N));
        let service = "permesso-soggiorno";
        prop_assert_eq!(armed_after(service, &texts, &steps), armed_after(service, &texts, &other));
    }

    #[test]
    fn any_order_and_any_repetition_of_a_notice_s_events_arm_the_same((steps, other) in orders(rent_step())) {
        let texts = texts(&ente(Which::N));
        let service = "alloggi-sociali";
        prop_assert_eq!(armed_after(service, &texts, &steps), armed_after(service, &texts, &other));
    }

    #[test]
    fn every_reminder_is_due_at_nine_local_on_its_day(expiry in 0..1500u16) {
        let texts = texts(&ente(Which::N));
        let data = json!({ "tipo_permesso": "O", "data_scadenza": day(expiry) });
        let step = Step { hours: 0, tipo: "permesso.registrato", data };
        let end: NaiveDate = day(expiry).parse().expect("a date");
        for (rule, _, firing, due_ms) in armed_after("permesso-soggiorno", &texts, &[(0, step)]) {
            let due = at_rome(due_ms);
            prop_assert_eq!(due.format("%H:%M:%S").to_string(), "09:00:00", "both nights of the clock change");
            if rule == "permesso-in-scadenza" {
                prop_assert_eq!(due.date_naive(), end + chrono::TimeDelta::days(i64::from(firing)));
            } else {
                let six = shared::domain::calendar::add(end, 6, 1).expect("a date");
                prop_assert_eq!(due.date_naive(), six);
            }
        }
    }
}

fn at_rome(at_ms: i64) -> DateTime<chrono_tz::Tz> {
    let at: DateTime<Utc> = DateTime::from_timestamp_millis(at_ms).expect("an instant");
    at.with_timezone(&chrono_tz::Europe::Rome)
}

#[test]
fn a_cancellation_is_never_undone_by_an_older_event() {
    let texts = texts(&ente(Which::N));
    let step = |hours, tipo, data| Step { hours, tipo, data };
    let permit = json!({ "tipo_permesso": "O", "data_scadenza": day(500) });
    let steps = [
        (0, step(10, "permesso.rinnovo-richiesto", json!({ "data_richiesta": day(0) }))),
        (1, step(5, "permesso.registrato", permit)),
    ];
    assert!(armed_after("permesso-soggiorno", &texts, &steps).is_empty());
}
