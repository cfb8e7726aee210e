//! Brokers, settings that name them, and commands run on them.

use clap::Parser;
use promemoria::{Cli, Ending, run};
use serde_json::Value;
use shared::broker::RabbitMq;
use shared::broker::rabbitmq::Desk;
use shared::service;
use shared::settings::Settings;
use shared::store::Redis;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::brokers::{Brokers, Options};

/// The recipient's fiscal code in every record of this file.
pub(crate) const CANARY: &str = "RSSMRA85T10A562S";
/// A text of the event, which no command may show.
pub(crate) const TEXT: &str = "Canarino";
pub(crate) const ENTE: &str = "borgochiaro";
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Brokers, and a settings file that names them.
pub(crate) struct Trial {
    pub(crate) brokers: Brokers,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) settings: Settings,
}

impl Trial {
    pub(crate) async fn start() -> Self {
        let brokers = Brokers::start(&Options::from_env().unwrap()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let prefix = format!("t{}", std::process::id());
        let file = write_settings(folder.path(), (brokers.amqp_url(), brokers.redis_url()), &prefix);
        let settings = Settings::load(Some(&file), std::iter::empty()).unwrap();
        Self { brokers, folder, settings }
    }

    /// Runs a command; what it prints must not hold a canary.
    pub(crate) async fn run(&self, words: &[&str]) -> Ending {
        let ending = command(&self.folder.path().join("fleet.toml"), words).await;
        let all = format!("{}{}", ending.out, ending.err);
        assert!(!all.contains(CANARY) && !all.contains(TEXT), "{words:?}: {all}");
        ending
    }

    /// The same with JSON.
    pub(crate) async fn json(&self, words: &[&str]) -> (Value, u8) {
        let ending = self.run(&[words, &["--json"]].concat()).await;
        (serde_json::from_str(&ending.out).unwrap_or_else(|_| panic!("{words:?}: {ending:?}")), ending.code)
    }

    pub(crate) async fn redis(&self) -> Redis {
        Redis::connect(&service::redis_options(&self.settings)).await.unwrap()
    }

    pub(crate) async fn broker(&self) -> RabbitMq {
        let broker = service::broker(&self.settings, "test").unwrap();
        broker.wait_until_up(DEADLINE).await.unwrap();
        broker
    }
}

/// A settings file on the project's catalogue and enti. IO is at a port where nobody listens.
pub(crate) fn write_settings(folder: &Path, (amqp, redis): (&str, &str), prefix: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let (enti, catalogue) = (root.join("deploy/config/enti"), root.join("shared/catalogue"));
    let text = format!(
        "enti_dir = \"{}\"\ncatalogue_dir = \"{}\"\n[amqp]\nurl = \"{amqp}\"\n[redis]\nurl = \"{redis}\"\n\
         prefix = \"{prefix}\"\n[io]\nbase_url = \"http://127.0.0.1:1/api/v1\"\n",
        enti.display(),
        catalogue.display(),
    );
    let file = folder.join("fleet.toml");
    std::fs::write(&file, text).unwrap();
    file
}

pub(crate) async fn depth(settings: &Settings, queue: &str) -> u32 {
    let desk = Desk::open(&service::broker_options(settings, "test")).await.unwrap();
    let depth = desk.depth(queue).await.unwrap().unwrap();
    desk.close().await;
    depth.messages
}

/// Settings that name ports where nobody listens.
pub(crate) struct Nobody {
    folder: tempfile::TempDir,
}

impl Nobody {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_settings(folder.path(), ("amqp://127.0.0.1:1/%2f", "redis://127.0.0.1:1/0"), "pm");
        Self { folder }
    }

    pub(crate) async fn run(&self, words: &[&str]) -> Ending {
        command(&self.folder.path().join("fleet.toml"), words).await
    }
}

pub(crate) async fn command(config: &Path, words: &[&str]) -> Ending {
    let fixed = ["promemoria", "--config", config.to_str().unwrap()];
    run(Cli::try_parse_from(fixed.iter().chain(words)).unwrap()).await
}
