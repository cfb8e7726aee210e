//! The Redis connection and the scripts.

use std::path::PathBuf;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2};
use redis::{
    Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo, Script, ScriptInvocation, TlsCertificates,
};
use secrecy::{ExposeSecret, SecretString};

use super::StoreError;

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct Options {
    /// `redis://` or `rediss://`.
    pub url: SecretString,
    /// Time within which an answer must come; a command that timed out may still have run.
    pub response_timeout: Duration,
    /// Authorities that may sign the server's certificate, PEM, in place of the public ones.
    pub ca_file: Option<PathBuf>,
    /// First part of every key.
    pub prefix: String,
}

/// A pooled, reconnecting connection with the store's scripts.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    /// First part of every key.
    pub(super) prefix: String,
    pub(super) scripts: std::sync::Arc<Scripts>,
}

/// The scripts, each with the prelude in front.
pub(super) struct Scripts {
    pub(super) load: Script,
    pub(super) commit: Script,
    pub(super) claim: Script,
    pub(super) fence: Script,
    pub(super) settle: Script,
    pub(super) peek: Script,
    pub(super) tally: Script,
    pub(super) decide: Script,
    pub(super) sweep: Script,
    pub(super) forget: Script,
}

const PRELUDE: &str = include_str!("scripts/prelude.lua");

/// In a test build the tests move the clock through a key; elsewhere Redis `TIME` is the clock.
const CLOCK_OFFSET: &str = if cfg!(feature = "virtual-time") {
    "tonumber(redis.call('GET', 'promemoria:clock-offset-ms') or '0')"
} else {
    "0"
};

fn script(body: &str) -> Script {
    Script::new(&format!("{PRELUDE}{body}").replace("CLOCK_OFFSET()", CLOCK_OFFSET))
}

impl Scripts {
    fn new() -> Self {
        Self {
            load: script(include_str!("scripts/load.lua")),
            commit: script(include_str!("scripts/commit.lua")),
            claim: script(include_str!("scripts/claim.lua")),
            fence: script(include_str!("scripts/fence.lua")),
            settle: script(include_str!("scripts/settle.lua")),
            peek: script(include_str!("scripts/peek.lua")),
            tally: script(include_str!("scripts/tally.lua")),
            decide: script(include_str!("scripts/decide.lua")),
            sweep: script(include_str!("scripts/sweep.lua")),
            forget: script(include_str!("scripts/forget.lua")),
        }
    }
}

fn client(options: &Options, info: ConnectionInfo) -> Result<Client, StoreError> {
    let Some(path) = &options.ca_file else { return Client::open(info).map_err(StoreError::from_redis) };
    let root_cert = std::fs::read(path).map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(root_cert) };
    Client::build_with_tls(info, certificates).map_err(StoreError::from_redis)
}

impl Redis {
    /// Connects; fails if Redis is not there. Afterwards it reconnects by itself.
    ///
    /// A dead peer is found within about 7 s: without TCP user timeout and keepalive the client never
    /// leaves a silently dead connection (measured: still failing after 90 s).
    pub async fn connect(options: &Options) -> Result<Self, StoreError> {
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(5))
            .with_interval(Duration::from_secs(1))
            .with_retries(3);
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(Duration::from_secs(5))
            .set_keepalive(keepalive);
        let info = options.url.expose_secret().into_connection_info().map_err(StoreError::from_redis)?;
        let client = client(options, info.set_tcp_settings(tcp))?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(options.response_timeout))
            .set_connection_timeout(Some(Duration::from_secs(3)))
            .set_min_delay(Duration::from_millis(100))
            .set_max_delay(Duration::from_secs(2))
            .set_number_of_retries(2);
        let connection =
            ConnectionManager::new_with_config(client, config).await.map_err(StoreError::from_redis)?;
        Ok(Self { connection, prefix: options.prefix.clone(), scripts: std::sync::Arc::new(Scripts::new()) })
    }

    /// A handle for commands of one's own; clones share the connection.
    #[must_use]
    pub fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    /// First part of every key.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The start of every key of an ente.
    pub(super) fn ente(&self, ente: &str) -> String {
        super::keys::ente_prefix(&self.prefix, ente)
    }

    pub(super) async fn run<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        call.invoke_async(&mut connection).await.map_err(StoreError::from_redis)
    }

    /// The store's clock, Unix milliseconds.
    pub async fn now_ms(&self) -> Result<i64, StoreError> {
        let clock = script("return now_ms()");
        let mut call = clock.prepare_invoke();
        call.key(self.ente("-"));
        self.run(&call).await
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.connection.clone();
        redis::cmd("PING").query_async(&mut connection).await.map_err(StoreError::from_redis)
    }
}
