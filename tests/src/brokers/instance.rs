//! One broker, whatever it runs in: the verbs of the fixture on each kind.

use anyhow::Context as _;
use rustix::process::Signal;

use super::container::Container;
use super::launch::LocalServer;
use super::rabbitmq::Node;

/// Lines of a server's log that an error shows.
const LOG_TAIL: usize = 15;

/// A broker of the fixture.
pub(super) enum Instance {
    /// Somebody else's.
    External,
    /// A private RabbitMQ.
    Node(Box<Node>),
    /// A private Redis.
    Local(LocalServer),
    /// Either, in a container.
    Container(Box<Container>),
}

impl Instance {
    /// Starts it again after [`Instance::stop`] or [`Instance::kill`]; it need not answer yet.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Container(container) => container.start().await,
            _ => self.local()?.start(),
        }
    }

    /// Asks it to end and waits for that.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Container(container) => container.stop().await,
            _ => self.local()?.stop().await,
        }
    }

    /// Ends it as a crash does.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Container(container) => container.kill().await,
            _ => self.local()?.kill().await,
        }
    }

    /// Freezes it: its connections stay open and silent.
    pub(super) async fn pause(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Container(container) => container.pause().await,
            _ => self.local()?.signal(Signal::STOP),
        }
    }

    /// Lets it go on.
    pub(super) async fn resume(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Container(container) => container.resume().await,
            _ => self.local()?.signal(Signal::CONT),
        }
    }

    /// Runs `rabbitmqctl` beside it.
    pub(super) async fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        match self {
            Self::Node(node) => node.control(arguments).await,
            Self::Container(container) => container.execute(&[&["rabbitmqctl"], arguments].concat()).await,
            Self::External | Self::Local(_) => anyhow::bail!("there is no rabbitmqctl for this broker"),
        }
    }

    /// Ends it for good and removes what it ran in. Somebody else's broker stays.
    pub(super) async fn end(&mut self) -> anyhow::Result<()> {
        match self {
            Self::External => Ok(()),
            Self::Node(node) => node.shutdown().await,
            Self::Local(server) => server.stop().await,
            Self::Container(container) => container.remove().await,
        }
    }

    /// The ids of its processes on this machine; none for somebody else's.
    pub(super) async fn pids(&self) -> anyhow::Result<Vec<u32>> {
        match self {
            Self::External => Ok(Vec::new()),
            Self::Node(node) => Ok(node.pids()),
            Self::Local(server) => Ok(server.pids()),
            Self::Container(container) => container.pids().await,
        }
    }

    /// Why it will never answer, if that is certain.
    pub(super) async fn failure(&mut self) -> anyhow::Result<Option<String>> {
        match self {
            Self::External => Ok(None),
            Self::Container(container) => container.failure().await,
            _ => self.local()?.failure(),
        }
    }

    /// The last lines of its output.
    pub(super) async fn log_tail(&self) -> String {
        match self {
            Self::External => String::new(),
            Self::Node(node) => node.server.launch.log_tail(LOG_TAIL),
            Self::Local(server) => server.launch.log_tail(LOG_TAIL),
            Self::Container(container) => container.log_tail(LOG_TAIL).await,
        }
    }

    fn local(&mut self) -> anyhow::Result<&mut LocalServer> {
        match self {
            Self::Node(node) => Some(&mut node.server),
            Self::Local(server) => Some(server),
            Self::External | Self::Container(_) => None,
        }
        .context("brokers given by the environment are not ours to stop or start")
    }
}
