//! The service: what it is made of, how it starts and stops.

use std::sync::Arc;

use prometheus::Registry;
use shared::broker::Consumer as _;
use shared::broker::topology::RENDER_QUEUE;
use shared::clock::Clock;
use shared::domain::catalogue::Catalogue;
use shared::outbox::Outbox;
use shared::presence;
use shared::service::{self, BROKER, RunError, STORE};
use shared::settings::{Live, Settings};
use shared::shutdown::drain;
use shared::store::{Crashes, Redis, RedisLedger};
use shared::suspects::{CROWD, Suspects};
use shared::telemetry::metrics::Known;
use shared::telemetry::{FleetMetrics, Health, Process, certificates, probes};
use shared::trace::Traces;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::inforce::{self, InForce};
use crate::redis_sink::RedisSink;
use crate::worker::{Parts, Worker};

/// Runs the renderer until `shutdown`; what is in hand then has `shutdown.grace` to finish.
///
/// # Errors
/// Only at start. A broker or store that is not there is waited for.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> Result<(), RunError> {
    let (catalogue, live, compiled) = compiled(&settings)?;
    let (in_force, reader) = watch::channel(Arc::new(compiled));
    let registry = Registry::new();
    let metrics =
        FleetMetrics::register(&registry, Process::Renderer, &Known::of(&live.current(), &catalogue))?;
    let traces = Traces::start(settings.tracing.as_ref(), Process::Renderer, &metrics.trace_spans)?;
    let health = Health::new(&[BROKER, STORE]);
    let stop = CancellationToken::new();
    probes::serve(settings.renderer.bind, Arc::clone(&health), registry, stop.clone()).await?;
    let broker = service::broker(&settings, Process::Renderer.name())?;
    let beside = TaskTracker::new();
    beside.spawn(Arc::clone(&live).follow(metrics.config_reload_errors.clone(), stop.clone()));
    let certificates = certificates::named(&settings);
    beside.spawn(certificates::follow(certificates, metrics.certificate_end.clone(), stop.clone()));
    beside.spawn(inforce::follow(Arc::clone(&live), in_force, stop.clone()));
    let Some(redis) = service::redis(&settings, &health, &shutdown).await? else { return Ok(()) };
    service::formats(&redis, &live).await?;
    let digest = catalogue.digest.clone();
    let telling = beside.spawn(presence::tell(redis.clone(), Process::Renderer, digest, stop.clone()));
    beside.spawn(service::keep_true(
        Arc::clone(&health),
        broker.clone(),
        Some(redis.clone()),
        metrics.clone(),
        stop.clone(),
    ));
    let clock = Clock::system();
    let suspects = suspects(&redis, Arc::clone(&health));
    let sink = RedisSink {
        ledger: RedisLedger::new(redis),
        outbox: Outbox::new(broker.publisher(), clock.clone()).traced(traces.clone()),
        hash: service::recipient_hash(&settings),
    };
    let worker = Worker::new(Parts {
        publisher: broker.publisher(),
        sink,
        suspects,
        in_force: reader,
        in_doubt: settings.io.in_doubt,
        clock,
        metrics,
        traces: traces.clone(),
        health: Arc::clone(&health),
        shutdown,
    });
    let in_hand = TaskTracker::new();
    info!("renderer runs");
    worker.run(broker.subscribe(RENDER_QUEUE, settings.amqp.prefetch), &in_hand).await;
    let asked = Instant::now();
    health.drain();
    let left = drain(&in_hand, settings.shutdown_grace).await;
    info!(left, "renderer stops");
    broker.close().await;
    traces.flush(settings.shutdown_grace.saturating_sub(asked.elapsed())).await;
    stop.cancel();
    presence::ended(telling).await;
    Ok(())
}

fn suspects(redis: &Redis, health: Arc<Health>) -> Suspects<Crashes> {
    Suspects::new(Crashes::new(redis.clone()), CROWD, move || health.missing().is_empty())
}

/// Catalogue, enti and texts as the settings name them, every fault of them listed.
fn compiled(settings: &Settings) -> Result<(Arc<Catalogue>, Arc<Live>, InForce), RunError> {
    let catalogue = Arc::new(Catalogue::load(&settings.catalogue_dir).map_err(RunError::Faults)?);
    let live = Live::load(&settings.enti_dir, service::validator(&catalogue)).map_err(RunError::Faults)?;
    let compiled = InForce::compile(Arc::clone(&catalogue), live.current());
    let compiled =
        compiled.map_err(|faults| RunError::Faults(faults.into_iter().map(service::text_fault).collect()))?;
    Ok((catalogue, Arc::new(live), compiled))
}
