//! `timers`, `case show`, `in-doubt`.

use serde_json::{Value, json};
use shared::broker::{Consumer as _, Deliveries, Delivery, RabbitMq, topology};
use shared::service;
use shared::settings::Settings;
use shared::store::{CaseStore, Redis};

use crate::store::{put_in_doubt, take_rent};
use crate::trial::{DEADLINE, ENTE, Trial};

pub(crate) async fn what_is_armed_and_in_doubt_is_shown_and_decided(trial: &Trial) {
    let redis = trial.redis().await;
    take_rent(trial, &redis).await;
    let (timers, code) = trial.json(&["timers", "--ente", ENTE]).await;
    assert_eq!((timers["timers"].as_array().unwrap().len(), code), (3, 0), "{timers}");
    assert_eq!(timers["timers"][0]["nome"], "alloggi-avviso-canone");
    the_horizon_counts_what_is_near(&redis).await;
    let (first, _) = trial.json(&["timers", "--ente", ENTE, "--limit", "1"]).await;
    assert_eq!(first["more"], true);
    let (case, code) = trial.json(&["case", "show", ENTE, "CAN/9"]).await;
    assert_eq!(code, 0);
    let case = &case["cases"][0];
    assert_eq!((&case["events"][0]["id"], &case["events_taken"]), (&json!("avviso-1"), &json!(1)));
    assert_eq!(case["messages"].as_array().unwrap().len(), 3);
    assert_eq!(trial.run(&["case", "show", ENTE, "nessuna"]).await.code, 1);

    put_in_doubt(&redis).await;
    let (list, code) = trial.json(&["in-doubt", "list"]).await;
    assert_eq!((&list["in_doubt"][0]["why"], code), (&json!("timeout"), 1), "{list}");
    assert_eq!(
        (&list["in_doubt"][0]["politica"], &list["in_doubt"][0]["until"]),
        (&json!("hold"), &Value::Null)
    );
    let chiave = list["in_doubt"][0]["chiave"].as_str().unwrap().to_owned();
    assert_eq!(trial.run(&["in-doubt", "drop", "0123"]).await.code, 1);
    let (resent, code) = trial.json(&["in-doubt", "resend", &chiave]).await;
    assert_eq!((&resent["resent"][0], code), (&json!(chiave), 0));
    assert_eq!(trial.json(&["in-doubt", "list"]).await.0["in_doubt"], json!([]));

    put_in_doubt(&redis).await;
    let broker = trial.broker().await;
    bind_outcomes(&trial.settings, "test.outcomes").await;
    let (dropped, code) = trial.json(&["in-doubt", "drop", "--all"]).await;
    assert_eq!((&dropped["dropped"][0], code), (&json!(chiave), 0));
    let told = outcome(&broker, "test.outcomes").await;
    assert_eq!(told["type"], "messaggio.fallito");
    assert_eq!(
        (&told["data"]["chiave"], &told["data"]["codice"]),
        (&json!(chiave), &json!("in-doubt-dropped"))
    );
    let (case, _) = trial.json(&["case", "show", ENTE, "CAN/9"]).await;
    let states: Vec<&Value> =
        case["cases"][0]["messages"].as_array().unwrap().iter().map(|m| &m["state"]).collect();
    assert_eq!(states, ["fallito", "armed", "armed"]);
    broker.close().await;
}

/// The notice itself is due; its reminders are days away.
async fn the_horizon_counts_what_is_near(redis: &Redis) {
    let cases = CaseStore::new(redis.clone());
    let now_ms = redis.now_ms().await.unwrap();
    let near = cases.horizon(ENTE, now_ms).await.unwrap();
    assert_eq!((near.due, near.today), (1, 1));
    assert!(near.next_ms.is_some_and(|next_ms| next_ms <= now_ms));
    let far = cases.horizon(ENTE, now_ms + 60 * 86_400_000).await.unwrap();
    assert_eq!((far.due, far.today, far.next_ms), (1, 3, near.next_ms));
    let none = cases.horizon("nessuno", now_ms).await.unwrap();
    assert_eq!((none.due, none.today, none.next_ms), (0, 0, None));
}

async fn outcome(broker: &RabbitMq, queue: &str) -> Value {
    let mut deliveries = broker.subscribe(queue, 10);
    let delivery: Delivery = tokio::time::timeout(DEADLINE, deliveries.next()).await.unwrap().unwrap();
    let body = serde_json::from_slice(&delivery.body).unwrap();
    assert!(delivery.ack());
    body
}

/// A queue of the test's own on the outcomes.
async fn bind_outcomes(settings: &Settings, queue: &str) {
    let mut options = service::broker_options(settings, "test");
    let plain = topology::Queue {
        name: queue.to_owned(),
        dead_letter_exchange: None,
        delivery_limit: topology::NO_DELIVERY_LIMIT,
        keeps_last: false,
    };
    let binding = topology::Binding {
        exchange: topology::OUTCOMES.to_owned(),
        queue: queue.to_owned(),
        routing_key: "#".to_owned(),
    };
    options.topology.queues.push(plain);
    options.topology.bindings.push(binding);
    let broker = RabbitMq::start(options).unwrap();
    broker.wait_until_up(DEADLINE).await.unwrap();
    broker.close().await;
}
