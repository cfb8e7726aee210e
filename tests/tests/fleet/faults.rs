//! What goes wrong in ordinary life: repeated and bad events, processes that die, IO that throttles,
//! refuses Premium, or does not answer.

use std::time::Duration;

use anyhow::Context as _;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::{Value, json};
use tests::fleet::client::{Client, sandbox_fault, sandbox_faults_left, sandbox_messages};
use tests::fleet::{Enti, Fleet, SERVICES};
use tokio::time::{Instant, sleep};

/// How long each step may take on a busy machine.
const STEP: Duration = Duration::from_secs(90);

/// Between two looks at the sandbox. There is no event to wait for.
const GLANCE: Duration = Duration::from_millis(50);

/// Fictitious citizens: each scenario has its own, whose code must be in no log.
const CITIZENS: [&str; 5] =
    ["RSSMRA85T10A562S", "BNCLRA80A41F205G", "VRDLGI70B02H501G", "SPNDNL80R13C555T", "AAAAAA00A00A000A"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_in_ordinary_life() -> anyhow::Result<()> {
    let mut fleet = Fleet::start(crate::binaries(), &Enti::default()).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    repeated_events_send_once(&fleet, &mut client).await?;
    bad_events_are_refused_and_disturb_nothing(&fleet, &mut client).await?;
    a_throttled_message_goes_once(&fleet, &mut client).await?;
    an_unanswered_message_is_in_doubt_and_never_sent_again(&fleet, &mut client).await?;
    a_refused_premium_goes_standard_and_arms_the_reminder(&fleet, &mut client).await?;
    what_is_cancelled_while_its_request_is_out_does_not_go_again(&fleet, &mut client).await?;
    every_process_may_die(&mut fleet, &mut client).await?;
    let logs = fleet.logs()?;
    for secret in CITIZENS.iter().chain(&["trial-borgochiaro", "Cognome-canarino"]) {
        assert!(!logs.contains(secret), "{secret} is in a log");
    }
    fleet.shutdown().await
}

async fn repeated_events_send_once(fleet: &Fleet, client: &mut Client) -> anyhow::Result<()> {
    let event = registered("ripetuto", CITIZENS[0], "borgochiaro");
    for _ in 0..3 {
        client.publish_event(&event).await?;
    }
    let mut other = event.clone();
    other["data"]["numero_protocollo"] = "altro".into();
    client.publish_event(&other).await?;
    let outcomes = until(client, &["messaggio.inviato", "evento.rifiutato"]).await?;
    let refused = find(&outcomes, "evento.rifiutato")?;
    assert_eq!(refused["data"]["codice"], "conflict");
    assert_eq!(refused["data"]["evento"], "ripetuto");
    assert_eq!(sent_to(fleet, CITIZENS[0]).await?, 1);
    Ok(())
}

async fn bad_events_are_refused_and_disturb_nothing(
    fleet: &Fleet,
    client: &mut Client,
) -> anyhow::Result<()> {
    let good = registered("buono", CITIZENS[1], "borgochiaro");
    let with = |key: &str, value: Value| {
        let mut event = good.clone();
        event["id"] = format!("cattivo-{key}").into();
        match key.split_once('.') {
            Some(("data", field)) => event["data"][field] = value,
            _ => event[key] = value,
        }
        event.to_string().into_bytes()
    };
    let key = "borgochiaro.domanda.protocollata";
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("json", key, b"{".to_vec()),
        ("json", key, vec![0xff, 0xfe]),
        ("size", key, vec![b' '; 70_000]),
        ("envelope", key, with("specversion", "0.3".into())),
        ("time", key, with("time", "ieri".into())),
        (
            "routing-key",
            "roccamarina.domanda.protocollata",
            with("source", "https://altro.example.it".into()),
        ),
        ("fiscal-code", key, with("data.codice_fiscale", "BNCLRA80A41F205X".into())),
        ("url", key, with("data.url_domanda", "http://169.254.169.254/".into())),
        ("schema", key, with("data.numero_protocollo", json!(null))),
    ];
    let count = cases.len();
    for (_, key, body) in &cases {
        client.publish(key, body).await?;
    }
    client.publish_event(&good).await?;
    let mut refused = Vec::new();
    let mut sent = false;
    while refused.len() < count || !sent {
        let outcome = client.next_outcome(STEP).await?.context("a bad event was not told of")?;
        match outcome["type"].as_str() {
            Some("evento.rifiutato") => {
                refused.push(outcome["data"]["codice"].as_str().unwrap_or("-").to_owned());
            }
            Some("messaggio.inviato") => sent = true,
            _ => {}
        }
    }
    let mut wanted: Vec<&str> = cases.iter().map(|(code, _, _)| *code).collect();
    wanted.sort_unstable();
    refused.sort();
    assert_eq!(refused, wanted);
    dead_letters_keep_the_body(fleet, &cases).await?;
    assert_eq!(sent_to(fleet, CITIZENS[1]).await?, 1);
    Ok(())
}

