//! Three RabbitMQ nodes that are one broker: what a deployment that must not stop has.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::launch::LocalServer;
use super::network::Network;
use super::ports::free_port;
use super::rabbitmq::{Programs, Site, configuration, control, port_mapper, server};
use super::ready;
use super::watchdog::{Charge, Watchdog};

/// Members. A majority survives the loss of one.
pub const NODES: usize = 3;

/// How long a node may take to answer or to join, on a machine that compiles at the same time.
const DEADLINE: Duration = Duration::from_mins(3);

/// Between two questions to a node that boots.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What a node does that finds itself in a minority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Minority {
    /// It closes its connections and stops, as we advise: `pause_minority`.
    Pauses,
    /// It keeps them and goes on, though no quorum queue does: `ignore`. So does one that was to pause and did
    /// not notice.
    GoesOn,
}

impl Minority {
    /// What a cluster needs beside a node's own configuration: this choice, and a node that is silent is taken
    /// for gone after 15 to 20 s (60 by default).
    fn configuration(self) -> String {
        let handling = match self {
            Self::Pauses => "pause_minority",
            Self::GoesOn => "ignore",
        };
        format!("loopback_users = none\ncluster_partition_handling = {handling}\nnet_ticktime = 15\n")
    }
}

struct Member {
    name: String,
    url: String,
    server: Mutex<LocalServer>,
}

/// A cluster of this machine's programs. It ends with this value.
pub struct Cluster {
    members: Vec<Member>,
    control: std::path::PathBuf,
    mappers: Vec<LocalServer>,
    network: Option<Network>,
    watchdog: Arc<Watchdog>,
    folder: TempDir,
}

impl Cluster {
    /// Starts three nodes and joins them: on loopback, or each on a host of a network that can be cut.
    ///
    /// # Errors
    /// RabbitMQ's programs are not here, a node does not come up, or no network can be made.
    pub async fn start(apart: bool, minority: Minority) -> anyhow::Result<Self> {
        let programs = Programs::find().map_err(anyhow::Error::msg)?;
        let watchdog = Arc::new(Watchdog::start()?);
        let folder = tempfile::Builder::new().prefix("promemoria-cluster-").tempdir()?;
        watchdog.guard(&Charge::Folder(folder.path().to_str().context("a folder's name in UTF-8")?))?;
        let hosts = u8::try_from(NODES)?;
        let network = apart.then(|| Network::of(hosts, &watchdog)).transpose()?;
        let control = programs.control.clone();
        let mut cluster =
            Self { members: Vec::new(), control, mappers: Vec::new(), network, watchdog, folder };
        let mapper_port = free_port()?;
        for number in 0..NODES {
            let place = (number, mapper_port);
            cluster.add(&programs, place, minority).await.with_context(|| format!("node {number}"))?;
        }
        for member in &cluster.members {
            cluster.answers(member).await?;
        }
        // One after the other: two that join at once may each wait for the other's tables.
        for member in &cluster.members[1..] {
            let first = &cluster.members[0].name;
            let join = format!(
                "rabbit:stop(), ok = rabbit_mnesia:join_cluster('{first}', disc), ok = rabbit:start()."
            );
            cluster.control_of(member, &["eval", &join]).await?;
        }
        cluster.wait_whole().await?;
        Ok(cluster)
    }

    async fn add(
        &mut self,
        programs: &Programs,
        (number, mapper_port): (usize, u16),
        minority: Minority,
    ) -> anyhow::Result<()> {
        let host = self
            .network
            .as_ref()
            .map_or_else(|| "127.0.0.1".to_owned(), |network| network.address(number).to_string());
        let within = self.network.as_ref().map(|network| network.on(number)).unwrap_or_default();
        let name = format!("promemoria-{number}@{host}");
        let site = Site { name: &name, host: &host, mapper_port, within: &within };
        let (home, port) = (self.folder.path().join(number.to_string()), free_port()?);
        let settings = format!("{}{}", configuration(&site, port), minority.configuration());
        let launch = server(programs, &home, &site, &settings)?;
        same_cookie(&home)?;
        // On loopback the three share one.
        if self.mappers.is_empty() || self.network.is_some() {
            self.mappers.push(port_mapper(programs, &home, &site, &self.watchdog).await?);
        }
        let server = Mutex::new(LocalServer::start_new(launch, &self.watchdog)?);
        let url = format!("amqp://guest:guest@{host}:{port}/%2f");
        self.members.push(Member { name, url, server });
        Ok(())
    }

