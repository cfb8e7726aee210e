//! What the three services do alike at start: reach broker and store, keep the probes true, say what is
//! wrong with the settings.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::broker::{self, BrokerError, RabbitMq, State, permissions::Role, topology::Topology};
use crate::clock::Clock;
use crate::domain::Fault;
use crate::domain::catalogue::{Catalogue, ente_faults};
use crate::domain::render::{TextFault, Texts};
use crate::settings::{self, Durability, EXIT_CONFIG, Live, RedisTopology, Settings};
use crate::shutdown;
use crate::store::inspect::{Inspector, Weakness};
use crate::store::{self, Redis, StoreError};
use crate::telemetry::probes::Health;
use crate::telemetry::{self, FleetMetrics, Process};
use crate::trace::StartError;
use crate::wire::RecipientHash;

/// Name of the readiness condition of the broker.
pub const BROKER: &str = "broker";
/// Name of the readiness condition that fails while the broker takes nothing because of an alarm.
pub const ALARM: &str = "broker alarm";
/// Name of the readiness condition that fails while the broker is connected and confirms nothing.
pub const CONFIRMS: &str = "broker confirms";
/// Name of the readiness condition that fails while the broker is connected and a queue's consumer is not
/// subscribed.
pub const CONSUMER: &str = "broker consumer";
/// Name of the readiness condition that fails while the broker is connected and refuses what is published to an
/// exchange, or has no queue for it.
pub const TOPOLOGY: &str = "broker topology";
/// Name of the readiness condition of the store.
pub const STORE: &str = "redis";

/// First and longest wait between tries to reach Redis at start.
const REACHING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How often the store is asked whether it is there.
const ASKING: Duration = Duration::from_secs(1);

/// A consumer or an exchange may be away for so long before readiness tells: a subscription that ended is made anew
/// within a moment.
const GRACE: Duration = Duration::from_secs(5);

/// Why a service ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Settings, catalogue, enti or Redis' own settings have faults: all of them.
    #[error("the settings have faults")]
    Faults(Vec<Fault>),
    /// The broker's settings can never work.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// There is no way to the collector of traces.
    #[error(transparent)]
    Tracing(#[from] StartError),
    /// A metric could not be registered.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    /// The address of probes and metrics cannot be listened on, or signals cannot be received.
    #[error("the process cannot listen")]
    Io(#[from] std::io::Error),
}

impl RunError {
    /// The exit code: 78 for bad settings (`EX_CONFIG`), 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Faults(faults) => {
                report(faults);
                ExitCode::from(EXIT_CONFIG)
            }
            other => {
                error!(error = %other, "the service ended");
                ExitCode::FAILURE
            }
        }
    }
}

/// Lists faults on stderr: the log may not be set up yet, and the contract names it.
pub fn report(faults: &[Fault]) {
    for fault in faults {
        eprintln!("{fault}");
    }
}

/// Reads the settings, or lists every fault and gives exit code 78.
pub fn settings(path: Option<&Path>) -> Result<Settings, ExitCode> {
    Settings::load(path, settings::environment()).map_err(|faults| {
        report(&faults);
        ExitCode::from(EXIT_CONFIG)
    })
}

/// A service as a process: settings, log, then `run` until a signal asks it to stop. The exit code is 0, or
/// what [`settings()`] and [`RunError::exit_code`] say.
pub async fn process<R>(
    name: Process,
    config: Option<&Path>,
    run: impl FnOnce(Settings, CancellationToken) -> R,
) -> ExitCode
where
    R: Future<Output = Result<(), RunError>>,
{
    let settings = match settings(config) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    telemetry::start(name, &settings);
    let ended = match shutdown::on_signal() {
        Ok(signal) => run(settings, signal).await,
        Err(error) => Err(error.into()),
    };
    ended.map_or_else(|error| error.exit_code(), |()| ExitCode::SUCCESS)
}

/// The catalogue and the enti, each ente checked against the catalogue.
pub fn in_force(settings: &Settings) -> Result<(Arc<Catalogue>, Arc<Live>), RunError> {
    let catalogue = Catalogue::load(&settings.catalogue_dir).map_err(RunError::Faults)?;
    let catalogue = Arc::new(catalogue);
    let live = Live::load(&settings.enti_dir, validator(&catalogue)).map_err(RunError::Faults)?;
    Ok((catalogue, Arc::new(live)))
}

/// What is wrong with an ente for this catalogue: what it names, and its own texts. The same for every
/// service, so that none takes an ente that another refuses.
#[must_use]
pub fn validator(catalogue: &Arc<Catalogue>) -> settings::Validator {
    let catalogue = Arc::clone(catalogue);
    Arc::new(move |ente| {
        let mut faults = ente_faults(&catalogue, ente);
        faults.extend(Texts::faults(&catalogue, ente).into_iter().map(text_fault));
        faults
    })
}

