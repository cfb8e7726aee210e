//! Starts both brokers from one source; they need not answer yet.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tempfile::TempDir;

use super::container::{Container, Recipe};
use super::instance::Instance;
use super::options::Images;
use super::ports::free_port;
use super::rabbitmq::{Node, Programs};
use super::redis_server;
use super::source::{Found, Origin};
use super::watchdog::{Charge, Watchdog};

/// What one source gave.
pub(super) struct Started {
    pub(super) origin: Origin,
    pub(super) amqp_url: String,
    pub(super) redis_url: String,
    pub(super) rabbitmq: Instance,
    pub(super) redis: Instance,
    pub(super) folder: Option<TempDir>,
    pub(super) watchdog: Option<Arc<Watchdog>>,
}

impl Started {
    /// Starts what was found.
    pub(super) async fn from_source(found: Found) -> anyhow::Result<Self> {
        match found {
            Found::Environment { amqp_url, redis_url } => Ok(Self::external(amqp_url, redis_url)),
            Found::Containers(images) => Self::containers(images).await,
            Found::Local { rabbitmq, redis, conf } => Self::local(rabbitmq, redis, &conf).await,
        }
    }

    fn external(amqp_url: String, redis_url: String) -> Self {
        Self {
            origin: Origin::Environment,
            amqp_url,
            redis_url,
            rabbitmq: Instance::External,
            redis: Instance::External,
            folder: None,
            watchdog: None,
        }
    }

    async fn containers(images: Images) -> anyhow::Result<Self> {
        let watchdog = Arc::new(Watchdog::start()?);
        let redis = Recipe { image: &images.redis, port: 6379, arguments: redis_server::arguments() };
        let (redis, redis_port) = Container::start_new(redis, &watchdog).await?;
        let rabbitmq = Recipe { image: &images.rabbitmq, port: 5672, arguments: Vec::new() };
        let (rabbitmq, amqp_port) = Container::start_new(rabbitmq, &watchdog).await?;
        Ok(Self {
            origin: Origin::Containers(images),
            amqp_url: amqp_url(amqp_port),
            redis_url: redis_url(redis_port),
            rabbitmq: Instance::Container(Box::new(rabbitmq)),
            redis: Instance::Container(Box::new(redis)),
            folder: None,
            watchdog: Some(watchdog),
        })
    }

    async fn local(rabbitmq: Programs, redis: PathBuf, conf: &str) -> anyhow::Result<Self> {
        let watchdog = Arc::new(Watchdog::start()?);
        let folder = tempfile::Builder::new().prefix("promemoria-brokers-").tempdir()?;
        let path = folder.path().to_str().context("the temporary folder's name is not UTF-8")?;
        watchdog.guard(&Charge::Folder(path))?;
        let (amqp_port, redis_port) = (free_port()?, free_port()?);
        let home = folder.path().join("rabbitmq");
        let rabbitmq = Node::start(rabbitmq, &home, amqp_port, conf, &watchdog).await?;
        let redis = redis_server::start(redis, &folder.path().join("redis"), redis_port, &watchdog)?;
        Ok(Self {
            origin: Origin::Local,
            amqp_url: amqp_url(amqp_port),
            redis_url: redis_url(redis_port),
            rabbitmq: Instance::Node(Box::new(rabbitmq)),
            redis: Instance::Local(redis),
            folder: Some(folder),
            watchdog: Some(watchdog),
        })
    }
}

fn amqp_url(port: u16) -> String {
    format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
}

fn redis_url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/0")
}
