//! Where brokers can be had on this machine.

use std::fmt;
use std::path::PathBuf;

use super::container::images_are_here;
use super::options::{Images, Options, Source};
use super::rabbitmq::Programs;
use super::redis_server;

/// Where the brokers came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// They were there already; the environment named them.
    Environment,
    /// Containers of these images.
    Containers(Images),
    /// Private instances of this machine's programs.
    Local,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("given by the environment"),
            Self::Containers(images) => write!(f, "containers of {} and {}", images.rabbitmq, images.redis),
            Self::Local => f.write_str("private instances of this machine's programs"),
        }
    }
}

/// A source that can be used, with what it takes.
pub(super) enum Found {
    Environment { amqp_url: String, redis_url: String },
    Containers(Images),
    Local { rabbitmq: Programs, redis: PathBuf, conf: String },
}

/// Takes the first source that the options allow and this machine has.
///
/// # Errors
///
/// Each source with what it lacks, and what to do next.
pub(super) async fn find(options: &Options) -> anyhow::Result<Found> {
    let mut lacking = Vec::new();
    if options.source == Source::Any {
        match &options.endpoints {
            Some((amqp_url, redis_url)) => {
                return Ok(Found::Environment { amqp_url: amqp_url.clone(), redis_url: redis_url.clone() });
            }
            None => lacking.push(
                "environment: PROMEMORIA_TEST_AMQP_URL and PROMEMORIA_TEST_REDIS_URL are not set".to_owned(),
            ),
        }
    }
    if options.source != Source::Local {
        match images_are_here([&options.images.rabbitmq, &options.images.redis]).await {
            Ok(()) => return Ok(Found::Containers(options.images.clone())),
            Err(reason) => lacking.push(format!("containers: {reason}")),
        }
    }
    if options.source != Source::Containers {
        match local_programs(&options.rabbitmq_conf) {
            Ok(found) => return Ok(found),
            Err(reason) => lacking.push(format!("local programs: {reason}")),
        }
    }
    anyhow::bail!(
        "no brokers to be had:\n  {}\nnext: run deploy/setup.sh for local programs, or tests/images/build.sh \
         for images, or set both endpoints",
        lacking.join("\n  ")
    )
}

fn local_programs(conf: &str) -> Result<Found, String> {
    let rabbitmq = Programs::find()?;
    let redis = redis_server::find().ok_or("redis-server is not on PATH")?;
    Ok(Found::Local { rabbitmq, redis, conf: conf.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn absent_images_are_named_with_the_next_step() {
        let images = Images { rabbitmq: "promemoria/absent:0".into(), redis: "promemoria/absent:0".into() };
        let options = Options { images, source: Source::Containers, ..Options::default() };
        let error = find(&options).await.err().unwrap().to_string();
        assert!(error.contains("containers: "), "{error}");
        assert!(error.contains("tests/images/build.sh"), "{error}");
        assert!(!error.contains("local programs: "), "{error}");
    }

    #[tokio::test]
    async fn endpoints_come_first() {
        let endpoints = Some(("amqp://127.0.0.1:1".to_owned(), "redis://127.0.0.1:2".to_owned()));
        let found = find(&Options { endpoints, ..Options::default() }).await.unwrap();
        assert!(matches!(found, Found::Environment { amqp_url, .. } if amqp_url == "amqp://127.0.0.1:1"));
    }
}
