//! The emission loops: enti in turn, each within the credit of its IO account.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use shared::broker::Publisher;
use shared::clock::Clock;
use shared::domain::ente::Ente;
use shared::formats::Foreign;
use shared::store::StoreError;
use shared::telemetry::Health;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::credit::credits;
use crate::emit::Emitter;
use crate::inforce::InForce;
use crate::wake::Wake;

/// The store's clock and ours may differ by this much; beyond it nothing is emitted, because late can be
/// mended and early cannot (architecture.md section 2).
const CLOCKS_AGREE_MS: i64 = 30_000;

/// How long an emission loop rests when the store is away.
const STORE_AWAY: Duration = Duration::from_secs(1);

/// One emission loop.
pub(crate) struct Turn<P> {
    pub(crate) emitter: Emitter<P>,
    pub(crate) in_force: InForce,
    pub(crate) wake: Wake,
    pub(crate) poll: Duration,
    pub(crate) clock: Clock,
    pub(crate) health: Arc<Health>,
    /// Whether the store answered and the clocks agree.
    pub(crate) emitting: Arc<AtomicBool>,
}

impl<P: Publisher> Turn<P> {
    /// Emits until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut first = 0usize;
        let mut hot = Vec::new();
        let mut all_seen: Option<Instant> = None;
        let (mut left, mut active) = (HashSet::new(), HashSet::new());
        while !shutdown.is_cancelled() {
            self.health.tick();
            if !self.clocks_agree().await {
                shutdown.run_until_cancelled(tokio::time::sleep(STORE_AWAY)).await;
                continue;
            }
            let snapshot = self.in_force.current();
            // Enti with much to do must not hide the timers of the others.
            let is_time = all_seen.is_none_or(|at| at.elapsed() >= self.poll);
            let candidates: Vec<&Arc<Ente>> = if hot.is_empty() || is_time {
                all_seen = Some(Instant::now());
                snapshot.enti.enti().collect()
            } else {
                hot.iter().filter_map(|id: &String| snapshot.enti.ente(id)).collect()
            };
            let most = credits(
                snapshot.enti.enti().map(|ente| (&*ente.id, &ente.io)),
                self.emitter.claiming.in_flight,
                &active,
            );
            first = first.wrapping_add(1);
            let mut busy = Vec::new();
            for place in 0..candidates.len() {
                let ente = candidates[(first + place) % candidates.len()];
                let most = most.get(&*ente.id).copied().unwrap_or(0);
                match self.emitter.emit(&snapshot.catalogue, ente, (most, self.clock_ms())).await {
                    Ok(emitted) => {
                        if !self.compare_clocks(emitted.now_ms) {
                            break;
                        }
                        if emitted.count > 0 {
                            busy.push(ente.id.clone());
                        }
                        if emitted.is_active() {
                            active.insert(ente.id.clone());
                        } else {
                            active.remove(&ente.id);
                        }
                    }
                    // The rebuild was told; the other enti go on.
                    Err(StoreError::Lost) => {}
                    // A later release took the ente over: this process only waits to be replaced.
                    Err(StoreError::Foreign(foreign)) => self.kept_out(&ente.id, foreign, &mut left),
                    Err(failure) => {
                        self.emits(false);
                        warn!(code = failure.code(), "due work could not be claimed");
                        shutdown.run_until_cancelled(tokio::time::sleep(STORE_AWAY)).await;
                    }
                }
            }
            self.health.set(crate::FORMAT, left.is_empty());
            hot = self.next(busy, &shutdown).await;
        }
    }

    /// Says once of an ente that its part of the store is of a later release.
    fn kept_out(&self, ente: &str, foreign: Foreign, left: &mut HashSet<String>) {
        if left.insert(ente.to_owned()) {
            warn!(ente, found = foreign.found, newest = foreign.newest, "the store is of a later release");
            self.emitter.metrics.fleet.foreign.with_label_values(&[foreign.format]).inc();
        }
    }

    /// The enti to look at next: at once those that had work, else those that are named, else all of them
    /// after the poll interval.
    async fn next(&self, busy: Vec<String>, shutdown: &CancellationToken) -> Vec<String> {
        if busy.is_empty() {
            let rest = tokio::time::timeout(self.poll, self.wake.rung());
            shutdown.run_until_cancelled(rest).await;
        }
        let mut next = self.wake.take();
        next.extend(busy);
        next
    }

    /// Before anything is claimed, and again after each claim: do the clocks agree?
    async fn clocks_agree(&self) -> bool {
        if self.emitting.load(Ordering::Relaxed) {
            return true;
        }
        match self.emitter.taker.store.redis().now_ms().await {
            Ok(now_ms) => self.compare_clocks(now_ms),
            Err(failure) => {
                warn!(code = failure.code(), "the store does not tell the time");
                false
            }
        }
    }

    /// This process's clock for a claim; none where the two may differ.
    fn clock_ms(&self) -> Option<i64> {
        (!Clock::may_differ()).then(|| self.clock.now().timestamp_millis())
    }

    /// Notes whether due work is claimed, here and for readiness; returns whether it was.
    fn emits(&self, now: bool) -> bool {
        self.health.set(crate::EMITTING, now);
        self.emitting.swap(now, Ordering::Relaxed)
    }

    fn compare_clocks(&self, store_ms: i64) -> bool {
        let apart = (self.clock.now().timestamp_millis() - store_ms).abs();
        let agree = apart <= CLOCKS_AGREE_MS || Clock::may_differ();
        if self.emits(agree) != agree {
            info!(apart_ms = apart, agree, "emission follows the clocks");
        }
        if !agree {
            error!(apart_ms = apart, "the clocks of redis and of this process differ: set them right");
        }
        agree
    }
}
