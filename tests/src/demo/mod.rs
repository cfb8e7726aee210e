//! The demo: brokers, sandbox and services of this machine, real-looking events of both services for an
//! ente without Premium and one with, and what came of them.
//!
//! What must be sent is what the simulation says, so that a missing message is seen.

mod events;

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::clock::Clock;
use shared::domain::FiscalCode;
use shared::domain::catalogue::Catalogue;
use shared::domain::render::Texts;
use shared::simulate::{Simulation, What, World};
use shared::wire::RecipientHash;

use crate::fleet::client::Client;
use crate::fleet::{Binaries, ENTI, Enti, Fleet, project_root, read_enti};

/// How long the messages may take: the trial accounts send 15 a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs the demo; `once` ends by itself.
///
/// # Errors
/// What could not be started, or the messages that are missing.
pub async fn run(once: bool) -> anyhow::Result<()> {
    say("building the fleet (the first time takes some minutes)");
    let binaries = Binaries::build(false)?;
    say("starting RabbitMQ, Redis, the sandbox and the three services");
    let enti = Enti { calls_per_5s: 150, ..Enti::default() };
    let fleet = Fleet::start(binaries, &enti).await?;
    let (rabbitmq, redis) = fleet.brokers.versions();
    say(&format!("ready on {rabbitmq} and {redis}"));
    let result = show(&fleet).await;
    if let Ok(()) = &result {
        where_to_look(&fleet);
        if !once {
            say("everything stays up until Ctrl-C");
            shared::shutdown::on_signal()?.cancelled().await;
        }
    }
    say("stopping");
    fleet.shutdown().await?;
    result
}

async fn show(fleet: &Fleet) -> anyhow::Result<()> {
    let now = Clock::system().now();
    let events: Vec<Value> = ENTI.iter().flat_map(|ente| events::of(ente, now)).collect();
    let wanted = wanted(fleet, &events, now)?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    for event in &events {
        client.publish_event(event).await?;
    }
    say(&format!("{} case events published, {} messages to be sent now", events.len(), wanted));
    let mut sent = BTreeMap::<String, usize>::new();
    let mut count = 0;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while count < wanted {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let outcome = client.next_outcome(left).await?;
        let outcome = outcome.with_context(|| format!("only {count} of {wanted} messages were sent"))?;
        if outcome["type"] == "messaggio.inviato" {
            count += 1;
            let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let data = &outcome["data"];
            let line = format!(
                "{:<12} {:<48} {}",
                word(&outcome["ente"]),
                word(&data["messaggio"]),
                word(&data["livello"])
            );
            *sent.entry(line).or_default() += 1;
            progress(count, wanted);
        }
    }
    say("sent:");
    for (line, count) in &sent {
        say(&format!("  {count:>2} × {line}"));
    }
    armed(fleet).await
}

/// How many messages the simulation sends at once.
fn wanted(fleet: &Fleet, events: &[Value], now: DateTime<Utc>) -> anyhow::Result<usize> {
    let catalogue = Catalogue::load(&project_root().join("shared/catalogue"))
        .map_err(|faults| anyhow::anyhow!("the catalogue has faults: {faults:?}"))?;
    let not_on_io = HashSet::from([FiscalCode::parse(sandbox::recipients::NOT_ON_IO)?]);
    let mut count = 0;
    for ente in read_enti(&fleet.dir().join("enti"))? {
        let texts = Texts::compile(&catalogue, [ente.as_ref()])
            .map_err(|faults| anyhow::anyhow!("the texts have faults: {faults:?}"))?;
        let hash = RecipientHash::new("not compared".into());
        let world = World {
            catalogue: &catalogue,
            ente: &ente,
            texts: &texts,
            hash: &hash,
            not_on_io: not_on_io.clone(),
            premium_refused: false,
        };
        let mut simulation = Simulation::new(world, now);
        for event in events.iter().filter(|event| event["ente"] == ente.id.as_str()) {
            let key = format!("{}.{}", ente.id, event["type"].as_str().unwrap_or("-"));
            simulation.publish(event.to_string().as_bytes(), &key, now);
        }
        let refused = simulation.timeline().iter().find(|m| matches!(m.what, What::Refused(_)));
        ensure!(refused.is_none(), "an event of the demo is refused: {refused:?}");
        count += simulation.timeline().iter().filter(|m| matches!(m.what, What::Sent(_))).count();
    }
    Ok(count)
}

/// What is armed, as the scheduler's metrics tell it.
async fn armed(fleet: &Fleet) -> anyhow::Result<()> {
    let output = tokio::process::Command::from(fleet.binaries.command("promemoria"))
        .arg("--config")
        .arg(fleet.config())
        .args(["timers", "--ente", ENTI[0], "--limit", "8"])
        .output()
        .await?;
    ensure!(output.status.success(), "promemoria timers failed: {}", String::from_utf8_lossy(&output.stderr));
    say(&format!("armed, the first of {}:", ENTI[0]));
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        say(&format!("  {line}"));
    }
    Ok(())
}

fn where_to_look(fleet: &Fleet) {
    let ports = fleet.ports;
    say("look at:");
    say(&format!("  the citizens' inbox   http://127.0.0.1:{}/", ports.sandbox));
    for service in crate::fleet::SERVICES {
        say(&format!("  metrics of {service:<10} http://127.0.0.1:{}/metrics", ports.of(service)));
    }
    say(&format!("  publish your own to   {}", fleet.brokers.amqp_url()));
    say(&format!("  settings and logs     {}", fleet.dir().display()));
    say(&format!(
        "  the command line      {} --config {} --help",
        fleet.binaries.command("promemoria").get_program().to_string_lossy(),
        fleet.config().display()
    ));
}

fn progress(count: usize, wanted: usize) {
    // A closed stdout is no reason to stop.
    drop(write!(std::io::stdout(), "\r  {count}/{wanted} sent"));
    if count == wanted {
        drop(writeln!(std::io::stdout()));
    }
    drop(std::io::stdout().flush());
}

fn say(line: &str) {
    // A closed stdout is no reason to stop.
    drop(writeln!(std::io::stdout(), "{line}"));
}
