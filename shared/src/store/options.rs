//! How to reach Redis.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct Options {
    /// `redis://` or `rediss://`, with user, password and database; its host counts for one server only.
    pub url: SecretString,
    /// Where the servers are.
    pub place: Place,
    /// Time within which an answer must come; a command that timed out may still have run.
    pub response_timeout: Duration,
    /// Certificates of a `rediss://` connection.
    pub tls: Tls,
    /// First part of every key.
    pub prefix: String,
}

/// Where the servers are.
#[derive(Debug, Clone, Default)]
pub enum Place {
    /// One server, at the URL's host.
    #[default]
    Single,
    /// A master that sentinels name; they are asked again after every lost connection.
    Sentinel {
        /// The name that the sentinels give it.
        master: String,
        /// The sentinels, `host:port`; TLS as for the servers.
        nodes: Vec<String>,
        /// The sentinels' own user, where they ask for one.
        username: Option<String>,
        /// The sentinels' own password, where they ask for one.
        password: Option<SecretString>,
    },
    /// A cluster.
    Cluster {
        /// Some of its nodes, `host:port`.
        nodes: Vec<String>,
    },
}

/// Certificate files, PEM, read at every new connection so that a renewed one is taken up.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The only authorities to trust; without it, the public ones.
    pub ca_file: Option<PathBuf>,
    /// Our certificate chain, where the server asks for one; goes with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The private key of `cert_file`.
    pub key_file: Option<PathBuf>,
}