/// A text's fault as one of the file it stands in.
#[must_use]
pub fn text_fault(found: TextFault) -> Fault {
    let TextFault { ente, servizio, messaggio, campo, reason } = found;
    match ente {
        Some(ente) => {
            let key = format!("servizi.{servizio}.messaggi.{messaggio}.{campo}");
            Fault { file: format!("{ente}.toml"), key, reason }
        }
        None => Fault { file: format!("{servizio}/messaggi/{messaggio}.md"), key: campo.to_owned(), reason },
    }
}

/// How to reach the broker, as the settings say, under this name.
#[must_use]
pub fn broker_options(settings: &Settings, name: &str) -> broker::Options {
    let amqp = &settings.amqp;
    broker::Options {
        url: amqp.url.clone(),
        nodes: amqp.nodes.clone(),
        tls: broker::Tls {
            ca_file: amqp.tls.ca_file.clone(),
            cert_file: amqp.tls.cert_file.clone(),
            key_file: amqp.tls.key_file.clone(),
        },
        allow_plaintext: amqp.allow_plaintext,
        declare: amqp.declare,
        // A user that may not declare may look at what its role uses, and no more.
        topology: match Role::of_process(name).filter(|_| !amqp.declare) {
            Some(role) => Topology::used_by(role),
            None => Topology::fleet().keeping_journal(settings.retention.journal),
        },
        connection_name: name.to_owned(),
        publish_window: amqp.publish_window,
        publish_timeout: amqp.publish_timeout,
    }
}

/// Starts the two connections to the broker; it need not be there yet.
pub fn broker(settings: &Settings, name: &str) -> Result<RabbitMq, BrokerError> {
    RabbitMq::start(broker_options(settings, name))
}

/// How to reach Redis, as the settings say.
#[must_use]
pub fn redis_options(settings: &Settings) -> store::Options {
    let redis = &settings.redis;
    store::Options {
        url: redis.url.clone(),
        place: match redis.topology.clone() {
            RedisTopology::Single => store::Place::Single,
            RedisTopology::Sentinel { master, nodes, username, password } => {
                store::Place::Sentinel { master, nodes, username, password }
            }
            RedisTopology::Cluster { nodes } => store::Place::Cluster { nodes },
        },
        response_timeout: redis.response_timeout,
        tls: store::Tls {
            ca_file: redis.tls.ca_file.clone(),
            cert_file: redis.tls.cert_file.clone(),
            key_file: redis.tls.key_file.clone(),
        },
        prefix: redis.prefix.clone(),
    }
}

/// Connects to Redis, waiting for it as long as it takes; none if `shutdown` comes first. A process that
/// waits is alive: a store that is away must not get it restarted.
///
/// # Errors
///
/// [`RunError::Faults`] if Redis may lose what it is given and the settings do not allow that.
pub async fn redis(
    settings: &Settings,
    health: &Health,
    shutdown: &CancellationToken,
) -> Result<Option<Redis>, RunError> {
    let options = redis_options(settings);
    let mut wait = REACHING.0;
    loop {
        health.tick();
        let Some(tried) = shutdown.run_until_cancelled(reach(&options)).await else { return Ok(None) };
        match tried {
            Ok((redis, weaknesses)) => {
                info!("redis reached");
                allow(settings, weaknesses)?;
                return Ok(Some(redis));
            }
            Err(failure) => warn!(code = failure.code(), reason = %chain(&failure), "redis is not there yet"),
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return Ok(None);
        }
        wait = (wait * 2).min(REACHING.1);
    }
}

