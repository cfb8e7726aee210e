//! The fixture: two brokers, their addresses, and what a test may do to them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::instance::Instance;
use super::options::Options;
use super::source::{Origin, find};
use super::started::Started;
use super::watchdog::Watchdog;
use super::{ready, redis_server};

/// Between two questions to a broker that boots.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// The AMQP broker.
    RabbitMq,
    /// Redis or Valkey.
    Redis,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RabbitMq => "RabbitMQ",
            Self::Redis => "Redis",
        })
    }
}

/// A RabbitMQ and a Redis that answer. Both end with this value; [`Brokers::shutdown`] ends them in order
/// and says what went wrong, dropping it is abrupt.
///
/// All methods take `&self`, so that tests can share one fixture; a verb on one server waits for the
/// verb before it.
pub struct Brokers {
    origin: Origin,
    /// `RabbitMQ 3.10.8` and `Redis 7.0.15`, as the servers say themselves.
    versions: (String, String),
    amqp_url: String,
    redis_url: String,
    deadline: Duration,
    // The order matters: servers end before their folder goes, and the watchdog is last.
    rabbitmq: Mutex<Instance>,
    redis: Mutex<Instance>,
    folder: Mutex<Option<TempDir>>,
    watchdog: Option<Arc<Watchdog>>,
}

impl Brokers {
    /// Gets both brokers and waits until they answer.
    ///
    /// # Errors
    ///
    /// No source has brokers, or one of them does not answer by the deadline: the error says what was tried,
    /// the last lines of the server's log, and what to do next.
    pub async fn start(options: &Options) -> anyhow::Result<Self> {
        let started = Started::from_source(find(options).await?).await?;
        let brokers = Self {
            origin: started.origin,
            versions: (String::new(), String::new()),
            amqp_url: started.amqp_url,
            redis_url: started.redis_url,
            deadline: options.deadline,
            rabbitmq: Mutex::new(started.rabbitmq),
            redis: Mutex::new(started.redis),
            folder: Mutex::new(started.folder),
            watchdog: started.watchdog,
        };
        brokers.wait_until_ready(Server::Redis).await?;
        brokers.wait_until_ready(Server::RabbitMq).await?;
        let versions = (
            ready::rabbitmq_version(&brokers.amqp_url).await,
            ready::redis_version(&brokers.redis_url).await,
        );
        Ok(Self { versions, ..brokers })
    }

    /// Where they came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Name and version of RabbitMQ and of Redis (or Valkey), as they tell them.
    pub fn versions(&self) -> (&str, &str) {
        (&self.versions.0, &self.versions.1)
    }

