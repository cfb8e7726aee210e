//! Nothing personal leaves its place: a fleet that writes down as much as it can is given good and bad events, and
//! IO fails it; then everything that it wrote where it does not belong is searched.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::{Value, json};
use shared::corpus::files;
use tests::collector::Collector;
use tests::fleet::client::{Client, metrics, sandbox_fault, sandbox_faults_left};
use tests::fleet::{Enti, Fleet, HASH_KEY, SERVICES, project_root};
use tokio::time::{Instant, sleep};

/// How long each step may take on a busy machine.
const STEP: Duration = Duration::from_mins(2);
/// Between two looks at a queue, which tells of no change by itself.
const GLANCE: Duration = Duration::from_millis(100);

/// The person of the corpus, one whose code has a wrong letter, and one to whom everything is sent.
const CODES: [&str; 3] = ["RSSMRA85T10A562S", "BNCLRA80A41F205X", "VRDLGI70B02H501G"];
/// Names, keys and a sentence of a text.
const CANARIES: [&str; 8] = [
    "Nome-canarino",
    "Cognome-canarino",
    "Mario",
    "Rossi",
    "trial-borgochiaro",
    "trial-roccamarina",
    HASH_KEY,
    "Causale-canarina",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_is_written_where_it_does_not_belong() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let more = collector.settings(1.0);
    let mut fleet = Fleet::start(crate::binaries(), &Enti { more, ..Enti::default() }).await?;
    no_service_leaves_a_core_dump(&fleet)?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    let outcomes = much_goes_wrong(&fleet, &mut client).await?;
    let mut written = vec![
        ("an outcome".to_owned(), outcomes),
        ("a dead letter's properties".to_owned(), dead_letters(&fleet).await?),
        ("a name in the store".to_owned(), names(&fleet).await?),
    ];
    for service in SERVICES {
        written.push((format!("a metric of the {service}"), metrics(fleet.ports.of(service)).await?));
    }
    // At their end they send the spans that they kept.
    for service in SERVICES {
        ensure!(fleet.terminate(service).await? == Some(0), "{service} did not end in order");
    }
    ensure!(!collector.spans()?.is_empty(), "no span came");
    written.push(("a span".to_owned(), String::from_utf8_lossy(&collector.raw()).into_owned()));
    written.push(("a log".to_owned(), fleet.logs()?));
    for (place, text) in &written {
        ensure!(!text.is_empty(), "{place}: nothing was written, so that nothing is shown");
        search(place, text)?;
    }
    fleet.shutdown().await
}

fn search(place: &str, text: &str) -> anyhow::Result<()> {
    // Codes in small letters too, as some write them.
    let capitals = text.to_uppercase();
    for code in CODES {
        ensure!(!capitals.contains(code), "{code} is in {place}");
    }
    for canary in CANARIES {
        ensure!(!text.contains(canary), "{canary} is in {place}");
    }
    Ok(())
}

