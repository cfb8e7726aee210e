//! One event, one message.

use std::time::Duration;

use serde_json::json;
use tests::fleet::client::{Client, metrics, sandbox_messages};
use tests::fleet::{Enti, Fleet};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_leads_to_one_message_and_its_outcomes() -> anyhow::Result<()> {
    let fleet = Fleet::start(crate::binaries(), &Enti::default()).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    client.publish_event(&event("spina-1")).await?;
    let outcomes = client
        .outcomes_until(Duration::from_mins(1), |all| all.iter().any(|o| o["type"] == "messaggio.consegnato"))
        .await?;
    let types: Vec<_> = outcomes.iter().map(|o| o["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(types, ["messaggio.inviato", "messaggio.consegnato"]);
    let sent = &outcomes[0]["data"];
    assert_eq!(sent["livello"], "STANDARD");
    assert_eq!(sent["messaggio"], "alloggi-domanda-presa-in-carico");
    assert_eq!(sent["evento"], "spina-1");
    let messages = sandbox_messages(fleet.ports.sandbox).await?;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["content"]["subject"], "La tua domanda è stata presa in carico");
    assert_eq!(messages[0]["id"], sent["io_id"]);
    assert!(!fleet.logs()?.contains("RSSMRA85T10A562S"), "a fiscal code in a log");
    every_stage_was_measured(&fleet).await?;
    fleet.shutdown().await
}

async fn every_stage_was_measured(fleet: &Fleet) -> anyhow::Result<()> {
    for (service, stages) in
        [("scheduler", &["intake", "claim"][..]), ("renderer", &["render"]), ("dispatcher", &["dispatch"])]
    {
        let text = metrics(fleet.ports.of(service)).await?;
        for stage in stages {
            let series = format!(r#"promemoria_stage_duration_seconds_count{{stage="{stage}"}} "#);
            let count = text.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("none");
            assert!(count.parse::<u64>()? > 0, "{stage} of {service}: {count}");
        }
    }
    let lag = metrics(fleet.ports.dispatcher).await?;
    assert!(lag.contains(r#"promemoria_sent_lag_seconds_count{ente="borgochiaro"} 1"#), "{lag}");
    Ok(())
}

fn event(id: &str) -> serde_json::Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://gestionale.example.it",
        "type": "domanda.protocollata", "subject": "D-1", "time": "2026-11-20T10:00:00+01:00",
        "ente": "borgochiaro", "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": "RSSMRA85T10A562S", "bando": "B27", "numero_protocollo": "2026/1",
            "url_domanda": "https://domande.example.it/1",
        },
    })
}
