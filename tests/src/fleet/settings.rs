//! The settings of a fleet that lives for a test, a demo or a benchmark.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use shared::domain::ente::Ente;
use shared::settings::Validator;

use super::build::project_root;
use crate::brokers::free_port;

/// The enti of a fleet: those of `deploy/config`, one without Premium and one with.
#[derive(Debug, Clone)]
pub struct Enti {
    /// `io.calls_per_5s` of each; 0 is no limit.
    pub calls_per_5s: u32,
    /// They share one IO account, and so one limit.
    pub one_account: bool,
    /// Policy for unknown outcomes: `hold`, `resend`, `assume_sent` or `expire`.
    pub in_doubt: &'static str,
    /// Ask IO what became of each message.
    pub track_status: bool,
    /// More of the settings file, whole tables.
    pub more: String,
}

impl Default for Enti {
    fn default() -> Self {
        Self {
            calls_per_5s: 0,
            one_account: false,
            in_doubt: "hold",
            track_status: true,
            more: String::new(),
        }
    }
}

/// Ports of loopback.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// The sandbox.
    pub sandbox: u16,
    /// Probes and metrics of the scheduler.
    pub scheduler: u16,
    /// Probes and metrics of the renderer.
    pub renderer: u16,
    /// Probes and metrics of the dispatcher.
    pub dispatcher: u16,
}

impl Ports {
    /// Four that are free now, and that no client is given while a service that had one starts again.
    ///
    /// # Errors
    /// Loopback has none.
    pub fn free() -> anyhow::Result<Self> {
        Ok(Self {
            sandbox: free_port()?,
            scheduler: free_port()?,
            renderer: free_port()?,
            dispatcher: free_port()?,
        })
    }

    /// The port of a service.
    #[must_use]
    pub fn of(self, service: &str) -> u16 {
        match service {
            "scheduler" => self.scheduler,
            "renderer" => self.renderer,
            "dispatcher" => self.dispatcher,
            _ => self.sandbox,
        }
    }
}

/// The key of `data.destinatario`. A recipient's share of a list event is keyed with it too.
pub const HASH_KEY: &str = "the-key-of-a-fleet-for-trial";

/// The trial enti, with the keys that the sandbox is told.
pub const ENTI: [&str; 2] = ["borgochiaro", "roccamarina"];

/// Writes `fleet.toml` and `enti/` into `dir`, for the brokers at these addresses (AMQP, Redis).
pub(crate) fn write(
    dir: &Path,
    (amqp_url, redis_url): (&str, &str),
    ports: Ports,
    enti: &Enti,
) -> anyhow::Result<()> {
    let root = project_root();
    let folder = dir.join("enti");
    std::fs::create_dir_all(&folder)?;
    let mut accounts = String::new();
    for id in ENTI {
        let path = root.join("deploy/config/enti").join(format!("{id}.toml"));
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} is missing", path.display()))?;
        let text = text.replace("calls_per_5s = 150", &format!("calls_per_5s = {}", enti.calls_per_5s));
        let account = enti.account(id);
        let text = text.replace(&format!("account = \"{id}\""), &format!("account = \"{account}\""));
        std::fs::write(folder.join(format!("{id}.toml")), &text)?;
        for (servizio, nome) in [("permesso", "Permesso di soggiorno"), ("alloggi", "Alloggi sociali")] {
            accounts.push_str(&sandbox_service(id, servizio, nome, enti));
        }
    }
    let settings = format!(
        "enti_dir = \"enti\"\ncatalogue_dir = \"{}\"\n\n[amqp]\nurl = \"{}\"\n\n[redis]\nurl = \"{}\"\n\n\
         [io]\nbase_url = \"http://127.0.0.1:{}/api/v1\"\nin_doubt = \"{}\"\ntrack_status = {}\nrequest_timeout = \"3s\"\n\n\
         [scheduler]\nbind = \"127.0.0.1:{}\"\n\n[renderer]\nbind = \"127.0.0.1:{}\"\n\n[dispatcher]\nbind = \"127.0.0.1:{}\"\n\n\
         [privacy]\nrecipient_hash_key = \"{HASH_KEY}\"\n\n[log]\nlevel = \"debug\"\n\n[sandbox]\nbind = \"127.0.0.1:{}\"\n\n{accounts}{}",
        root.join("shared/catalogue").display(),
        amqp_url,
        redis_url,
        ports.sandbox,
        enti.in_doubt,
        enti.track_status,
        ports.scheduler,
        ports.renderer,
        ports.dispatcher,
        ports.sandbox,
        enti.more,
    );
    std::fs::write(dir.join("fleet.toml"), settings).context("the settings cannot be written")
}

impl Enti {
    /// The IO account of an ente.
    fn account<'a>(&self, id: &'a str) -> &'a str {
        if self.one_account { "insieme" } else { id }
    }
}

fn sandbox_service(id: &str, servizio: &str, nome: &str, enti: &Enti) -> String {
    // Services of one account must agree on Premium.
    let premium = id == ENTI[1] && !enti.one_account;
    let (account, calls_per_5s) = (enti.account(id), enti.calls_per_5s);
    let key = if id == ENTI[1] {
        format!("trial-{id}-{servizio}-premium")
    } else {
        format!("trial-{id}-{servizio}")
    };
    format!(
        "[[sandbox.servizi]]\nchiave = \"{key}\"\naccount = \"{account}\"\nente = \"Comune di {id}\"\nnome = \"{nome}\"\n\
         premium = {premium}\ncalls_per_5s = {calls_per_5s}\nconfigurazioni_remote = [\"01HMVM9W74RWH93NT1EYNKKNNR\"]\n\
         max_importo_centesimi = 1000000\n\n"
    )
}

/// Reads a folder of enti as the services do.
///
/// # Errors
/// Its faults.
pub fn read_enti(folder: &Path) -> anyhow::Result<Vec<Arc<Ente>>> {
    let validator: Validator = Arc::new(|_| Vec::new());
    let read = shared::settings::Enti::read(folder, &validator);
    anyhow::ensure!(read.faults.is_empty(), "the enti have faults: {:?}", read.faults);
    Ok(read.taken.into_values().map(|loaded| loaded.ente).collect())
}
