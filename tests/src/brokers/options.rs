//! What a caller can ask of the fixture, and how the environment answers for it.

use std::env;
use std::time::Duration;

/// Where the brokers may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// The first that can be had: environment, containers, local programs.
    #[default]
    Any,
    /// Docker images only; anything else is an error.
    Containers,
    /// Programs of this machine only.
    Local,
}

/// Names of the Docker images, with tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Image whose container serves AMQP on port 5672.
    pub rabbitmq: String,
    /// Image whose container serves the Redis protocol on port 6379 (Redis or Valkey).
    pub redis: String,
}

impl Default for Images {
    fn default() -> Self {
        Self { rabbitmq: "promemoria/rabbitmq:debian12".into(), redis: "promemoria/redis:debian12".into() }
    }
}

/// How [`super::Brokers::start`] goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where the brokers may come from.
    pub source: Source,
    /// AMQP and Redis addresses of brokers that are there already.
    pub endpoints: Option<(String, String)>,
    /// The images of [`Source::Containers`].
    pub images: Images,
    /// Lines for the end of `rabbitmq.conf`: only a private instance of this machine's programs takes them.
    pub rabbitmq_conf: String,
    /// How long each broker may take until it answers. RabbitMQ boots in 5 to 10 s on two idle cores;
    /// the default of 120 s leaves room for a machine that compiles at the same time.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            source: Source::Any,
            endpoints: None,
            images: Images::default(),
            rabbitmq_conf: String::new(),
            deadline: Duration::from_mins(2),
        }
    }
}

impl Options {
    /// Reads `PROMEMORIA_TEST_AMQP_URL` with `PROMEMORIA_TEST_REDIS_URL`, `PROMEMORIA_RABBITMQ_IMAGE`,
    /// `PROMEMORIA_REDIS_IMAGE` and `PROMEMORIA_REQUIRE_CONTAINERS` (`1` leaves only the images).
    ///
    /// # Errors
    ///
    /// One endpoint without the other: half of somebody's brokers is more likely a slip than a wish.
    pub fn from_env() -> anyhow::Result<Self> {
        Self::from_variables(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let endpoints = match (variable("PROMEMORIA_TEST_AMQP_URL"), variable("PROMEMORIA_TEST_REDIS_URL")) {
            (Some(amqp), Some(redis)) => Some((amqp, redis)),
            (None, None) => None,
            (Some(_), None) => {
                anyhow::bail!("PROMEMORIA_TEST_AMQP_URL is set, PROMEMORIA_TEST_REDIS_URL is not")
            }
            (None, Some(_)) => {
                anyhow::bail!("PROMEMORIA_TEST_REDIS_URL is set, PROMEMORIA_TEST_AMQP_URL is not")
            }
        };
        let source = match variable("PROMEMORIA_REQUIRE_CONTAINERS").as_deref() {
            Some("1") => Source::Containers,
            _ => Source::Any,
        };
        let usual = Images::default();
        let images = Images {
            rabbitmq: variable("PROMEMORIA_RABBITMQ_IMAGE").unwrap_or(usual.rabbitmq),
            redis: variable("PROMEMORIA_REDIS_IMAGE").unwrap_or(usual.redis),
        };
        Ok(Self { source, endpoints, images, ..Self::default() })
    }

    /// The same options with another source.
    #[must_use]
    pub fn with_source(self, source: Source) -> Self {
        Self { source, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> anyhow::Result<Options> {
        Options::from_variables(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_empty_environment_gives_the_defaults() {
        assert_eq!(read(&[]).unwrap(), Options::default());
    }

    #[test]
    fn one_endpoint_without_the_other_is_refused_by_name() {
        let error = read(&[("PROMEMORIA_TEST_AMQP_URL", "amqp://127.0.0.1:1")]).unwrap_err().to_string();
        assert!(error.contains("PROMEMORIA_TEST_REDIS_URL is not"), "{error}");
        let error = read(&[("PROMEMORIA_TEST_REDIS_URL", "redis://127.0.0.1:1")]).unwrap_err().to_string();
        assert!(error.contains("PROMEMORIA_TEST_AMQP_URL is not"), "{error}");
    }

    #[test]
    fn required_containers_leave_no_other_source() {
        let options = read(&[
            ("PROMEMORIA_REQUIRE_CONTAINERS", "1"),
            ("PROMEMORIA_RABBITMQ_IMAGE", "promemoria/rabbitmq:debian13"),
            ("PROMEMORIA_REDIS_IMAGE", "promemoria/valkey:debian13"),
        ])
        .unwrap();
        assert_eq!(options.source, Source::Containers);
        assert_eq!(options.images.rabbitmq, "promemoria/rabbitmq:debian13");
        assert_eq!(options.images.redis, "promemoria/valkey:debian13");
    }
}
