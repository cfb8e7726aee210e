//! One run of a fleet under a fault: start it, publish, break something, wait until all is over, check.

use std::ops::Range;
use std::time::Duration;

use anyhow::Context as _;
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::book::Book;
use super::checker::{Bounds, CANARIES, Evidence, check};
use super::crew::{Crew, Environment, STEP};
use super::ground::Ground;
use super::integrator::Integrator;
use super::proxy::Proxy;
use super::result::Report;
use super::stored::Stored;
use crate::fleet::client::{sandbox_fault, sandbox_messages};
use crate::fleet::{Enti, SERVICES};

/// Between two looks at the store, which tells nobody of its changes.
const GLANCE: Duration = Duration::from_millis(50);

/// More than an intent lasts: `io.request_timeout` of a trial (3 s) and the dispatcher's margin (10 s).
pub(super) const INTENT: Duration = Duration::from_secs(20);

/// Which fleet a trial runs.
#[derive(Clone, Default)]
pub(super) struct Setup {
    enti: Option<Enti>,
    environment: Environment,
    crash: Option<(&'static str, String)>,
    through: Vec<&'static str>,
}

impl Setup {
    /// Policy for unknown outcomes.
    pub(super) fn in_doubt(mut self, policy: &'static str) -> Self {
        self.enti.get_or_insert_with(usual_enti).in_doubt = policy;
        self
    }

    /// A setting for every service: `SCHEDULER__LEASE`.
    pub(super) fn with(mut self, setting: &str, value: &str) -> Self {
        self.environment.push((format!("PROMEMORIA__{setting}"), value.to_owned()));
        self
    }

    /// A variable for every service, as it stands.
    pub(super) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first process of the service comes to this crash point: `name[:n[:deed]]`.
    pub(super) fn crash(mut self, service: &'static str, point: impl Into<String>) -> Self {
        self.crash = Some((service, point.into()));
        self
    }

