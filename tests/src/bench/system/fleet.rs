//! The real services, with settings of the run.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Client;
use tokio::time::{Instant, sleep};

use super::sandbox::{ACCOUNT, KEYS};
use super::{Extent, Ground, Running, Sandbox, Venue};
use crate::bench::process::Worker;
use crate::brokers::free_port;

/// The exchange of case events (contract.md section 4).
pub(super) const EVENTS_EXCHANGE: &str = "promemoria.events";
/// The renderer's queue.
pub(in crate::bench) const RENDER_QUEUE: &str = "promemoria.render";
/// All queues of the fleet.
pub(super) const QUEUES: [&str; 6] = [
    "promemoria.events",
    "promemoria.render",
    "promemoria.dispatch",
    "promemoria.follow",
    "promemoria.dead",
    "promemoria.unrouted",
];
/// An ente with the usual timers: three reminders and an office timer for each permit.
pub(in crate::bench) const ENTE: &str = "bench";
/// An ente with one reminder for each permit and nothing else.
pub(in crate::bench) const ONE_TIMER_ENTE: &str = "bench-uno";
/// The services in the order of the hops, then further dispatchers for [`Extent::Limited`].
const SERVICES: [&str; 2 + QUOTA_DISPATCHERS] =
    ["scheduler", "renderer", "dispatcher", "dispatcher", "dispatcher", "dispatcher"];
/// Dispatchers that share the limit.
pub(in crate::bench) const QUOTA_DISPATCHERS: usize = 4;
/// Calls of their account in any 5 s: IO's usual contract (io-api.md section 5).
pub(in crate::bench) const QUOTA: u32 = 150;
/// How long a service may take to be ready; above that there is no use in waiting.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Between two questions: a start to ready is known to this.
const GLANCE: Duration = Duration::from_millis(5);

/// First part of every key; the fleet's default.
pub(in crate::bench) const PREFIX: &str = "pm";

/// The sorted set of an ente's due work.
pub(in crate::bench) fn due_key(ente: &str) -> String {
    format!("{PREFIX}:{{{ente}}}:due")
}

/// Writes the settings and starts the services one after the other, each once the one before is ready.
pub(super) async fn start(
    ground: &Ground,
    venue: &Venue,
    sandbox: Option<&Sandbox>,
    extent: Extent,
) -> anyhow::Result<Running> {
    let services = match extent {
        Extent::Whole => &SERVICES[..3],
        Extent::Limited => &SERVICES[..],
        Extent::FirstHop => &SERVICES[..1],
    };
    let ports: Vec<u16> = SERVICES.iter().map(|_| free_port()).collect::<anyhow::Result<_>>()?;
    let file = write_settings(ground, venue, sandbox, extent, &ports)?;
    let client = Client::builder().no_proxy().build()?;
    let mut running = Running { workers: Vec::new(), ready_ms: Vec::new() };
    for (name, port) in services.iter().zip(&ports) {
        let mut command = ground.program(name);
        command.arg("--config").arg(&file);
        // The file has one address for all dispatchers.
        command.env(format!("PROMEMORIA__{}__BIND", name.to_uppercase()), format!("127.0.0.1:{port}"));
        let started = Instant::now();
        let mut worker = Worker::start(name, command, ground.folder())?;
        wait_ready(&client, &mut worker, *port, started).await?;
        running.ready_ms.push(started.elapsed().as_secs_f64() * 1e3);
        running.workers.push(worker);
    }
    Ok(running)
}

async fn wait_ready(client: &Client, worker: &mut Worker, port: u16, started: Instant) -> anyhow::Result<()> {
    let url = format!("http://127.0.0.1:{port}/readyz");
    loop {
        worker.check()?;
        let answer = client.get(&url).send().await;
        if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        if started.elapsed() > READY_WITHIN {
            let missing = match answer {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(_) => "no answer".to_owned(),
            };
            anyhow::bail!("{} is not ready: {missing}; its log ends:\n{}", worker.name, worker.tail());
        }
        sleep(GLANCE).await;
    }
}

