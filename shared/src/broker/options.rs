//! How to reach the broker and how to use it.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{BrokerError, topology::Topology};

/// The most that [`Options::publish_window`] may ask for: beyond a few thousand the rate no longer grows,
/// and every unconfirmed message is one that a lost connection sends again.
pub const MAX_PUBLISH_WINDOW: u16 = 4096;

/// Certificates of an `amqps` connection, as PEM files.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The only authorities to trust; without it, those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// Our certificate chain, where the broker asks for one; goes with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// The private key of `cert_file`.
    pub key_file: Option<PathBuf>,
}

/// Everything that [`super::RabbitMq::start`] needs.
#[derive(Debug, Clone)]
pub struct Options {
    /// `amqp://user:password@host:port/vhost` or `amqps://…`; the vhost `/` is written `%2f`.
    pub url: SecretString,
    /// More nodes of the same cluster, `host:port`: user, vhost and TLS are those of the URL.
    pub nodes: Vec<String>,
    /// Certificates, read at every connection attempt so that a renewed file is taken up.
    pub tls: Tls,
    /// Allows `amqp://` to a host that is not this one.
    pub allow_plaintext: bool,
    /// Declare the topology on every new connection; otherwise only check that it is there.
    pub declare: bool,
    /// The topology to declare or check.
    pub topology: Topology,
    /// The process's role, shown by the broker with each connection.
    pub connection_name: String,
    /// Messages published on one channel and not yet confirmed, from 1 to [`MAX_PUBLISH_WINDOW`].
    pub publish_window: usize,
    /// How long a publish may take, waiting for a connection included.
    pub publish_timeout: Duration,
}

impl Default for Options {
    /// A broker on this machine, the fleet's topology, a window of 512 (a window of hundreds is worth
    /// half as much again as one of a hundred), 10 s for a publish.
    fn default() -> Self {
        Self {
            url: SecretString::from("amqp://127.0.0.1:5672/%2f"),
            nodes: Vec::new(),
            tls: Tls::default(),
            allow_plaintext: false,
            declare: true,
            topology: Topology::fleet(),
            connection_name: "promemoria".to_owned(),
            publish_window: 512,
            publish_timeout: Duration::from_secs(10),
        }
    }
}

impl Options {
    /// Refuses values that can never work.
    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        if !(1..=usize::from(MAX_PUBLISH_WINDOW)).contains(&self.publish_window) {
            return Err(BrokerError::invalid(
                "amqp.publish_window",
                format!("must be from 1 to {MAX_PUBLISH_WINDOW}, got {}", self.publish_window),
            ));
        }
        if self.publish_timeout.is_zero() {
            return Err(BrokerError::invalid("amqp.publish_timeout", "must be longer than zero"));
        }
        if self.tls.cert_file.is_some() != self.tls.key_file.is_some() {
            return Err(BrokerError::invalid("amqp.tls", "cert_file and key_file go together"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert!(Options::default().check().is_ok());
    }

    #[test]
    fn a_window_of_zero_or_too_many_is_refused_by_name() {
        for publish_window in [0, usize::from(MAX_PUBLISH_WINDOW) + 1] {
            let refused = Options { publish_window, ..Options::default() }.check();
            assert!(matches!(refused, Err(BrokerError::Invalid { field: "amqp.publish_window", .. })));
        }
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let tls = Tls { cert_file: Some("client.pem".into()), ..Tls::default() };
        let refused = Options { tls, ..Options::default() }.check();
        assert!(matches!(refused, Err(BrokerError::Invalid { field: "amqp.tls", .. })));
    }
}