    /// The services reach `amqp`, `redis` or `io` over a cable.
    pub(super) fn through(mut self, what: &'static str) -> Self {
        self.through.push(what);
        self
    }
}

/// Statuses are not asked for: most rows are about sending.
fn usual_enti() -> Enti {
    Enti { track_status: false, ..Enti::default() }
}

/// A fleet under trial.
pub(super) struct Trial {
    pub(super) ground: Ground,
    pub(super) crew: Crew,
    pub(super) book: Book,
    pub(super) integrator: Integrator,
    cables: Vec<(&'static str, Proxy)>,
    published: usize,
    /// When the fault was over; recovery is counted from here.
    mended: Option<Instant>,
}

impl Trial {
    /// Starts a fleet on cleared ground, and waits until it is ready.
    pub(super) async fn start(ground: &Ground, setup: Setup) -> anyhow::Result<Self> {
        ground.clear().await?;
        let mut environment = vec![
            // Leases and polls short enough for a test, and still longer than the work takes.
            ("PROMEMORIA__SCHEDULER__LEASE".to_owned(), "3s".to_owned()),
            ("PROMEMORIA__SCHEDULER__POLL".to_owned(), "100ms".to_owned()),
        ];
        environment.extend(setup.environment);
        let enti = setup.enti.unwrap_or_else(usual_enti);
        let mut crew = Crew::muster(ground, &enti, environment).await?;
        let mut cables = Vec::new();
        for what in setup.through {
            let cable = lay_cable(ground, &mut crew, what).await?;
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
        let integrator = Integrator::start(&ground.amqp_url).await?;
        let ground = ground.clone();
        Ok(Self { ground, crew, book: Book::default(), integrator, cables, published: 0, mended: None })
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

    /// Publishes events of as many cases, each of which leads to one message at once; returns their ids.
    pub(super) async fn publish(&mut self, count: usize) -> anyhow::Result<Vec<String>> {
        self.publish_for(count, "borgochiaro").await
    }

    /// The same for an ente.
    pub(super) async fn publish_for(&mut self, count: usize, ente: &str) -> anyhow::Result<Vec<String>> {
        let (mut ids, mut bodies) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let event = event(self.published, ente);
            self.published += 1;
            ids.push(event["id"].as_str().unwrap_or_default().to_owned());
            bodies.push((format!("{ente}.domanda.protocollata"), event.to_string().into_bytes()));
        }
        self.book.attempted.extend(ids.iter().cloned());
        self.integrator.publish_all(&bodies).await?;
        self.book.acknowledged.extend(ids.iter().cloned());
        Ok(ids)
    }

    /// Publishes events of the first cases again; with `other`, their content is another one.
    pub(super) async fn publish_again(&mut self, cases: Range<usize>, other: &str) -> anyhow::Result<()> {
        for number in cases {
            let mut event = event(number, "borgochiaro");
            if !other.is_empty() {
                event["data"]["numero_protocollo"] = other.into();
            }
            let body = event.to_string().into_bytes();
            self.integrator.publish("borgochiaro.domanda.protocollata", &body).await?;
        }
        Ok(())
    }

    /// Publishes an event of the service `permesso-soggiorno` that the book does not follow.
    pub(super) async fn say(&mut self, tipo: &str, pratica: &str, data: Value) -> anyhow::Result<()> {
        let event = json!({
            "specversion": "1.0", "id": format!("{tipo}/{pratica}"), "source": "https://gestionale.example.it",
            "type": tipo, "subject": pratica, "time": "2026-11-20T10:00:00+01:00", "ente": "borgochiaro",
            "servizio": "permesso-soggiorno", "data": data,
        });
        self.integrator.publish(&format!("borgochiaro.{tipo}"), event.to_string().as_bytes()).await
    }

    /// Puts an entry into the schedule that falls due after `time`, as an armed timer is; its case is not
    /// there, so that falling due shows in the log.
    pub(super) async fn arm_in(&self, time: Duration) -> anyhow::Result<Vec<u8>> {
        let mut redis = self.ground.redis().await?;
        let (seconds, _): (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await?;
        let member = b"chaos-timer!\0\0m".to_vec();
        let due = (seconds + time.as_secs()) * 1000;
        let _: () = redis.zadd("pm:{borgochiaro}:due", &member, due).await?;
        Ok(member)
    }

    /// Entries of the schedule.
    pub(super) async fn due(&self) -> anyhow::Result<usize> {
        Ok(self.ground.redis().await?.zcard("pm:{borgochiaro}:due").await?)
    }

    /// Has the first entries of the schedule fall due now.
    pub(super) async fn make_due(&self, most: usize) -> anyhow::Result<()> {
        let mut redis = self.ground.redis().await?;
        let members: Vec<Vec<u8>> = redis.zrange("pm:{borgochiaro}:due", 0, -1).await?;
        for member in members.into_iter().take(most) {
            let _: usize = redis.zadd("pm:{borgochiaro}:due", member, 0).await?;
        }
        Ok(())
    }

    /// Takes it out again; it must still be there.
    pub(super) async fn disarm(&self, member: Vec<u8>) -> anyhow::Result<()> {
        let mut redis = self.ground.redis().await?;
        let still: usize = redis.zrem("pm:{borgochiaro}:due", member).await?;
        anyhow::ensure!(still == 1, "I4: a timer left the schedule before its instant");
        Ok(())
    }

    /// Moves the store's clock by so many milliseconds, ahead or back.
    pub(super) async fn shift_clock(&self, by_ms: i64) -> anyhow::Result<()> {
        let mut redis = self.ground.redis().await?;
        let _: i64 = redis.incr("promemoria:clock-offset-ms", by_ms).await?;
        Ok(())
    }

    /// The fault is over now: recovery is counted from here.
    pub(super) fn mended(&mut self) {
        self.mended = Some(Instant::now());
    }

    /// Collects outcomes until the book says so.
    pub(super) async fn until(&mut self, what: &str, enough: impl Fn(&Book) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + STEP;
        while !enough(&self.book) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.integrator.next(left).await? {
                Some(outcome) => self.book.outcomes.push(outcome),
                None => anyhow::bail!("{what}: not within {STEP:?}; open: {:?}", self.book.open()),
            }
        }
        Ok(())
    }

    /// Waits until every confirmed event came to an end, and nothing is on its way. Returns the seconds
    /// since the fault was over.
    pub(super) async fn settle(&mut self) -> anyhow::Result<f64> {
        let settled = self.until("every event comes to an end", |book| book.open().is_empty()).await;
        if settled.is_err() {
            let standing = Stored::count(&self.ground).await?;
            settled.with_context(|| format!("the store: {standing:?}"))?;
        }
        let took = self.mended.map_or(0.0, |mended| mended.elapsed().as_secs_f64());
        self.wait_quiet().await?;
        Ok(took)
    }

    /// Waits until nothing is in flight nor due.
    pub(super) async fn wait_quiet(&self) -> anyhow::Result<()> {
        let mut redis = self.ground.redis().await?;
        let deadline = Instant::now() + STEP;
        loop {
            let mut busy = 0_usize;
            for key in redis.keys::<_, Vec<Vec<u8>>>("pm:{*}:fly").await? {
                busy += redis.zcard::<_, usize>(key).await?;
            }
            let (seconds, _): (i64, i64) = redis::cmd("TIME").query_async(&mut redis).await?;
            let offset: Option<i64> = redis.get("promemoria:clock-offset-ms").await?;
            let now_ms = seconds * 1000 + offset.unwrap_or(0);
            for key in redis.keys::<_, Vec<Vec<u8>>>("pm:{*}:due").await? {
                busy += redis.zcount::<_, _, _, usize>(key, "-inf", now_ms).await?;
            }
            if busy == 0 {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{busy} entries are still due or on their way");
            sleep(GLANCE).await;
        }
    }

    /// Waits until a condition of the fleet holds.
    pub(super) async fn wait_for(
        &self,
        what: &str,
        mut holds: impl AsyncFnMut(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + STEP;
        while !holds(self).await? {
            anyhow::ensure!(Instant::now() < deadline, "{what}: not within {STEP:?}");
            sleep(GLANCE).await;
        }
        Ok(())
    }

    /// Waits until a service's readiness is as asked: `true` is ready.
    pub(super) async fn wait_readiness(&self, service: &str, ready: bool) -> anyhow::Result<()> {
        let wanted = if ready { 200 } else { 503 };
        let what = format!("/readyz of {service} says {wanted}");
        self.wait_for(&what, async |trial: &Self| {
            Ok(trial.crew.get(service, "/readyz").await.is_ok_and(|(status, _)| status == wanted))
        })
        .await
    }

    /// Moves the store's clock, which the fleet of a test build follows.
    pub(super) async fn advance(&self, by: Duration) -> anyhow::Result<()> {
        self.shift_clock(i64::try_from(by.as_millis())?).await
    }

    /// How many messages the sandbox has.
    pub(super) async fn created(&self) -> anyhow::Result<usize> {
        Ok(sandbox_messages(self.crew.ports.sandbox).await?.len())
    }

    /// Ends the fleet and holds everything that it did against the invariants.
    pub(super) async fn close(self, bounds: Bounds) -> anyhow::Result<Report> {
        let metrics = self.crew.metrics().await;
        let messages = sandbox_messages(self.crew.ports.sandbox).await?;
        let stored = Stored::count(&self.ground).await?;
        let dead = dead_letters(&self.ground).await?;
        let keys = store_keys(&self.ground).await?;
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
        let report = check(&evidence, bounds)?;
        self.crew.stand_down().await?;
        Ok(report)
    }
}

/// Puts a cable between the services and one of the things they talk to.
async fn lay_cable(ground: &Ground, crew: &mut Crew, what: &str) -> anyhow::Result<Proxy> {
    let (setting, url) = match what {
        "amqp" => ("PROMEMORIA__AMQP__URL", ground.amqp_url.clone()),
        "redis" => ("PROMEMORIA__REDIS__URL", ground.redis_url.clone()),
        _ => ("PROMEMORIA__IO__BASE_URL", format!("http://127.0.0.1:{}/api/v1", crew.ports.sandbox)),
    };
    let host = Ground::host_of(&url)?;
    let cable = Proxy::to(host.clone()).await?;
    crew.tell_all(setting, url.replace(&host, &format!("127.0.0.1:{}", cable.port())));
    Ok(cable)
}

/// An application registered: one message at once, whose text names the event.
fn event(number: usize, ente: &str) -> Value {
    let id = format!("caso{number:06}");
    json!({
        "specversion": "1.0", "id": id, "source": "https://gestionale.example.it",
        "type": "domanda.protocollata", "subject": format!("D-{id}"), "time": "2026-11-20T10:00:00+01:00",
        "ente": ente, "servizio": "alloggi-sociali",
        "data": {
            "codice_fiscale": CANARIES[number % 4], "bando": "B27", "numero_protocollo": id,
            "url_domanda": "https://domande.example.it/1",
        },
    })
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

async fn store_keys(ground: &Ground) -> anyhow::Result<String> {
    let mut redis = ground.redis().await?;
    let keys: Vec<Vec<u8>> = redis.keys("*").await?;
    let keys: Vec<_> = keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
    Ok(keys.join("\n"))
}
