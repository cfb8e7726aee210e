//! The twelve acceptance stories on the real fleet, for an ente without Premium and one with, in virtual
//! time: what the simulation says, the processes must do, no more and no less. (That the simulation says
//! what the stories say is tested beside it, in `shared/tests/stories`.)

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, TimeDelta, Utc};
use redis::AsyncCommands as _;
use serde_json::Value;
use shared::domain::FiscalCode;
use shared::domain::catalogue::Catalogue;
use shared::domain::ente::Ente;
use shared::domain::render::Texts;
use shared::simulate::{Moment, Simulation, What, World};
use shared::wire::RecipientHash;
use tests::brokers::{Brokers, Options};
use tests::fleet::client::{Client, sandbox_messages};
use tests::fleet::{Enti, Fleet, HASH_KEY, project_root, read_enti};
use tokio::time::Instant;

/// How long each step may take on a busy machine.
const STEP: Duration = Duration::from_mins(1);

/// The stories end here: two years after the last due date of them nothing more may come.
const END: &str = "2031-12-31T12:00:00Z";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_twelve_stories_on_the_real_fleet() -> anyhow::Result<()> {
    let events = events()?;
    let brokers = Brokers::start(&Options::from_env()?).await?;
    let mut clock = Clock::connect(brokers.redis_url()).await?;
    // Before the services start: they begin in the past of the machine's clock.
    clock.set(events.first().context("no events")?.at).await?;
    let fleet = Fleet::start_on(brokers, crate::binaries(), &Enti::default()).await?;
    let mut client = Client::connect(fleet.brokers.amqp_url()).await?;
    let catalogue = Catalogue::load(&project_root().join("shared/catalogue")).expect("no fault");
    let mut wanted: BTreeMap<DateTime<Utc>, Vec<String>> = BTreeMap::new();
    for ente in read_enti(&fleet.dir().join("enti"))? {
        for moment in simulate(&catalogue, &ente, &events)? {
            if let Some(line) = line_of_moment(&ente.id, &moment) {
                wanted.entry(moment.at).or_default().push(line);
            }
        }
    }
    for event in &events {
        wanted.entry(event.at).or_default();
    }
    let mut told: BTreeSet<String> = BTreeSet::new();
    for (at, lines) in &wanted {
        clock.set(*at).await?;
        for event in events.iter().filter(|event| event.at == *at) {
            for ente in ["borgochiaro", "roccamarina"] {
                client.publish_event(&event.of(ente)).await?;
            }
        }
        let missing = |told: &BTreeSet<String>| lines.iter().find(|line| !told.contains(*line)).cloned();
        let deadline = Instant::now() + STEP;
        while let Some(line) = missing(&told) {
            match client.next_outcome(deadline.saturating_duration_since(Instant::now())).await? {
                Some(outcome) => told.extend(line_of_outcome(&outcome)),
                None => bail!("at {at} this did not happen: {line}\n{}", fleet.logs()?),
            }
        }
        clock.wait_until_settled().await?;
    }
    clock.set(END.parse()?).await?;
    clock.wait_until_settled().await?;
    while let Some(outcome) = client.next_outcome(Duration::from_secs(2)).await? {
        told.extend(line_of_outcome(&outcome));
    }
    let wanted: BTreeSet<String> = wanted.into_values().flatten().collect();
    assert_eq!(
        told.difference(&wanted).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "told and not in the stories"
    );
    assert_eq!(
        wanted.difference(&told).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "in the stories and not told"
    );
    compare_texts(&fleet, &catalogue, &events).await?;
    // Years of every kind of event, and the journal tells the same of each message as the ledger.
    for (ente, comparison) in crate::journal::audit(&fleet).await? {
        assert_eq!(comparison.differences, Vec::new(), "{ente}");
        assert!(comparison.journal.accepted > 50, "{ente}: {:?}", comparison.journal);
    }
    fleet.shutdown().await
}

/// Every text that citizens got is the one the simulation wrote, each exactly once.
async fn compare_texts(fleet: &Fleet, catalogue: &Catalogue, events: &[Event]) -> anyhow::Result<()> {
    let mut wanted = Vec::new();
    for ente in read_enti(&fleet.dir().join("enti"))? {
        for moment in simulate(catalogue, &ente, events)? {
            if let What::Sent(sent) = moment.what {
                let content = serde_json::to_value(&sent.content)?;
                wanted.push(text_line(
                    &ente.id,
                    sent.codice_fiscale.expose(),
                    sent.livello.as_str(),
                    &content,
                ));
            }
        }
    }
    let mut got: Vec<String> = sandbox_messages(fleet.ports.sandbox)
        .await?
        .iter()
        .map(|message| {
            let word = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
            text_line(
                &word("account"),
                &word("fiscal_code"),
                &word("feature_level_type"),
                &message["content"],
            )
        })
        .collect();
    wanted.sort();
    got.sort();
    assert_eq!(got, wanted);
    Ok(())
}

