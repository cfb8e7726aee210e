//! The service: what it is made of, how it starts and stops.

use std::sync::Arc;
use std::time::Duration;

use shared::broker::{Consumer, RabbitMq};
use shared::clock::Clock;
use shared::domain::Fault;
use shared::domain::catalogue::Catalogue;
use shared::outbox::Outbox;
use shared::presence;
use shared::service::{self, BROKER, RunError, STORE};
use shared::settings::{Live, Settings};
use shared::shutdown::drain;
use shared::store::quota::RedisQuota;
use shared::store::{Crashes, Redis, RedisLedger};
use shared::suspects::{self, Suspects};
use shared::telemetry::{Health, Known, Process, certificates, probes};
use shared::trace::Traces;
use shared::wire::{DispatchRequest, FollowRequest};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::account::Accounts;
use crate::handler::{Handler, Parts, Policy};
use crate::io_api::{HttpIoApi, HttpOptions};
use crate::journaled::Journaled;
use crate::metrics::Metrics;
use crate::worker::{Work, Worker};

/// How often the doubts are counted.
const COUNTING: Duration = Duration::from_secs(15);

/// Runs the dispatcher until `shutdown`; what is in hand then has `shutdown.grace` to finish.
///
/// # Errors
/// Only at start. A broker or a store that is not there is waited for.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> Result<(), RunError> {
    let (catalogue, live) = service::in_force(&settings)?;
    let api = io_api(&settings)?;
    let registry = prometheus::Registry::new();
    let metrics = Arc::new(Metrics::register(&registry, &Known::of(&live.current(), &catalogue))?);
    let traces = Traces::start(settings.tracing.as_ref(), Process::Dispatcher, &metrics.fleet.trace_spans)?;
    let health = Health::new(&[BROKER, STORE]);
    let stop = CancellationToken::new();
    probes::serve(settings.dispatcher.bind, Arc::clone(&health), registry, stop.clone()).await?;
    let broker = service::broker(&settings, "dispatcher")?;
    let beside = TaskTracker::new();
    beside.spawn(Arc::clone(&live).follow(metrics.fleet.config_reload_errors.clone(), stop.clone()));
    let certificates = certificates::named(&settings);
    beside.spawn(certificates::follow(certificates, metrics.fleet.certificate_end.clone(), stop.clone()));
    let digest = catalogue.digest.clone();
    beside.spawn(stop.clone().run_until_cancelled_owned(start_at_zero(
        Arc::clone(&live),
        catalogue,
        Arc::clone(&metrics),
    )));
    let Some(redis) = service::redis(&settings, &health, &shutdown).await? else { return Ok(()) };
    service::formats(&redis, &live).await?;
    let telling = beside.spawn(presence::tell(redis.clone(), Process::Dispatcher, digest, stop.clone()));
    beside.spawn(service::keep_true(
        Arc::clone(&health),
        broker.clone(),
        Some(redis.clone()),
        metrics.fleet.clone(),
        stop.clone(),
    ));
    let doubts = count_doubts(RedisLedger::new(redis.clone()), Arc::clone(&live), Arc::clone(&metrics));
    beside.spawn(stop.clone().run_until_cancelled_owned(doubts));

    let clock = service::clock(&redis, &stop).await;
    let api = api.traced(traces.clone());
    let ready = Arc::clone(&health);
    let suspects = Suspects::new(Crashes::new(redis.clone()), suspects::WAITING_CROWD, move || {
        ready.missing().is_empty()
    });
    let service = Service { settings, live, metrics, traces, api, clock, shutdown: shutdown.clone() };
    let in_hand = TaskTracker::new();
    service.start(&broker, redis, suspects, &in_hand);
    info!("dispatcher runs");
    shutdown.cancelled().await;
    let asked = Instant::now();
    health.drain();
    let left = drain(&in_hand, service.settings.shutdown_grace).await;
    info!(left, "dispatcher stops");
    broker.close().await;
    service.traces.flush(service.settings.shutdown_grace.saturating_sub(asked.elapsed())).await;
    stop.cancel();
    presence::ended(telling).await;
    Ok(())
}

/// The client of the IO API.
fn io_api(settings: &Settings) -> Result<HttpIoApi, RunError> {
    let options = HttpOptions {
        base_url: settings.io.base_url.clone(),
        connect_timeout: settings.io.connect_timeout,
        request_timeout: settings.io.request_timeout,
        connections: settings.io.concurrency,
    };
    HttpIoApi::new(&options).map_err(|failure| {
        let (file, key) = ("settings".to_owned(), "io".to_owned());
        RunError::Faults(vec![Fault { file, key, reason: failure.to_string() }])
    })
}

/// What the loops are made of.
struct Service {
    settings: Settings,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    traces: Traces,
    api: HttpIoApi,
    clock: Clock,
    shutdown: CancellationToken,
}

impl Service {
    fn start(&self, broker: &RabbitMq, redis: Redis, suspects: Suspects<Crashes>, in_hand: &TaskTracker) {
        let (io, clock) = (&self.settings.io, self.clock.clone());
        let outbox = Outbox::new(broker.publisher(), clock.clone()).traced(self.traces.clone());
        let quota = Arc::new(RedisQuota::new(redis.connection(), redis.prefix()));
        let concurrency = u32::try_from(io.concurrency).unwrap_or(u32::MAX);
        let handler = Handler::new(Parts {
            api: self.api.clone(),
            ledger: Journaled::new(RedisLedger::guarded(redis), outbox.clone(), clock.clone()),
            accounts: Accounts::new(concurrency, quota, Arc::clone(&self.metrics)),
            enti: Arc::clone(&self.live),
            clock: clock.clone(),
            hash: service::recipient_hash(&self.settings),
            policy: Policy {
                request_timeout: io.request_timeout,
                resend_after: io.resend_after,
                track_status: io.track_status,
            },
            metrics: Arc::clone(&self.metrics),
            stopping: self.shutdown.clone(),
        });
        let worker = Arc::new(Worker {
            handler,
            publisher: broker.publisher(),
            suspects,
            outbox,
            clock,
            metrics: Arc::clone(&self.metrics),
            traces: self.traces.clone(),
            shutdown: self.shutdown.clone(),
        });
        let prefetch = self.settings.amqp.prefetch;
        let dispatch = broker.subscribe(DispatchRequest::QUEUE, prefetch);
        in_hand.spawn(Arc::clone(&worker).run::<DispatchRequest>(dispatch, in_hand.clone()));
        // A quarter: askings come after messages, and wait for their turn in hand.
        let follow = broker.subscribe(FollowRequest::QUEUE, (prefetch / 4).max(1));
        in_hand.spawn(worker.run::<FollowRequest>(follow, in_hand.clone()));
    }
}

/// Starts the series of enti that come later.
async fn start_at_zero(live: Arc<Live>, catalogue: Arc<Catalogue>, metrics: Arc<Metrics>) {
    let mut changes = live.subscribe();
    while changes.changed().await.is_ok() {
        metrics.start_at_zero(&Known::of(&live.current(), &catalogue));
    }
}

/// `promemoria_in_doubt`, read back from the store: whichever replica doubts.
async fn count_doubts(ledger: RedisLedger, live: Arc<Live>, metrics: Arc<Metrics>) {
    loop {
        for ente in live.current().enti() {
            match ledger.in_doubt(&ente.id).await {
                Ok(doubts) => metrics.own.in_doubt.with_label_values(&[&ente.id]).set(doubts),
                Err(failure) => warn!(code = failure.code(), "doubts could not be counted"),
            }
        }
        tokio::time::sleep(COUNTING).await;
    }
}
