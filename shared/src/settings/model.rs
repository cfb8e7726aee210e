//! The settings as the services use them. `defaults.toml` has every key's default and meaning.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::domain::catalogue::InDubbio;

/// Everything the fleet can be told. Secrets print as `[REDACTED]`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of the enti.
    pub enti_dir: PathBuf,
    /// Folder of the catalogue.
    pub catalogue_dir: PathBuf,
    /// RabbitMQ.
    pub amqp: Amqp,
    /// Redis.
    pub redis: Redis,
    /// The IO API.
    pub io: Io,
    /// The scheduler.
    pub scheduler: Scheduler,
    /// The renderer.
    pub renderer: Bind,
    /// The dispatcher.
    pub dispatcher: Bind,
    /// How long things are kept.
    pub retention: Retention,
    /// What hides the recipients.
    pub privacy: Privacy,
    /// Time for work in hand when a stop is asked.
    pub shutdown_grace: Duration,
    /// Log lines.
    pub log: Log,
    /// Traces; none where they are off.
    pub tracing: Option<Tracing>,
    /// The keys and values in force, secrets taken out, for the log line at start.
    pub(super) redacted: serde_json::Value,
}

/// RabbitMQ.
#[derive(Debug, Clone)]
pub struct Amqp {
    /// `amqp://` or `amqps://`, with credentials.
    pub url: SecretString,
    /// More nodes of the same cluster, `host:port`.
    pub nodes: Vec<String>,
    /// Certificates, for `amqps://`.
    pub tls: Tls,
    /// Declare the topology at start, or check it passively.
    pub declare: bool,
    /// Plain text to other hosts than loopback was allowed.
    pub allow_plaintext: bool,
    /// Deliveries a consumer holds unsettled.
    pub prefetch: u16,
    /// Publishes in flight on each channel before their confirms.
    pub publish_window: usize,
    /// Time within which a publish must be confirmed.
    pub publish_timeout: Duration,
}

/// Certificate files, PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that may sign the server's certificate, in place of the public ones.
    pub ca_file: Option<PathBuf>,
    /// The fleet's own certificate; there if and only if `key_file` is.
    pub cert_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
}

/// Redis.
#[derive(Debug, Clone)]
pub struct Redis {
    /// `redis://` or `rediss://`, with credentials and database. With Sentinel or Cluster the host is not
    /// used.
    pub url: SecretString,
    /// Certificates, for `rediss://`.
    pub tls: Tls,
    /// What is done about a Redis that may lose what it was given.
    pub durability: Durability,
    /// One server, Sentinel or Cluster.
    pub topology: RedisTopology,
    /// Plain text to other hosts than loopback was allowed.
    pub allow_plaintext: bool,
    /// Time within which an answer must come.
    pub response_timeout: Duration,
    /// First part of every key.
    pub prefix: String,
}

/// What is done about a Redis that evicts keys or keeps no append-only file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The services refuse to start.
    Require,
    /// They say so and go on.
    Warn,
}

/// How Redis is reached.
#[derive(Debug, Clone)]
pub enum RedisTopology {
    /// The host of `redis.url`.
    Single,
    /// The master that the sentinels name.
    Sentinel {
        /// Name of the master.
        master: String,
        /// Sentinels, `host:port`.
        nodes: Vec<String>,
        /// The sentinels' own user.
        username: Option<String>,
        /// The sentinels' own password.
        password: Option<SecretString>,
    },
    /// A cluster.
    Cluster {
        /// Some of its nodes, `host:port`.
        nodes: Vec<String>,
    },
}

/// The IO API.
#[derive(Debug, Clone)]
pub struct Io {
    /// Base URL, without a final slash.
    pub base_url: Url,
    /// Plain text to other hosts than loopback was allowed.
    pub allow_plaintext: bool,
    /// Time within which a connection must stand.
    pub connect_timeout: Duration,
    /// Time within which a call must be answered.
    pub request_timeout: Duration,
    /// Messages of one IO account under way in one dispatcher.
    pub concurrency: usize,
    /// Policy for unknown outcomes, unless message type or ente say otherwise.
    pub in_doubt: InDubbio,
    /// How long `resend` waits first.
    pub resend_after: Duration,
    /// Ask IO what became of each message.
    pub track_status: bool,
}

/// The scheduler.
#[derive(Debug, Clone)]
pub struct Scheduler {
    /// Address of probes and metrics.
    pub bind: SocketAddr,
    /// How often due work is looked for when there was none.
    pub poll: Duration,
    /// How long a claim of due work holds.
    pub lease: Duration,
    /// Entries in one claim.
    pub claim: usize,
    /// Claims at work at the same time.
    pub claim_loops: usize,
    /// Messages of one IO account on the way to IO.
    pub in_flight: usize,
    /// Between two comparisons of journal and store.
    pub conservation: Duration,
}

/// A service with nothing but an address.
#[derive(Debug, Clone)]
pub struct Bind {
    /// Address of probes and metrics.
    pub bind: SocketAddr,
}

/// How long things are kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Ids of events, after their case is closed (contract.md 10.5).
    pub dedup: Duration,
    /// A case without events.
    pub idle_case: Duration,
    /// Personal data of a settled message.
    pub payload: Duration,
    /// Between two looks at what is past its time.
    pub sweep: Duration,
    /// Lines of the journal.
    pub journal: Duration,
}

/// What hides the recipients.
#[derive(Debug, Clone)]
pub struct Privacy {
    /// HMAC key of `data.destinatario`, without trailing white space (contract.md 10.13).
    pub recipient_hash_key: SecretString,
    /// The key is the fixed one that serves for trial.
    pub trial_key: bool,
}

/// Log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Form of the lines.
    pub format: LogFormat,
    /// The least level of the fleet's own lines.
    pub level: LogLevel,
}

/// Traces.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// Address of the collector, above `/v1/traces`.
    pub endpoint: Url,
    /// Share of events that are traced, 0 to 1.
    pub sample_ratio: f64,
}

/// Form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Level of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// An operator must act, or data are lost.
    Error,
    /// Handled but unusual.
    Warn,
    /// Start, stop, reconnect.
    #[default]
    Info,
    /// Per delivery.
    Debug,
    /// Everything.
    Trace,
}

impl Settings {
    /// The keys and values in force, without any secret.
    #[must_use]
    pub fn redacted(&self) -> &serde_json::Value {
        &self.redacted
    }
}
