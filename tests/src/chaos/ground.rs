//! What a row stands on: brokers of its own, or a virtual host and a database of shared ones.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use shared::broker::permissions::Role;
use shared::broker::topology::Topology;
use shared::broker::{self, RabbitMq, topology};
use tokio::sync::OnceCell;

use super::bounds::{Stopwatch, Within};
use super::length::{Extent, Length};
use crate::brokers::{Brokers, Cluster};
use crate::fleet::{Binaries, access};

/// What a row stands on.
#[derive(Clone)]
pub struct Ground {
    /// The brokers; a row may stop them only where it stands on them alone.
    pub(super) brokers: Arc<Brokers>,
    /// Its virtual host.
    pub(super) amqp_url: String,
    /// The same on the other nodes of a cluster.
    pub(super) more_amqp: Vec<String>,
    /// Its database.
    pub(super) redis_url: String,
    /// The fleet's test build.
    pub(super) binaries: Binaries,
    /// What the times of the row are held against.
    pub(super) stopwatch: Stopwatch,
    /// How much of it runs.
    pub(super) extent: Extent,
    /// Whether the services' own users are there.
    pub(super) granted: Arc<OnceCell<bool>>,
}

impl Ground {
    /// A lane of shared brokers, from 1; lane 0 is the default virtual host and database.
    pub(super) async fn lane(brokers: &Arc<Brokers>, binaries: &Binaries, lane: u16) -> anyhow::Result<Self> {
        let amqp_url = match lane {
            0 => brokers.amqp_url().to_owned(),
            _ => brokers.vhost(&format!("lane-{lane}")).await?,
        };
        let redis_url = brokers.redis_db(lane)?;
        Ok(Self {
            brokers: Arc::clone(brokers),
            amqp_url,
            more_amqp: Vec::new(),
            redis_url,
            binaries: binaries.clone(),
            stopwatch: Stopwatch::default(),
            extent: Extent::default(),
            granted: Arc::default(),
        })
    }

    /// The same for a row that promises these times, at this length.
    pub(super) fn of_row(&self, within: Vec<Within>, length: Length) -> Self {
        Self { stopwatch: Stopwatch::new(within), extent: Extent::new(length), ..self.clone() }
    }

    /// What holds at the length at which the row runs.
    pub(super) fn length<T>(&self, short: T, full: T) -> T {
        self.extent.of(short, full)
    }

    /// Whether the row has two lengths and ran at the full one.
    pub(super) fn is_full(&self) -> bool {
        self.extent.is_full()
    }

    /// The same with a cluster in the place of the shared broker.
    pub(super) fn on_cluster(mut self, cluster: &Cluster) -> Self {
        let mut urls = cluster.urls().into_iter();
        self.amqp_url = urls.next().unwrap_or_default();
        self.more_amqp = urls.collect();
        self
    }

    /// Every address of its virtual host, the first one first.
    pub(super) fn amqp_urls(&self) -> Vec<String> {
        std::iter::once(&self.amqp_url).chain(&self.more_amqp).cloned().collect()
    }

    /// A connection to its database.
    pub(super) async fn redis(&self) -> anyhow::Result<redis::aio::MultiplexedConnection> {
        // The library's own half second is short for a look at many keys on a machine that does other things too.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(LOOK));
        let config = config.set_connection_timeout(Some(LOOK));
        redis::Client::open(self.redis_url.as_str())?
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .context("the store does not answer")
    }

