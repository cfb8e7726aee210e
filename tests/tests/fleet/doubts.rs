//! A dispatcher that dies while IO has its request in hand: the scheduler finds the doubt and rules on it. An operator
//! who gives a doubt up and dies before it is told: the scheduler tells it.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use shared::store::inspect::{Decision, Inspector, Shelf, Window};
use shared::store::{Options, Place, Redis, Tls};
use tests::fleet::client::{Client, sandbox_fault, sandbox_messages};
use tests::fleet::{ENTI, Enti, Fleet};
use tokio::time::{Instant, sleep};

/// How long each step may take on a busy machine; the intent's lease of 13 s is within.
const STEP: Duration = Duration::from_secs(90);
/// Between two looks at the sandbox. There is no event to wait for.
const GLANCE: Duration = Duration::from_millis(50);
const CITIZEN: &str = "VRDLGI70B02H501G";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_died_in_the_hands_of_io_is_assumed_to_be_sent_once_and_flagged() -> anyhow::Result<()> {
    let enti = Enti { in_doubt: "assume_sent", track_status: false, ..Enti::default() };
    let mut fleet = Fleet::start(crate::binaries(), &enti).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    let slow = json!({"kind": "delay", "delay_ms": 600_000, "operation": "submit", "fiscal_code": CITIZEN});
    sandbox_fault(fleet.ports.sandbox, &slow).await?;
    client.publish_event(&registered()).await?;
    let end = Instant::now() + STEP;
    while sandbox_messages(fleet.ports.sandbox).await?.is_empty() {
        anyhow::ensure!(Instant::now() < end, "the message did not reach the sandbox");
        sleep(GLANCE).await;
    }
    fleet.kill("dispatcher").await?;
    fleet.start_service("dispatcher")?;
    fleet.wait_ready().await?;
    let outcomes = client.outcomes_until(STEP, |all| all.iter().any(is_sent)).await?;
    let sent: Vec<&Value> = outcomes.iter().filter(|outcome| is_sent(outcome)).collect();
    let [sent] = sent.as_slice() else { anyhow::bail!("told more than once: {sent:?}") };
    assert_eq!((&sent["data"]["presunto"], &sent["data"]["io_id"]), (&json!(true), &Value::Null));
    assert_eq!(sandbox_messages(fleet.ports.sandbox).await?.len(), 1, "one copy");
    fleet.shutdown().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_gave_up_is_told_even_if_the_command_line_died() -> anyhow::Result<()> {
    let enti = Enti { in_doubt: "hold", track_status: false, ..Enti::default() };
    let fleet = Fleet::start(crate::binaries(), &enti).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    sandbox_fault(fleet.ports.sandbox, &json!({"kind": "cut_after", "operation": "submit"})).await?;
    client.publish_event(&registered()).await?;
    client.outcomes_until(STEP, |all| all.iter().any(|it| it["type"] == "messaggio.in-dubbio")).await?;

    let inspector = Inspector::new(Redis::connect(&options(&fleet)).await?);
    let window = Window { from_ms: None, until_ms: None, skip: 0, most: 1 };
    let end = Instant::now() + STEP;
    let doubt = loop {
        // It is told before it is put there.
        match inspector.page(ENTI[0], Shelf::Doubt, window).await?.entries.pop() {
            Some(doubt) => break doubt,
            None => anyhow::ensure!(Instant::now() < end, "no doubt"),
        }
        sleep(GLANCE).await;
    };
    let decided = inspector.decide(ENTI[0], doubt.member, &doubt.progress, Decision::Drop).await?;
    decided.context("it stands as it was seen")?;
    // And here the command line dies.
    let mut redis =
        redis::Client::open(fleet.brokers.redis_url())?.get_multiplexed_async_connection().await?;
    let _: i64 = redis::AsyncCommands::incr(&mut redis, "promemoria:clock-offset-ms", 60_000).await?;
    let outcomes = client.outcomes_until(STEP, |all| all.iter().any(is_given_up)).await?;
    let told = outcomes.iter().find(|outcome| is_given_up(outcome)).context("told")?;
    assert_eq!(told["data"]["codice"], "in-doubt-dropped");
    assert_eq!(inspector.tally(ENTI[0], 0).await?.in_doubt, 0);
    fleet.shutdown().await
}

fn options(fleet: &Fleet) -> Options {
    Options {
        url: fleet.brokers.redis_url().to_owned().into(),
        place: Place::Single,
        response_timeout: STEP,
        tls: Tls::default(),
        prefix: "pm".to_owned(),
    }
}

fn is_given_up(outcome: &Value) -> bool {
    outcome["type"] == "messaggio.fallito"
}

fn is_sent(outcome: &Value) -> bool {
    outcome["type"] == "messaggio.inviato"
}

fn registered() -> Value {
    json!({
        "specversion": "1.0", "id": "in-mano", "source": "https://gestionale.example.it",
        "type": "domanda.protocollata", "subject": "D-in-mano", "time": "2026-11-20T10:00:00+01:00",
        "ente": ENTI[0], "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": CITIZEN, "bando": "B27", "numero_protocollo": "1",
            "url_domanda": "https://domande.example.it/1",
        },
    })
}