/// Every refused body lies in `promemoria.dead`, byte for byte, with its code.
async fn dead_letters_keep_the_body(fleet: &Fleet, cases: &[(&str, &str, Vec<u8>)]) -> anyhow::Result<()> {
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(fleet.brokers.amqp_url(), properties).await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("promemoria.dead".into(), options, FieldTable::default()).await?;
    let mut found = Vec::new();
    while let Some(message) =
        channel.basic_get("promemoria.dead".into(), BasicGetOptions { no_ack: true }).await?
    {
        let headers = message.delivery.properties.headers().clone().unwrap_or_default();
        let code = headers.inner().get("x-promemoria-code").and_then(|value| value.as_long_string());
        let code = code.map(ToString::to_string).unwrap_or_default();
        found.push((code, message.delivery.data.clone()));
    }
    for (code, _, body) in cases {
        assert!(found.iter().any(|(c, b)| c == code && b == body), "no dead letter of {code} with its body");
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn a_throttled_message_goes_once(fleet: &Fleet, client: &mut Client) -> anyhow::Result<()> {
    let fault = json!({ "kind": "rate_limited", "calls": 3, "retry_after": 1, "fiscal_code": CITIZENS[2] });
    sandbox_fault(fleet.ports.sandbox, &fault).await?;
    client.publish_event(&registered("frenato", CITIZENS[2], "borgochiaro")).await?;
    until(client, &["messaggio.inviato"]).await?;
    assert_eq!(sent_to(fleet, CITIZENS[2]).await?, 1);
    Ok(())
}

async fn an_unanswered_message_is_in_doubt_and_never_sent_again(
    fleet: &Fleet,
    client: &mut Client,
) -> anyhow::Result<()> {
    let fault = json!({ "kind": "cut_after", "calls": 1, "operation": "submit", "fiscal_code": CITIZENS[3] });
    sandbox_fault(fleet.ports.sandbox, &fault).await?;
    client.publish_event(&registered("senza-risposta", CITIZENS[3], "borgochiaro")).await?;
    let outcomes = until(client, &["messaggio.in-dubbio"]).await?;
    assert_eq!(find(&outcomes, "messaggio.in-dubbio")?["data"]["politica"], "hold");
    // Another message of the same citizen comes and goes; the doubt stays alone.
    client.publish_event(&registered("dopo-il-dubbio", CITIZENS[3], "borgochiaro")).await?;
    until(client, &["messaggio.inviato"]).await?;
    assert_eq!(sent_to(fleet, CITIZENS[3]).await?, 2, "one in doubt, which IO did store, and one sent");
    Ok(())
}

async fn a_refused_premium_goes_standard_and_arms_the_reminder(
    fleet: &Fleet,
    client: &mut Client,
) -> anyhow::Result<()> {
    sandbox_fault(
        fleet.ports.sandbox,
        &json!({ "kind": "premium_forbidden", "calls": 1, "operation": "submit" }),
    )
    .await?;
    let notice = envelope(
        "ripiego",
        "pagamento.avviso-emesso",
        ("roccamarina", "R-1"),
        &json!({
            "codice_fiscale": CITIZENS[4], "tipo": "canone", "codice_avviso": "302000000000000077",
            "importo_centesimi": 31_050, "data_scadenza": "2030-04-10", "causale": "Canone",
            "nome": "Maria", "cognome": "Cognome-canarino",
        }),
    );
    client.publish_event(&notice).await?;
    let outcomes = client
        .outcomes_until(STEP, |all| {
            let reminder = |o: &Value| {
                o["type"] == "messaggio.programmato"
                    && o["data"]["messaggio"] == "alloggi-avviso-canone-in-scadenza"
            };
            all.iter().any(reminder) && all.iter().any(|o| o["type"] == "messaggio.inviato")
        })
        .await?;
    assert_eq!(find(&outcomes, "messaggio.inviato")?["data"]["livello"], "STANDARD");
    assert_eq!(sent_to(fleet, CITIZENS[4]).await?, 1);
    Ok(())
}

/// Planning leaves alone what may have left; when it comes back unsent, the cancellation counts.
async fn what_is_cancelled_while_its_request_is_out_does_not_go_again(
    fleet: &Fleet,
    client: &mut Client,
) -> anyhow::Result<()> {
    // Longer than the cancellation takes; within `io.request_timeout`.
    let fault = json!({ "kind": "server_error", "delay_ms": 2_000, "operation": "submit" });
    sandbox_fault(fleet.ports.sandbox, &fault).await?;
    let before = sent_to(fleet, CITIZENS[1]).await?;
    let notice = json!({ "codice_fiscale": CITIZENS[1], "codice_avviso": "302000000000000066" });
    let issued = json!({
        "codice_fiscale": CITIZENS[1], "tipo": "canone", "codice_avviso": notice["codice_avviso"],
        "importo_centesimi": 31_050, "data_scadenza": "2030-04-10", "causale": "Canone",
        "nome": "Maria", "cognome": "Cognome-canarino",
    });
    let of = ("borgochiaro", "R-2");
    client.publish_event(&envelope("emesso", "pagamento.avviso-emesso", of, &issued)).await?;
    let end = Instant::now() + STEP;
    while sandbox_faults_left(fleet.ports.sandbox).await? > 0 {
        anyhow::ensure!(Instant::now() < end, "the message did not reach the sandbox");
        sleep(GLANCE).await;
    }
    let mut annulled = envelope("annullato", "pagamento.annullato", of, &notice);
    annulled["time"] = "2026-11-20T10:00:01+01:00".into();
    client.publish_event(&annulled).await?;
    let of_notice = |o: &Value| o["data"]["messaggio"] == "alloggi-avviso-canone";
    let ended = |o: &Value| of_notice(o) && o["type"] != "messaggio.programmato";
    let outcomes = client.outcomes_until(STEP, |all| all.iter().any(ended)).await?;
    let outcome = outcomes.iter().find(|o| ended(o)).context("no outcome")?;
    assert_eq!(
        (&outcome["type"], &outcome["data"]["motivo"]),
        (&json!("messaggio.scartato"), &json!("annullato"))
    );
    assert_eq!(sent_to(fleet, CITIZENS[1]).await?, before);
    Ok(())
}

async fn every_process_may_die(fleet: &mut Fleet, client: &mut Client) -> anyhow::Result<()> {
    let before = sent_to(fleet, CITIZENS[0]).await?;
    for (round, service) in SERVICES.into_iter().enumerate() {
        fleet.kill(service).await?;
        for number in 0..5 {
            let event = registered(&format!("senza-{service}-{number}"), CITIZENS[0], "borgochiaro");
            client.publish_event(&event).await?;
        }
        fleet.start_service(service)?;
        fleet.wait_ready().await?;
        let mut sent = 0;
        while sent < 5 {
            let outcome = client.next_outcome(STEP).await?;
            let outcome = outcome.with_context(|| format!("only {sent} of 5 after {service} died"))?;
            sent += usize::from(outcome["type"] == "messaggio.inviato");
        }
        assert_eq!(sent_to(fleet, CITIZENS[0]).await?, before + 5 * (round + 1), "after {service} died");
    }
    Ok(())
}

/// Collects outcomes until each of these types came.
async fn until(client: &mut Client, types: &[&str]) -> anyhow::Result<Vec<Value>> {
    client.outcomes_until(STEP, |all| types.iter().all(|tipo| all.iter().any(|o| o["type"] == *tipo))).await
}

fn find<'a>(outcomes: &'a [Value], tipo: &str) -> anyhow::Result<&'a Value> {
    outcomes.iter().find(|o| o["type"] == tipo).with_context(|| format!("no {tipo}"))
}

/// How many messages a citizen has.
async fn sent_to(fleet: &Fleet, citizen: &str) -> anyhow::Result<usize> {
    let messages = sandbox_messages(fleet.ports.sandbox).await?;
    Ok(messages.iter().filter(|message| message["fiscal_code"] == citizen).count())
}

/// An application registered: one message at once, each case its own.
fn registered(id: &str, citizen: &str, ente: &str) -> Value {
    let data = json!({
        "codice_fiscale": citizen, "bando": "B27", "numero_protocollo": id,
        "url_domanda": "https://domande.example.it/1",
    });
    envelope(id, "domanda.protocollata", (ente, &format!("D-{id}")), &data)
}

fn envelope(id: &str, tipo: &str, (ente, pratica): (&str, &str), data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://gestionale.example.it", "type": tipo,
        "subject": pratica, "time": "2026-11-20T10:00:00+01:00", "ente": ente,
        "servizio": "alloggi-sociali", "data": data,
    })
}