    /// The nodes' addresses, in order.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.members.iter().map(|member| member.url.clone()).collect()
    }

    /// Which node leads a quorum queue of the default virtual host.
    ///
    /// # Errors
    /// There is no such queue, or no node answers.
    pub async fn leader(&self, queue: &str) -> anyhow::Result<usize> {
        let ask = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             {{_, Node}} = amqqueue:get_pid(Q), Node."
        );
        let said = self.control_of(&self.members[0], &["eval", &ask]).await?;
        let leads = |member: &Member| said.lines().any(|line| line.trim_matches('\'') == member.name);
        self.members.iter().position(leads).with_context(|| format!("nobody leads {queue}: {said}"))
    }

    /// Ends a node as a crash does.
    ///
    /// # Errors
    /// It survives.
    pub async fn kill(&self, node: usize) -> anyhow::Result<()> {
        self.members[node].server.lock().await.kill().await
    }

    /// Starts a killed node in its place; it need not answer yet.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start_again(&self, node: usize) -> anyhow::Result<()> {
        self.members[node].server.lock().await.start()
    }

    /// Cuts a node off from the others; we reach it still.
    ///
    /// # Errors
    /// The nodes are not apart.
    pub fn cut(&self, node: usize) -> anyhow::Result<()> {
        let others: Vec<usize> = (0..NODES).filter(|other| *other != node).collect();
        self.network.as_ref().context("the nodes share loopback")?.cut(node, &others)
    }

    /// Joins it again.
    ///
    /// # Errors
    /// As [`Cluster::cut`].
    pub fn mend(&self, node: usize) -> anyhow::Result<()> {
        self.network.as_ref().context("the nodes share loopback")?.mend(node)
    }

    /// Waits until every node serves, and no queue would be without a majority if any of them went.
    ///
    /// # Errors
    /// Not in time.
    pub async fn wait_whole(&self) -> anyhow::Result<()> {
        let ask = format!(
            "{NODES} = length(rabbit_nodes:all_running()), [] = rabbit_quorum_queue:list_with_minimum_quorum(), ok."
        );
        let deadline = Instant::now() + DEADLINE;
        for member in &self.members {
            self.answers(member).await?;
            while let Err(error) = self.control_of(member, &["eval", &ask]).await {
                ensure!(Instant::now() < deadline, "{}: the cluster is not whole: {error:#}", member.name);
                sleep(ASK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// Has every node write down which Raft servers it has. RabbitMQ 3.10 does so up to a second after one was made
    /// (a DETS table with auto-save); a node that is killed before comes back without it. If that happens to the
    /// coordinator of the streams on two nodes at once, a new and empty one is made, and no stream is found again.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn write_down(&self) -> anyhow::Result<()> {
        for member in &self.members {
            self.control_of(member, &["eval", "[ok = dets:sync(Table) || Table <- dets:all()], ok."]).await?;
        }
        Ok(())
    }

    /// Waits until a node takes connections.
    async fn answers(&self, member: &Member) -> anyhow::Result<()> {
        let deadline = Instant::now() + DEADLINE;
        while let Err(error) = ready::amqp_handshake(&member.url).await {
            let mut server = member.server.lock().await;
            let ended = server.failure()?;
            let log = server.launch.log_tail(15);
            ensure!(
                ended.is_none() && Instant::now() < deadline,
                "{}: {error:#}; {ended:?}\n{log}",
                member.name
            );
            drop(server);
            sleep(ASK_AGAIN).await;
        }
        Ok(())
    }

    async fn control_of(&self, member: &Member, arguments: &[&str]) -> anyhow::Result<String> {
        let launch = member.server.lock().await.launch.clone();
        control(&launch, &self.control, arguments).await
    }

    /// Ends the nodes and removes their files.
    ///
    /// # Errors
    /// Something did not end.
    pub async fn shutdown(&self) -> anyhow::Result<()> {
        // As a crash does: what they hold goes with their folder.
        for member in &self.members {
            member.server.lock().await.kill().await?;
        }
        Ok(())
    }
}

/// Nodes of one cluster know each other by a secret that each keeps in its home.
fn same_cookie(home: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let file = home.join("home/.erlang.cookie");
    std::fs::write(&file, "PROMEMORIATESTCLUSTER")?;
    // Erlang refuses one that others may read.
    Ok(std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400))?)
}
