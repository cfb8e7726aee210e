//! `doctor`.

use serde_json::{Value, json};

use crate::trial::Trial;

pub(crate) async fn the_doctor_says_what_is_wrong(trial: &Trial) {
    let (report, code) = trial.json(&["doctor"]).await;
    let findings = report["findings"].as_array().unwrap();
    let state =
        |what: &str| findings.iter().find(|it| it["what"] == what).map_or(&Value::Null, |it| &it["state"]);
    assert_eq!(state("rabbitmq"), "ok", "{report}");
    assert_eq!(state("redis"), "ok", "{report}");
    assert_eq!(state("topology"), "ok", "{report}");
    assert_eq!(state("processes"), "note", "nobody runs: {report}");
    assert_eq!(state("queue promemoria.render"), "bad", "nobody consumes: {report}");
    assert_eq!((state("io"), code), (&json!("away"), 69), "nothing listens there: {report}");
}
