//! The scheduler: takes case events in, plans each case, keeps the due dates in Redis, emits due work.
//!
//! `intake` checks and takes events (`shared::take` around the planner), `turn` lets the enti take turns at
//! emission, `credit` says how much of each may be under way, `emit` claims what is due and decides what becomes of
//! it, `recover` rebuilds a store that lost something, `conserve` holds the journal against the ledger, `gauges`
//! counts what is armed, `sweep` forgets, `process` is all of it as a process.

mod conserve;
mod credit;
mod emit;
mod gauges;
mod inforce;
mod intake;
mod metrics;
mod process;
mod recover;
mod stranded;
mod sweep;
mod turn;
mod wake;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use shared::broker::{Consumer, Publisher, RabbitMq, topology};
use shared::clock::Clock;
use shared::domain::retention::Periods;
use shared::outbox::Outbox;
use shared::presence;
use shared::service::{self, BROKER, RunError, STORE};
use shared::settings::Settings;
use shared::shutdown::drain;
use shared::store::{CaseStore, Crashes, Redis};
use shared::suspects::{self, Suspects};
use shared::take::Taker;
use shared::telemetry::{Health, Known, Process, certificates, probes};
use shared::trace::Traces;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

pub use process::process;

use conserve::Conservation;
use emit::{Claiming, Emitter};
use inforce::InForce;
use intake::Intake;
use metrics::Metrics;
use recover::{LEDGER, Recovery};
use sweep::Sweep;
use turn::Turn;
use wake::Wake;

/// Condition of readiness: the store's clock and this process's agree, and due work is claimed.
const EMITTING: &str = "emission";

/// How often it is looked whether the store is whole, before the first event is taken.
const LEDGER_LOOK: Duration = Duration::from_millis(20);

/// Condition of readiness: no later release has taken an ente's part of the store over.
const FORMAT: &str = "store format";

/// Runs the scheduler until `shutdown`, then finishes what is in hand within the grace.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> Result<(), RunError> {
    let (catalogue, live) = service::in_force(&settings)?;
    let registry = prometheus::Registry::new();
    let known = Known::of(&live.current(), &catalogue);
    let metrics = Arc::new(Metrics::register(&registry, &known)?);
    let traces = Traces::start(settings.tracing.as_ref(), Process::Scheduler, &metrics.fleet.trace_spans)?;
    let health = Health::new(&[BROKER, STORE, EMITTING, LEDGER, FORMAT]);
    let stop = CancellationToken::new();
    probes::serve(settings.scheduler.bind, Arc::clone(&health), registry, stop.clone()).await?;
    let broker = service::broker(&settings, "scheduler")?;
    let tasks = TaskTracker::new();
    tasks.spawn(Arc::clone(&live).follow(metrics.fleet.config_reload_errors.clone(), stop.clone()));
    let certificates = certificates::named(&settings);
    tasks.spawn(certificates::follow(certificates, metrics.fleet.certificate_end.clone(), stop.clone()));
    let Some(redis) = service::redis(&settings, &health, &shutdown).await? else { return Ok(()) };
    service::formats(&redis, &live).await?;
    let digest = catalogue.digest.clone();
    let telling = tasks.spawn(presence::tell(redis.clone(), Process::Scheduler, digest, stop.clone()));
    tasks.spawn(service::keep_true(
        Arc::clone(&health),
        broker.clone(),
        Some(redis.clone()),
        metrics.fleet.clone(),
        stop.clone(),
    ));
    let in_hand = TaskTracker::new();
    let in_force = InForce { catalogue, live };
    let parts = Service { settings, in_force, metrics, health: Arc::clone(&health), traces };
    let clock = service::clock(&redis, &stop).await;
    parts.start((&broker, redis), &clock, &shutdown, &in_hand);
    info!("scheduler runs");
    shutdown.cancelled().await;
    let asked = Instant::now();
    health.drain();
    in_hand.close();
    let left = drain(&in_hand, parts.settings.shutdown_grace).await;
    info!(left, "scheduler stops");
    broker.close().await;
    parts.traces.flush(parts.settings.shutdown_grace.saturating_sub(asked.elapsed())).await;
    stop.cancel();
    presence::ended(telling).await;
    Ok(())
}

/// What the parts of the scheduler are made of.
struct Service {
    settings: Settings,
    in_force: InForce,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    traces: Traces,
}

