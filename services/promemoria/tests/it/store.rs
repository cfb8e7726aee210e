//! Events in the store as the scheduler puts them there, and a message in doubt.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::arrival::{Arrival, Before};
use shared::clock::Clock;
use shared::domain::catalogue::Ruling;
use shared::domain::event::CaseEvent;
use shared::service;
use shared::store::{CaseStore, Commit, Redis, Unit};

use crate::trial::{CANARY, ENTE, TEXT, Trial};

/// A notice of rent that falls due in a month, taken as the scheduler takes it.
pub(crate) async fn take_rent(trial: &Trial, redis: &Redis) {
    let (catalogue, live) = service::in_force(&trial.settings).unwrap();
    let known = live.current();
    let ente = known.ente(ENTE).unwrap();
    let body = rent("avviso-1", Clock::system().now()).to_string();
    let key = format!("{ENTE}.pagamento.avviso-emesso");
    let event = CaseEvent::parse(body.as_bytes(), None, &key, &catalogue, |_| Some(ente)).unwrap();
    let hash = service::recipient_hash(&trial.settings);
    let arrival = Arrival::new(&event, &catalogue, ente, &hash).unwrap();
    let touches = arrival.touches();
    let ids: Vec<_> = touches.iter().map(|touch| touch.id).collect();
    let cases = CaseStore::new(redis.clone());
    let loaded = cases.load(ENTE, None, &ids, &[]).await.unwrap();
    let pending = |_| shared::domain::case::Progress::Pending;
    let before: Vec<Before<'_>> = ids.iter().map(|_| Before { case: None, progress: &pending }).collect();
    let change = arrival.plan(loaded.now_ms, &touches, &before, (&[], &[]));
    let units: Vec<(&Unit, _, _)> =
        change.cases.iter().map(|(at, case, actions)| (&loaded.units[*at], case, &actions[..])).collect();
    let commit = Commit { event: None, units, persons: Vec::new(), propagate: false };
    cases.commit(ENTE, &commit).await.unwrap();
}

/// The event of a notice of rent.
pub(crate) fn rent(id: &str, now: DateTime<Utc>) -> Value {
    let due = (now + TimeDelta::days(30)).format("%Y-%m-%d").to_string();
    json!({
        "specversion": "1.0", "id": id, "source": "https://gestionale.example.it",
        "type": "pagamento.avviso-emesso", "subject": "CAN/9", "time": now.to_rfc3339(),
        "ente": ENTE, "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": CANARY, "tipo": "canone", "codice_avviso": "302000000000000009",
            "importo_centesimi": 31050, "data_scadenza": due, "causale": TEXT, "nome": TEXT, "cognome": TEXT,
        },
    })
}

/// Puts the message that is due now in doubt, as a dispatcher does that gets no answer.
pub(crate) async fn put_in_doubt(redis: &Redis) {
    let cases = CaseStore::new(redis.clone());
    let claim = cases.claim(ENTE, 10, 60_000, (100, None)).await.unwrap();
    let entry = claim.entries.iter().find(|entry| entry.case.is_some()).expect("something is due");
    assert!(cases.rule(ENTE, entry, "timeout", (Ruling::Hold, 0)).await.unwrap());
}
