//! One run of a fleet under a fault: start it, publish, break something, wait until all is over, check.
//!
//! `setup`: which fleet. `publish`: what the integrator says. `schedule`: due dates and the clock. `wait`:
//! until what, and for how long.

mod publish;
mod schedule;
mod setup;
mod wait;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::book::Book;
use super::checker::{Bounds, Evidence, check, check_uncounted};
use super::crew::{Crew, STEP};
use super::ground::Ground;
use super::integrator::Integrator;
use super::proxy::Proxy;
use super::result::Report;
use super::stored::Stored;
use crate::fleet::SERVICES;
use crate::fleet::client::{sandbox_fault, sandbox_messages};
use crate::journal::Journal;
use setup::usual_enti;

pub(super) use setup::Setup;

/// More than an intent lasts: `io.request_timeout` of a trial (3 s) and the dispatcher's margin (10 s).
pub(super) const INTENT: Duration = Duration::from_secs(20);

/// Between two comparisons of journal and ledger, which tell of no change by themselves.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A fleet under trial.
pub(super) struct Trial {
    pub(super) ground: Ground,
    pub(super) crew: Crew,
    pub(super) book: Book,
    pub(super) integrator: Integrator,
    cables: Vec<(&'static str, Proxy)>,
    published: usize,
    /// How long anything may take that is waited for.
    patience: Duration,
    /// When the fault was over; recovery is counted from here.
    mended: Option<Instant>,
    later_journal: bool,
}

impl Trial {
    /// Starts a fleet on cleared ground, and waits until it is ready.
    pub(super) async fn start(ground: &Ground, setup: Setup) -> anyhow::Result<Self> {
        ground.clear().await?;
        let mut environment = vec![
            // Leases and polls short enough for a test, and still longer than the work takes: with a tenth of the
            // usual lease goes a tenth of what is usually on its way.
            ("PROMEMORIA__SCHEDULER__LEASE".to_owned(), "3s".to_owned()),
            ("PROMEMORIA__SCHEDULER__IN_FLIGHT".to_owned(), "400".to_owned()),
            ("PROMEMORIA__SCHEDULER__POLL".to_owned(), "100ms".to_owned()),
        ];
        if !ground.more_amqp.is_empty() {
            let nodes: anyhow::Result<Vec<String>> =
                ground.more_amqp.iter().map(|url| Ground::host_of(url)).collect();
            environment.push(("PROMEMORIA__AMQP__NODES".to_owned(), nodes?.join(",")));
            // The hosts of a cluster that can be cut are not loopback; they are on this machine all the same.
            environment.push(("PROMEMORIA__AMQP__ALLOW_PLAINTEXT".to_owned(), "true".to_owned()));
        }
        environment.extend(setup.environment);
        let enti = setup.enti.unwrap_or_else(usual_enti);
        let mut crew = Crew::muster_on(ground, &enti, environment, setup.io_port).await?;
        if setup.own_users && ground.grant().await? {
            crew.sign_in_as_themselves();
        }
        if let Some(bytes) = setup.address_space {
            crew.confine(bytes);
        }
        let mut cables = Vec::new();
        for what in setup.through {
            let cable = lay_cable(ground, &mut crew, what)?;
            cables.push((what, cable));
        }
        for service in SERVICES {
            match &setup.crash {
                Some((armed, point)) if *armed == service => {
                    crew.enlist(service, &[("PROMEMORIA_CRASH_POINT", point)])?;
                }
                _ => crew.enlist(service, &[])?,
            }
        }
        crew.wait_ready().await?;
        let integrator = Integrator::start(ground.amqp_urls()).await?;
        let ground = ground.clone();
        Ok(Self {
            ground,
            crew,
            book: Book::default(),
            integrator,
            cables,
            published: 0,
            patience: STEP,
            mended: None,
            later_journal: setup.later_journal,
        })
    }

    /// A cable that the setup asked for.
    pub(super) fn cable(&self, what: &str) -> anyhow::Result<&Proxy> {
        let cable = self.cables.iter().find(|(name, _)| *name == what);
        cable.map(|(_, cable)| cable).with_context(|| format!("no cable to {what}"))
    }

    /// Sets a fault of the sandbox.
    pub(super) async fn io_fault(&self, fault: &Value) -> anyhow::Result<()> {
        sandbox_fault(self.crew.ports.sandbox, fault).await
    }

    /// How many messages the sandbox has.
    pub(super) async fn created(&self) -> anyhow::Result<usize> {
        Ok(sandbox_messages(self.crew.ports.sandbox).await?.len())
    }