/// Refuses to work on a store that a later release has written: this process could read nothing of it.
///
/// # Errors
/// [`RunError::Faults`] with the ente and both versions. A store that is away is none: the scripts check again.
pub async fn formats(redis: &Redis, live: &Live) -> Result<(), RunError> {
    let mut faults = Vec::new();
    for ente in live.current().enti() {
        if let Err(StoreError::Foreign(foreign)) = redis.check_format(&ente.id).await {
            let reason = format!("{foreign}; start the release that wrote it, or a newer one");
            faults.push(Fault { file: "redis".to_owned(), key: ente.id.clone(), reason });
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(RunError::Faults(faults)) }
}

async fn reach(options: &store::Options) -> Result<(Redis, Vec<Weakness>), StoreError> {
    let redis = Redis::connect(options).await?;
    let weaknesses = Inspector::new(redis.clone()).weaknesses().await?;
    Ok((redis, weaknesses))
}

/// Refuses a Redis that may lose timers, or says so, as the settings want it.
fn allow(settings: &Settings, weaknesses: Vec<Weakness>) -> Result<(), RunError> {
    if settings.redis.durability == Durability::Warn {
        for Weakness { what, how, .. } in &weaknesses {
            warn!(what, reason = how, "redis may lose timers");
        }
        return Ok(());
    }
    let faults: Vec<Fault> = weaknesses.into_iter().map(weakness_fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(RunError::Faults(faults)) }
}

fn weakness_fault(found: Weakness) -> Fault {
    let Weakness { what, how, mend } = found;
    let reason = format!("{how}; {mend}, or set redis.durability = \"warn\" for a trial");
    Fault { file: "redis".to_owned(), key: what.to_owned(), reason }
}

/// An error and what caused it, in one line. Errors of broker and store hold no address and no password.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |it| it.source())
        .fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

/// The process's clock. In a test build it follows the store's, which the tests move.
#[cfg_attr(not(feature = "virtual-time"), expect(clippy::unused_async, reason = "the test build waits here"))]
pub async fn clock(redis: &Redis, stop: &CancellationToken) -> Clock {
    let clock = Clock::system();
    #[cfg(feature = "virtual-time")]
    if Clock::may_differ() {
        warn!("test build: the store's clock can be moved");
        follow_store(redis, &clock).await;
        let (redis, clock, stop) = (redis.clone(), clock.clone(), stop.clone());
        tokio::spawn(async move {
            let beat = || tokio::time::sleep(Duration::from_millis(5));
            while stop.run_until_cancelled(beat()).await.is_some() {
                follow_store(&redis, &clock).await;
            }
        });
    }
    #[cfg(not(feature = "virtual-time"))]
    let _ = (redis, stop);
    clock
}

#[cfg(feature = "virtual-time")]
async fn follow_store(redis: &Redis, clock: &Clock) {
    if let Ok(now_ms) = redis.now_ms().await {
        clock.set_offset_ms(now_ms - Clock::system().now().timestamp_millis());
    }
}

/// The keyed hash of recipients.
#[must_use]
pub fn recipient_hash(settings: &Settings) -> RecipientHash {
    RecipientHash::new(settings.privacy.recipient_hash_key.clone())
}

/// How long something has been away.
#[derive(Default)]
struct Absence(Option<Instant>);

impl Absence {
    /// Whether what `holds` says holds, or has not failed for longer than [`GRACE`].
    fn is_bearable(&mut self, holds: bool, now: Instant) -> bool {
        if holds {
            self.0 = None;
            return true;
        }
        now.duration_since(*self.0.get_or_insert(now)) < GRACE
    }
}

/// Keeps the readiness conditions of broker and store true to the facts, its metrics of the broker too, and the
/// process alive in the eyes of `/livez`, until `stop`.
pub async fn keep_true(
    health: Arc<Health>,
    broker: RabbitMq,
    redis: Option<Redis>,
    metrics: FleetMetrics,
    stop: CancellationToken,
) {
    broker.ask_for_confirms();
    let mut links = broker.links();
    let (mut unsubscribed, mut refused) = (Absence::default(), Absence::default());
    while !stop.is_cancelled() {
        health.tick();
        let now = links.borrow_and_update().clone();
        let state = now.state();
        // While a connection is away, that is what is told.
        let up = matches!(state, State::Up | State::Blocked);
        let takes = !up || now.unsubscribed().next().is_none();
        let gives = !up || now.refusing().next().is_none();
        health.set(CONSUMER, unsubscribed.is_bearable(takes, Instant::now()));
        health.set(TOPOLOGY, refused.is_bearable(gives, Instant::now()));
        for (kind, count) in broker.counters().faults() {
            let shown = metrics.broker_faults.with_label_values(&[kind]);
            shown.inc_by(count.saturating_sub(shown.get()));
        }
        health.set(CONFIRMS, now.confirms);
        health.set(BROKER, up);
        health.set(ALARM, state != State::Blocked);
        metrics.broker_blocked.set(i64::from(state == State::Blocked));
        if let Some(redis) = &redis {
            health.set(STORE, redis.ping().await.is_ok());
        }
        let change = tokio::time::timeout(ASKING, links.changed());
        if stop.run_until_cancelled(change).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_away_for_a_moment_is_borne_and_then_told() {
        let (mut absence, start) = (Absence::default(), Instant::now());
        assert!(absence.is_bearable(false, start));
        assert!(absence.is_bearable(false, start + GRACE / 2));
        assert!(!absence.is_bearable(false, start + GRACE));
        assert!(absence.is_bearable(true, start + GRACE));
        assert!(absence.is_bearable(false, start + GRACE * 2), "each absence has its grace");
    }
}