impl Service {
    fn start(
        &self,
        (broker, redis): (&RabbitMq, Redis),
        clock: &Clock,
        shutdown: &CancellationToken,
        in_hand: &TaskTracker,
    ) {
        let outbox = Outbox::new(broker.publisher(), clock.clone()).traced(self.traces.clone());
        let hash = service::recipient_hash(&self.settings);
        let recovery = Recovery {
            store: CaseStore::new(redis.clone()),
            publisher: broker.publisher(),
            broker: service::broker_options(&self.settings, "scheduler"),
            settings: self.settings.clone(),
            hash: hash.clone(),
            in_force: self.in_force.clone(),
            health: Arc::clone(&self.health),
        };
        vital(recovery.run(shutdown.clone()), shutdown, in_hand);
        let health = Arc::clone(&self.health);
        let suspects =
            Suspects::new(Crashes::new(redis.clone()), suspects::CROWD, move || health.missing().is_empty());
        let taker = Taker { store: CaseStore::guarded(redis), hash };
        let wake = Wake::default();
        let intake = Arc::new(Intake {
            taker: taker.clone(),
            outbox: outbox.clone(),
            in_force: self.in_force.clone(),
            metrics: Arc::clone(&self.metrics),
            wake: wake.clone(),
            clock: clock.clone(),
            suspects,
            traces: self.traces.clone(),
        });
        vital(self.take_in(intake, broker.clone(), shutdown.clone(), in_hand.clone()), shutdown, in_hand);
        let emitting = Arc::new(AtomicBool::new(false));
        for _ in 0..self.settings.scheduler.claim_loops.max(1) {
            let turn = Turn {
                emitter: self.emitter(&taker, &outbox),
                in_force: self.in_force.clone(),
                wake: wake.clone(),
                poll: self.settings.scheduler.poll,
                clock: clock.clone(),
                health: Arc::clone(&self.health),
                emitting: Arc::clone(&emitting),
            };
            vital(turn.run(shutdown.clone()), shutdown, in_hand);
        }
        let conservation = Conservation {
            store: taker.store.clone(),
            publisher: broker.publisher(),
            broker: service::broker_options(&self.settings, "scheduler"),
            hash: taker.hash.clone(),
            in_force: self.in_force.clone(),
            metrics: Arc::clone(&self.metrics),
            idle_case: self.settings.retention.idle_case,
            every: self.settings.scheduler.conservation,
        };
        in_hand.spawn(conservation.run(broker.links(), shutdown.clone()));
        let sweep = self.sweep(&taker).run();
        let stop = shutdown.clone();
        in_hand.spawn(async move { stop.run_until_cancelled(sweep).await });
        let gauges = gauges::run(taker.store, self.in_force.clone(), Arc::clone(&self.metrics));
        let shutdown = shutdown.clone();
        in_hand.spawn(async move { shutdown.run_until_cancelled(gauges).await });
    }

    /// Takes events in once the store was found whole. Before, none could be kept, and the broker would count a
    /// return of each that was prefetched: a process that ends again and again before it is ready would bring good
    /// events to their delivery limit.
    fn take_in<P: Publisher>(
        &self,
        intake: Arc<Intake<P>>,
        broker: RabbitMq,
        shutdown: CancellationToken,
        in_hand: TaskTracker,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (health, prefetch) = (Arc::clone(&self.health), self.settings.amqp.prefetch);
        async move {
            while health.missing().contains(&LEDGER) {
                if shutdown.run_until_cancelled(sleep(LEDGER_LOOK)).await.is_none() {
                    return;
                }
            }
            let deliveries = broker.subscribe(topology::EVENTS_QUEUE, prefetch);
            intake.run(deliveries, shutdown, in_hand).await;
        }
    }

    fn sweep(&self, taker: &Taker<CaseStore>) -> Sweep {
        let retention = &self.settings.retention;
        Sweep {
            store: taker.store.clone(),
            in_force: self.in_force.clone(),
            metrics: Arc::clone(&self.metrics),
            periods: Periods {
                payload: retention.payload,
                dedup: retention.dedup,
                idle_case: retention.idle_case,
            },
            every: retention.sweep,
        }
    }

    fn emitter<P: Clone>(&self, taker: &Taker<CaseStore>, outbox: &Outbox<P>) -> Emitter<P> {
        let scheduler = &self.settings.scheduler;
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Emitter {
            taker: taker.clone(),
            outbox: outbox.clone(),
            metrics: Arc::clone(&self.metrics),
            traces: self.traces.clone(),
            claiming: Claiming {
                limit: scheduler.claim,
                lease_ms: millis(scheduler.lease),
                in_flight: scheduler.in_flight,
            },
            in_doubt: self.settings.io.in_doubt,
            resend_after_ms: millis(self.settings.io.resend_after),
        }
    }
}

/// Runs a loop without which the process would be up and mute: if it panics the process ends in order, and
/// whoever keeps it running starts another.
fn vital(
    work: impl Future<Output = ()> + Send + 'static,
    shutdown: &CancellationToken,
    in_hand: &TaskTracker,
) {
    let (working, shutdown) = (in_hand.spawn(work), shutdown.clone());
    in_hand.spawn(async move {
        if working.await.is_err() {
            error!("a loop panicked, the process ends");
            shutdown.cancel();
        }
    });
}