    /// The default virtual host, as `guest` where the brokers are private.
    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// Database 0, where the brokers are private.
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Makes a virtual host for one test and returns its address. `name`: lower-case letters, digits, `-`
    /// and `_`. Asking twice gives the same one.
    ///
    /// # Errors
    ///
    /// Brokers given by the environment: nothing here may administer them, so tests that need a virtual host
    /// of their own cannot run there.
    pub async fn vhost(&self, name: &str) -> anyhow::Result<String> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        anyhow::ensure!(
            !name.is_empty() && name.bytes().all(plain),
            "virtual host \"{name}\": only a-z, 0-9, - and _"
        );
        anyhow::ensure!(
            self.origin != Origin::Environment,
            "virtual host \"{name}\": the environment gave one virtual host and no way to make another; \
             use amqp_url() and one test at a time, or leave PROMEMORIA_TEST_AMQP_URL unset"
        );
        // What add_vhost and set_permissions do, in one call: each starts an Erlang machine, for a second or more.
        let both = format!(
            "ok = rabbit_vhost:add(<<\"{name}\">>, <<\"tests\">>), \
             ok = rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, <<\"{name}\">>, \
             <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"tests\">>)."
        );
        self.rabbitmq.lock().await.control(&["eval", &both]).await?;
        let authority = self.amqp_url.trim_end_matches("/%2f");
        Ok(format!("{authority}/{name}"))
    }

    /// Runs `rabbitmqctl` against the broker.
    ///
    /// # Errors
    ///
    /// What it says; brokers given by the environment have none.
    pub async fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        self.rabbitmq.lock().await.control(arguments).await
    }

    /// Imports definitions and gives these users of theirs a password.
    ///
    /// # Errors
    ///
    /// What `rabbitmqctl` says; brokers given by the environment have none.
    pub async fn import(&self, definitions: &Value, users: &[&str], password: &str) -> anyhow::Result<()> {
        let text = definitions.to_string().replace('\\', "\\\\").replace('"', "\\\"");
        let users: Vec<String> = users.iter().map(|name| format!("<<\"{name}\">>")).collect();
        // In one call: each starts an Erlang machine, for a second or more.
        let both = format!(
            "ok = rabbit_definitions:import_raw(<<\"{text}\">>), lists:foreach(fun(User) -> \
             ok = rabbit_auth_backend_internal:change_password(User, <<\"{password}\">>, <<\"tests\">>) \
             end, [{}]).",
            users.join(", ")
        );
        self.control(&["eval", &both]).await
    }

    /// The address of another database of the same Redis: 0 to 63 where it is private.
    ///
    /// # Errors
    ///
    /// The number is out of range; for a Redis given by the environment the server itself decides.
    pub fn redis_db(&self, number: u16) -> anyhow::Result<String> {
        anyhow::ensure!(
            self.origin == Origin::Environment || number < redis_server::DATABASES,
            "Redis database {number}: there are 0 to {}",
            redis_server::DATABASES - 1
        );
        let (scheme, rest) = self.redis_url.split_once("://").context("a Redis address has a scheme")?;
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        Ok(format!("{scheme}://{authority}/{number}"))
    }

    /// The ids, on this machine, of a server's processes; none where the environment gave it.
    pub async fn pids(&self, server: Server) -> anyhow::Result<Vec<u32>> {
        self.instance(server).lock().await.pids().await
    }

    /// Stops a server in order and starts it again; returns when it answers.
    pub async fn restart(&self, server: Server) -> anyhow::Result<()> {
        self.stop(server).await?;
        self.start_again(server).await
    }

    /// Stops a server in order.
    pub async fn stop(&self, server: Server) -> anyhow::Result<()> {
        self.instance(server).lock().await.stop().await
    }

    /// Ends a server as a crash does, with no time to write anything.
    pub async fn kill(&self, server: Server) -> anyhow::Result<()> {
        self.instance(server).lock().await.kill().await
    }

    /// Starts a stopped or killed server in its place, on the same port; returns when it answers.
    pub async fn start_again(&self, server: Server) -> anyhow::Result<()> {
        self.instance(server).lock().await.start().await?;
        self.wait_until_ready(server).await
    }

    /// Freezes a server: connections stay open, nothing answers.
    pub async fn pause(&self, server: Server) -> anyhow::Result<()> {
        self.instance(server).lock().await.pause().await
    }

    /// Lets a frozen server go on.
    pub async fn resume(&self, server: Server) -> anyhow::Result<()> {
        self.instance(server).lock().await.resume().await
    }

    /// Ends both servers and removes their files. Brokers given by the environment stay as they are.
    /// A second call finds nothing to do.
    pub async fn shutdown(&self) -> anyhow::Result<()> {
        let rabbitmq = self.rabbitmq.lock().await.end().await;
        let redis = self.redis.lock().await.end().await;
        let folder = self.folder.lock().await.take().map_or(Ok(()), TempDir::close);
        rabbitmq.context("RabbitMQ")?;
        redis.context("Redis")?;
        folder.context("the brokers' folder")?;
        // After a failure above the watchdog stays: it ends what is left when this process does.
        if let Some(watchdog) = &self.watchdog {
            watchdog.dismiss();
        }
        Ok(())
    }

    async fn wait_until_ready(&self, server: Server) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.deadline;
        loop {
            let Err(error) = self.ask(server).await else { return Ok(()) };
            let mut instance = self.instance(server).lock().await;
            let failure = instance.failure().await?;
            if failure.is_none() && Instant::now() < deadline {
                drop(instance);
                sleep(ASK_AGAIN).await;
                continue;
            }
            let late = format!("it does not answer after {} s", self.deadline.as_secs());
            let log = instance.log_tail().await;
            anyhow::bail!(
                "{server} ({}): {}; last try: {error:#}\nlast lines of its log:\n{log}\nnext: read the log \
                 above; {} is how to name other brokers",
                self.origin,
                failure.unwrap_or(late),
                "PROMEMORIA_TEST_AMQP_URL with PROMEMORIA_TEST_REDIS_URL"
            );
        }
    }

    async fn ask(&self, server: Server) -> anyhow::Result<()> {
        match server {
            Server::RabbitMq => ready::amqp_handshake(&self.amqp_url).await,
            Server::Redis => ready::redis_ping(&self.redis_url).await,
        }
    }

    fn instance(&self, server: Server) -> &Mutex<Instance> {
        match server {
            Server::RabbitMq => &self.rabbitmq,
            Server::Redis => &self.redis,
        }
    }
}

impl fmt::Display for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}, {}", self.versions.0, self.versions.1, self.origin)
    }
}