fn write_settings(
    ground: &Ground,
    venue: &Venue,
    sandbox: Option<&Sandbox>,
    extent: Extent,
    ports: &[u16],
) -> anyhow::Result<PathBuf> {
    let folder = ground.folder();
    let enti = folder.join("enti");
    fs::create_dir_all(&enti)?;
    fs::write(enti.join(format!("{ENTE}.toml")), ente(ENTE, extent, ""))?;
    fs::write(enti.join(format!("{ONE_TIMER_ENTE}.toml")), ente(ONE_TIMER_ENTE, extent, ONE_TIMER))?;
    let binds = SERVICES[..3].iter().zip(ports).map(|(name, port)| {
        let more = if *name == "scheduler" { scheduler(extent) } else { "" };
        format!("[{name}]\nbind = \"127.0.0.1:{port}\"\n{more}")
    });
    let catalogue = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/catalogue");
    let api = sandbox.map_or_else(|| "http://127.0.0.1:9/api/v1".to_owned(), Sandbox::api);
    let text = format!(
        "enti_dir = \"enti\"\ncatalogue_dir = \"{catalogue}\"\n\
         [amqp]\nurl = \"{}\"\n[redis]\nurl = \"{}\"\n\
         [io]\nbase_url = \"{api}\"\ntrack_status = false\n\
         [privacy]\nrecipient_hash_key = \"a key for the benchmark\"\n[log]\nlevel = \"warn\"\n{}",
        venue.amqp,
        venue.redis,
        binds.collect::<String>()
    );
    let file = folder.join("fleet.toml");
    fs::write(&file, text)?;
    Ok(file)
}

/// With nobody behind the scheduler nothing is settled: then everything may be in flight, and no lease ends
/// while the timers fire.
fn scheduler(extent: Extent) -> &'static str {
    match extent {
        Extent::Whole | Extent::Limited => "",
        Extent::FirstHop => "in_flight = 1000000\nlease = \"10m\"\n",
    }
}

/// One reminder, no office timer.
const ONE_TIMER: &str = "[servizi.permesso-soggiorno.messaggi.permesso-in-scadenza]\ngiorni_prima = [30]\n\
    [servizi.permesso-soggiorno.timer.permesso-scaduto-sei-mesi]\nattivo = false\n";

fn ente(id: &str, extent: Extent, more: &str) -> String {
    let (account, calls) = if extent == Extent::Limited { (ACCOUNT, QUOTA) } else { (id, 0) };
    let [alloggi, permesso] = KEYS;
    format!(
        "id = \"{id}\"\ndenominazione = \"Comune di {id}\"\ncomune = \"{id}\"\nfuso = \"Europe/Rome\"\n\
         [io]\naccount = \"{account}\"\ncalls_per_5s = {calls}\n\
         [premium]\npromemoria = false\nallegati = false\n\
         [servizi.permesso-soggiorno]\nchiave = \"{permesso}\"\n\
         [servizi.permesso-soggiorno.variabili]\nufficio = \"Ufficio Anagrafe\"\n\
         url_prenotazione = \"https://prenota.example.it\"\nurl_info = \"https://info.example.it\"\n\
         url_disdetta = \"https://prenota.example.it/disdici\"\n\
         url_pratica = \"https://pratiche.example.it/{{numero_pratica}}\"\n{more}\
         [servizi.alloggi-sociali]\nchiave = \"{alloggi}\"\n\
         [servizi.alloggi-sociali.variabili]\nsportello = \"Sportello Casa\"\ncanale = \"PEC\"\n\
         url_domanda = \"https://domande.example.it\"\nurl_info = \"https://info.example.it\"\n\
         url_disdetta = \"https://prenota.example.it/disdici\"\n\
         url_prenotazione = \"https://prenota.example.it\"\n\
         url_prenotazione_firma = \"https://prenota.example.it/firma\"\n"
    )
}