    /// A channel on its virtual host.
    pub(super) async fn amqp(&self) -> anyhow::Result<(lapin::Connection, lapin::Channel)> {
        let mut refusal = None;
        for url in self.amqp_urls() {
            let properties = lapin::ConnectionProperties::default();
            match lapin::Connection::connect(&url, properties).await {
                Ok(connection) => {
                    let channel = connection.create_channel().await?;
                    return Ok((connection, channel));
                }
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.map_or_else(|| anyhow::anyhow!("no broker"), Into::into))
    }

    /// Leaves nothing of the row before: no queue, no stream of the journal, no key.
    pub(super) async fn clear(&self) -> anyhow::Result<()> {
        let mut redis = self.redis().await?;
        redis::cmd("FLUSHDB").query_async::<()>(&mut redis).await?;
        let (connection, channel) = self.amqp().await?;
        for queue in QUEUES.into_iter().chain(JOURNAL) {
            channel.queue_delete(queue.into(), lapin::options::QueueDeleteOptions::default()).await?;
        }
        connection.close(200, "done".into()).await?;
        Ok(())
    }

    /// Its virtual host by name.
    pub(super) fn vhost(&self) -> &str {
        match self.amqp_url.rsplit_once('/') {
            Some((_, "%2f")) | None => "/",
            Some((_, name)) => name,
        }
    }

    /// Makes the users of the services, once, and declares on cleared ground what they may not declare. False where
    /// the brokers are not ours to administer.
    pub(super) async fn grant(&self) -> anyhow::Result<bool> {
        let granted = self.granted.get_or_try_init(async || access::grant(&self.brokers, self.vhost()).await);
        if !*granted.await? {
            return Ok(false);
        }
        let url = self.amqp_url.clone().into();
        let declaring = RabbitMq::start(broker::Options { url, ..broker::Options::default() })?;
        declaring.wait_until_up(LOOK).await?;
        declaring.close().await;
        Ok(true)
    }

    /// Lets the scheduler's user publish as `deploy/` has it, or to nothing at all.
    pub(super) async fn permit_scheduler(&self, publishes: bool) -> anyhow::Result<()> {
        let (user, vhost) = (Role::Scheduler.user(), self.vhost());
        let definitions = Topology::fleet().definitions(vhost);
        let permissions = definitions["permissions"].as_array().context("permissions")?;
        let ours = permissions.iter().find(|it| it["user"] == user).context("the scheduler's")?;
        let pattern = |what: &str| ours[what].as_str().unwrap_or_default().replace('\\', "\\\\");
        let write = if publishes { pattern("write") } else { "^$".to_owned() };
        let (configure, read) = (pattern("configure"), pattern("read"));
        let set = format!(
            "ok = rabbit_auth_backend_internal:set_permissions(<<\"{user}\">>, <<\"{vhost}\">>, \
             <<\"{configure}\">>, <<\"{write}\">>, <<\"{read}\">>, <<\"tests\">>)."
        );
        self.brokers.control(&["eval", &set]).await
    }

    /// Has the broker end the connections of a service; there must be some.
    pub(super) async fn end_connections_of(&self, service: &str) -> anyhow::Result<()> {
        let end = format!(
            "All = rabbit_networking:connection_info_all([pid, vhost, client_properties]), \
             Named = fun(I) -> {{_, P}} = lists:keyfind(client_properties, 1, I), \
             case lists:keyfind(<<\"connection_name\">>, 1, P) of {{_, _, <<\"{service}\", _/binary>>}} -> true; _ -> false end end, \
             Ours = [I || I <- All, {{vhost, <<\"{}\">>}} =:= lists:keyfind(vhost, 1, I), Named(I)], \
             [_|_] = [rabbit_networking:close_connection(element(2, lists:keyfind(pid, 1, I)), <<\"a test\">>) || I <- Ours].",
            self.vhost()
        );
        self.brokers.control(&["eval", &end]).await
    }

    /// That an alarm of the broker is on.
    pub(super) async fn alarmed(&self) -> anyhow::Result<()> {
        self.brokers.control(&["eval", "[_|_] = rabbit_alarm:get_alarms()."]).await
    }

    /// That a queue holds so many messages, those that were delivered and not acknowledged among them: AMQP tells of the
    /// others only.
    pub(super) async fn holds(&self, queue: &str, count: RangeInclusive<usize>) -> anyhow::Result<()> {
        let (vhost, least, most) = (self.vhost(), count.start(), count.end());
        let look = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"{vhost}\">>, queue, <<\"{queue}\">>)), \
             [{{messages, N}}] = rabbit_amqqueue:info(Q, [messages]), \
             (N >= {least} andalso N =< {most}) orelse error({{holds, N}})."
        );
        self.brokers.control(&["eval", &look]).await.with_context(|| format!("{queue}: not {count:?}"))
    }

    /// Host and port of an address with a scheme.
    pub(super) fn host_of(url: &str) -> anyhow::Result<String> {
        let rest = url.split_once("://").context("an address has a scheme")?.1;
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        Ok(authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned())
    }
}

/// How long a look at the database may take.
const LOOK: Duration = Duration::from_secs(30);

/// Every queue of the fleet.
pub(super) const QUEUES: [&str; 6] = [
    "promemoria.events",
    "promemoria.render",
    "promemoria.dispatch",
    "promemoria.follow",
    "promemoria.dead",
    "promemoria.unrouted",
];

/// The journal's streams: a store without keys is rebuilt from them.
const JOURNAL: [&str; 3] = [topology::JOURNAL_EVENTS, topology::JOURNAL_INTENTS, topology::JOURNAL_OUTCOMES];