fn text_line(account: &str, recipient: &str, level: &str, content: &Value) -> String {
    let due = content["due_date"].as_str().unwrap_or("-").replace(".000Z", "Z");
    format!("{account} {recipient} {level} {due} {} {}", content["subject"], content["markdown"])
}

struct Event {
    at: DateTime<Utc>,
    body: Value,
}

impl Event {
    fn of(&self, ente: &str) -> Value {
        let mut body = self.body.clone();
        body["ente"] = ente.into();
        body
    }
}

fn events() -> anyhow::Result<Vec<Event>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stories");
    let mut events = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        for line in std::fs::read_to_string(entry?.path())?.lines() {
            let body: Value = serde_json::from_str(line)?;
            let at = DateTime::parse_from_rfc3339(body["time"].as_str().context("an event without time")?)?;
            events.push(Event { at: at.with_timezone(&Utc), body });
        }
    }
    events.sort_by(|a, b| (a.at, a.body["id"].as_str()).cmp(&(b.at, b.body["id"].as_str())));
    Ok(events)
}

fn simulate(catalogue: &Catalogue, ente: &Ente, events: &[Event]) -> anyhow::Result<Vec<Moment>> {
    let texts = Texts::compile(catalogue, [ente]).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let hash = RecipientHash::new(HASH_KEY.into());
    let not_on_io = HashSet::from([FiscalCode::parse(sandbox::recipients::NOT_ON_IO)?]);
    let world = World { catalogue, ente, texts: &texts, hash: &hash, not_on_io, premium_refused: false };
    let start = events.first().context("no events")?.at;
    let mut simulation = Simulation::new(world, start);
    for event in events {
        let body = event.of(&ente.id);
        let key = format!("{}.{}", ente.id, body["type"].as_str().unwrap_or("-"));
        simulation.publish(body.to_string().as_bytes(), &key, event.at);
    }
    simulation.advance(END.parse()?);
    Ok(simulation.timeline().to_vec())
}

fn line_of_moment(ente: &str, moment: &Moment) -> Option<String> {
    match &moment.what {
        What::Taken { .. } => None,
        What::Duplicate { .. } | What::Refused(_) | What::Failed { .. } => {
            panic!("the stories have no such thing: {moment:?}")
        }
        What::Sent(sent) => {
            let message = &sent.message;
            Some(format!(
                "{ente} {} messaggio.inviato {} {}",
                message.pratica,
                message.chiave,
                sent.livello.as_str()
            ))
        }
        What::Told(outcome) => {
            Some(told_line(ente, &outcome.subject, outcome.tipo, &Value::Object(outcome.data.clone())))
        }
    }
}

fn line_of_outcome(outcome: &Value) -> Option<String> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (ente, subject, tipo) = (word(&outcome["ente"]), word(&outcome["subject"]), word(&outcome["type"]));
    let data = &outcome["data"];
    match tipo.as_str() {
        "messaggio.consegnato" => None,
        "messaggio.inviato" => {
            Some(format!("{ente} {subject} {tipo} {} {}", word(&data["chiave"]), word(&data["livello"])))
        }
        _ => Some(told_line(&ente, &subject, &tipo, data)),
    }
}

fn told_line(ente: &str, subject: &str, tipo: &str, data: &Value) -> String {
    let word = |key: &str| data[key].as_str().unwrap_or("-");
    format!(
        "{ente} {subject} {tipo} {} {} {} {} {}",
        word("chiave"),
        word("timer"),
        word("azione"),
        word("motivo"),
        word("scadenza")
    )
}

/// The store's clock, which the fleet of a test build follows.
struct Clock {
    redis: redis::aio::MultiplexedConnection,
}

impl Clock {
    async fn connect(url: &str) -> anyhow::Result<Self> {
        let redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        Ok(Self { redis })
    }

    /// Moves the clock to just after an instant.
    async fn set(&mut self, at: DateTime<Utc>) -> anyhow::Result<()> {
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut self.redis).await?;
        let offset = (at + TimeDelta::milliseconds(1)).timestamp_millis() - (seconds * 1000 + micros / 1000);
        let _: () = self.redis.set("promemoria:clock-offset-ms", offset).await?;
        Ok(())
    }

    /// Waits until no message is on its way: a jump would end its lease.
    async fn wait_until_settled(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + STEP;
        loop {
            let mut on_the_way = 0;
            for ente in ["borgochiaro", "roccamarina"] {
                let members: Vec<Vec<u8>> = self.redis.zrange(format!("pm:{{{ente}}}:fly"), 0, -1).await?;
                on_the_way += members.iter().filter(|member| member.last() == Some(&b'm')).count();
            }
            if on_the_way == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{on_the_way} messages are still on their way");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
