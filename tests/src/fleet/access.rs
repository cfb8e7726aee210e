//! A user for each service at the broker and in Redis, with the permissions that `deploy/` ships.

use anyhow::Context as _;
use shared::broker::permissions::Role;
use shared::broker::topology::Topology;

use super::build::project_root;
use crate::brokers::{Brokers, Origin};

/// Everybody's password: the brokers are private and on loopback.
const PASSWORD: &str = "trial";
/// The one key outside the fleet's prefix: a test build moves its clock by it.
const CLOCK: &str = "~promemoria:clock-offset-ms";

/// Makes the users of the shipped definitions in a virtual host, and the topology, since no service may declare it.
/// Brokers that the environment gave are not ours to administer: false, and the services use its user.
pub(crate) async fn grant(brokers: &Brokers, vhost: &str) -> anyhow::Result<bool> {
    if *brokers.origin() == Origin::Environment {
        return Ok(false);
    }
    let users: Vec<&str> = Role::ALL.iter().map(|role| role.user()).collect();
    brokers.import(&Topology::fleet().definitions(vhost), &users, PASSWORD).await?;
    let mut redis = redis::Client::open(brokers.redis_url())?.get_multiplexed_async_connection().await?;
    let path = project_root().join("deploy/redis/users.acl");
    let list = std::fs::read_to_string(&path).with_context(|| format!("{} is missing", path.display()))?;
    for line in list.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["user", name, "off", rules @ ..] = &words[..] else { anyhow::bail!("not a user: {line}") };
        if *name == "default" {
            continue; // the tests look in with it
        }
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg(name).arg("reset").arg("on").arg(format!(">{PASSWORD}"));
        command.arg(rules).arg(CLOCK);
        let () = command.query_async(&mut redis).await.with_context(|| format!("user {name}"))?;
    }
    Ok(true)
}

/// The settings that make a process its own user on the brokers at these addresses (AMQP, Redis), as variables of its
/// environment.
pub(crate) fn variables((amqp_url, redis_url): (&str, &str), process: &str) -> Vec<(String, String)> {
    let Some(role) = Role::of_process(process) else { return Vec::new() };
    let signed_in = |url: &str| {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        format!("{scheme}://{}:{PASSWORD}@{host}", role.user())
    };
    vec![
        ("PROMEMORIA__AMQP__URL".to_owned(), signed_in(amqp_url)),
        ("PROMEMORIA__AMQP__DECLARE".to_owned(), "false".to_owned()),
        ("PROMEMORIA__REDIS__URL".to_owned(), signed_in(redis_url)),
    ]
}