    /// Ends the fleet and holds everything that it did against the invariants.
    pub(super) async fn close(self, bounds: Bounds) -> anyhow::Result<Report> {
        self.end(bounds, check).await
    }

    /// The same for a row whose events the book does not follow ([`Trial::say`]): several messages come of one, so
    /// that the row counts itself what was sent.
    pub(super) async fn close_uncounted(self, bounds: Bounds) -> anyhow::Result<()> {
        self.end(bounds, check_uncounted).await
    }

    async fn end<R>(
        mut self,
        bounds: Bounds,
        check: fn(&Evidence<'_>, Bounds) -> anyhow::Result<R>,
    ) -> anyhow::Result<R> {
        if !self.later_journal {
            self.agree().await?;
        }
        // One that was started last may not be needed for anything above.
        self.crew.wait_begun().await?;
        let metrics = self.crew.metrics().await?;
        let messages = sandbox_messages(self.crew.ports.sandbox).await?;
        let stored = Stored::count(&self.ground).await?;
        let dead = dead_letters(&self.ground).await?;
        let keys = store_keys(&self.ground).await?;
        self.crew.stand_down().await?;
        let logs = self.crew.logs();
        let told = self.book.outcomes.iter().map(Value::to_string).collect();
        let written = vec![
            ("a log", logs),
            ("a metric", metrics),
            ("a dead letter's headers", dead),
            ("a key of the store", keys),
            ("an outcome", told),
        ];
        let evidence = Evidence { book: &self.book, messages: &messages, stored: &stored, written: &written };
        check(&evidence, bounds)
    }

    /// I8 from the other side: what the journal says is what the ledger says, message by message. An event may be sent
    /// before its own line is confirmed, which its intake insists on.
    pub(super) async fn agree(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.audit().await {
                Err(_) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
                Err(error) => {
                    let said = format!("{error:#}");
                    bail!("{said}; events {:?}", self.book.events_in(&said));
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn audit(&self) -> anyhow::Result<()> {
        let variables = [
            ("PROMEMORIA__REDIS__URL", self.ground.redis_url.as_str()),
            ("PROMEMORIA__REDIS__ALLOW_PLAINTEXT", "true"),
            ("PROMEMORIA__AMQP__ALLOW_PLAINTEXT", "true"),
        ];
        for (ente, found) in Journal::open(&self.crew.config(), &variables).await?.audit().await? {
            let differences = found.differences;
            ensure!(differences.is_empty(), "I8: journal and ledger of {ente} differ: {differences:?}");
        }
        Ok(())
    }
}

/// Puts a cable between the services and one of the things they talk to.
fn lay_cable(ground: &Ground, crew: &mut Crew, what: &str) -> anyhow::Result<Proxy> {
    let (setting, url) = match what {
        "amqp" => ("PROMEMORIA__AMQP__URL", ground.amqp_url.clone()),
        "redis" => ("PROMEMORIA__REDIS__URL", ground.redis_url.clone()),
        _ => ("PROMEMORIA__IO__BASE_URL", format!("http://127.0.0.1:{}/api/v1", crew.ports.sandbox)),
    };
    let host = Ground::host_of(&url)?;
    let cable = Proxy::to(host.clone())?;
    crew.tell_all(setting, url.replace(&host, &format!("127.0.0.1:{}", cable.port())));
    Ok(cable)
}

/// The headers of every dead letter; the letters stay.
async fn dead_letters(ground: &Ground) -> anyhow::Result<String> {
    let (connection, channel) = ground.amqp().await?;
    let mut headers = String::new();
    let options = lapin::options::BasicGetOptions { no_ack: false };
    while let Some(letter) = channel.basic_get("promemoria.dead".into(), options).await? {
        let properties = format!("{:?}\n", letter.delivery.properties);
        headers.push_str(&properties);
    }
    connection.close(200, "done".into()).await?;
    Ok(headers)
}

/// The names of all keys, and of the fields of all hashes.
async fn store_keys(ground: &Ground) -> anyhow::Result<String> {
    let mut redis = ground.redis().await?;
    let script = redis::Script::new(
        "local all = {}
         for _, key in ipairs(redis.call('KEYS', '*')) do
             all[#all + 1] = key
             if redis.call('TYPE', key).ok == 'hash' then
                 for _, field in ipairs(redis.call('HKEYS', key)) do all[#all + 1] = field end
             end
         end
         return all",
    );
    let names: Vec<Vec<u8>> = script.invoke_async(&mut redis).await?;
    let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
    Ok(names.join("\n"))
}