/// The whole corpus, good events with canaries, and an IO that fails at each of its calls. Returns what was told.
async fn much_goes_wrong(fleet: &Fleet, client: &mut Client) -> anyhow::Result<String> {
    let faults = json!([
        { "kind": "server_error", "operation": "status", "calls": 3 },
        { "kind": "cut_before", "operation": "status", "calls": 2 },
        { "kind": "wrong_json", "operation": "status", "calls": 2 },
        { "kind": "server_error", "operation": "profile", "calls": 2 },
        { "kind": "server_error", "operation": "submit", "calls": 2 },
    ]);
    sandbox_fault(fleet.ports.sandbox, &faults).await?;
    let folder = project_root().join("shared/tests/corpus/events");
    for (_, body) in files(&folder, ".json") {
        client.publish("borgochiaro.pagamento.avviso-emesso", &body).await?;
    }
    client.publish_event(&notice("codice-errato", CODES[1])).await?;
    for number in 0..5 {
        client.publish_event(&notice(&format!("buono-{number}"), CODES[2])).await?;
    }
    let verdicts = std::fs::read_to_string(folder.join("verdicts.txt"))?;
    let refused = verdicts.lines().filter(|line| !line.ends_with(": taken")).count();
    until_dead(fleet, u32::try_from(refused + 1)?).await?;
    let end = Instant::now() + STEP;
    while sandbox_faults_left(fleet.ports.sandbox).await? > 0 {
        ensure!(Instant::now() < end, "a fault of IO met no call");
        sleep(GLANCE).await;
    }
    // A status that could not be had is asked for again later: a day is enough.
    let mut redis = crate::journal::connection(fleet).await?;
    redis::cmd("SET").arg("promemoria:clock-offset-ms").arg(86_400_000).query_async::<()>(&mut redis).await?;
    let delivered = |outcome: &&Value| {
        outcome["type"] == "messaggio.consegnato"
            && outcome["data"]["evento"].as_str().is_some_and(|event| event.starts_with("buono-"))
    };
    let outcomes = client.outcomes_until(STEP, |all| all.iter().filter(delivered).count() == 5).await?;
    Ok(outcomes.iter().map(Value::to_string).collect())
}

/// Waits until so many events are given up.
async fn until_dead(fleet: &Fleet, wanted: u32) -> anyhow::Result<()> {
    let channel = channel(fleet).await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let end = Instant::now() + STEP;
    loop {
        let queue = channel.queue_declare("promemoria.dead".into(), passive, FieldTable::default()).await?;
        if queue.message_count() >= wanted {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{} of {wanted} are given up", queue.message_count());
        sleep(GLANCE).await;
    }
}

/// Everything about each dead letter but its body, which is the ente's own.
async fn dead_letters(fleet: &Fleet) -> anyhow::Result<String> {
    let channel = channel(fleet).await?;
    let mut all = String::new();
    while let Some(letter) =
        channel.basic_get("promemoria.dead".into(), BasicGetOptions { no_ack: true }).await?
    {
        let (delivery, properties) = (&letter.delivery, &letter.delivery.properties);
        writeln!(all, "{} {} {properties:?}", delivery.exchange, delivery.routing_key)?;
    }
    Ok(all)
}

async fn channel(fleet: &Fleet) -> anyhow::Result<lapin::Channel> {
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(fleet.brokers.amqp_url(), properties).await?;
    Ok(connection.create_channel().await?)
}

/// The names of all keys, and of the fields of all hashes.
async fn names(fleet: &Fleet) -> anyhow::Result<String> {
    let mut redis = crate::journal::connection(fleet).await?;
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut redis).await?;
    let mut names = keys.clone();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(&mut redis).await?;
        if kind == "hash" {
            names.extend(redis::cmd("HKEYS").arg(&key).query_async::<Vec<Vec<u8>>>(&mut redis).await?);
        }
    }
    Ok(names.iter().map(|name| String::from_utf8_lossy(name) + "\n").collect())
}

/// A dump of its memory would hold whatever it has in hand.
fn no_service_leaves_a_core_dump(fleet: &Fleet) -> anyhow::Result<()> {
    for service in SERVICES {
        let pid = fleet.service(service).and_then(tests::fleet::Process::pid).context("it runs")?;
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
        let core = limits.lines().find(|line| line.starts_with("Max core file size"));
        let words: Vec<&str> = core.context("a limit")?.split_whitespace().collect();
        ensure!(words.ends_with(&["0", "0", "bytes"]), "{service} may leave a core dump: {words:?}");
    }
    Ok(())
}

fn notice(id: &str, citizen: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://gestionale.example.it",
        "type": "pagamento.avviso-emesso", "subject": format!("R-{id}"), "time": "2026-11-20T10:00:00+01:00",
        "ente": "borgochiaro", "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": citizen, "tipo": "canone", "codice_avviso": "302000000000000077",
            "importo_centesimi": 31_050, "data_scadenza": "2030-04-10", "causale": "Causale-canarina",
            "nome": CANARIES[0], "cognome": CANARIES[1],
        },
    })
}
