//! Rebuilding what the store lost, from the journal: one replica at a time, while nothing is emitted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use shared::broker::{Options, Publisher};
use shared::journal::{Counts, LINE_IN_TIME, Lanes, ReadError, Reading, Replay, ReplayError, barrier};
use shared::settings::Settings;
use shared::store::lease::{Lease, Leases};
use shared::store::rebuild::Rebuilds;
use shared::store::{CaseStore, StoreError};
use shared::telemetry::Health;
use shared::wire::RecipientHash;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::inforce::{InForce, Snapshot};

/// Condition of readiness: the store holds what this process knows it to hold.
pub(crate) const LEDGER: &str = "ledger";

/// How often the enti are looked at when nothing rings.
const LOOK: Duration = Duration::from_millis(250);
/// How long a rebuild rests after a failure, or while another replica is at it.
const REST: Duration = Duration::from_millis(500);
/// How often the lease is renewed while lines are read.
const RENEW: Duration = Duration::from_secs(5);
/// Lines from so long before the mark are read again: what was written by then was in the store with the
/// mark, and the clocks of broker and Redis differ by less.
const MARGIN_MS: i64 = 120_000;

/// Why a rebuild stopped.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Broker(#[from] shared::broker::BrokerError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("another replica took the lease")]
    Superseded,
}

/// Rebuilds what is lost.
pub(crate) struct Recovery<P> {
    /// Unguarded: it writes into a store that is not whole.
    pub(crate) store: CaseStore,
    pub(crate) publisher: P,
    pub(crate) broker: Options,
    pub(crate) settings: Settings,
    pub(crate) hash: RecipientHash,
    pub(crate) in_force: InForce,
    pub(crate) health: Arc<Health>,
}

impl<P: Publisher> Recovery<P> {
    /// Looks after the store until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut was_whole = false;
        while !shutdown.is_cancelled() {
            self.health.tick();
            let snapshot = self.in_force.current();
            let (lost, is_whole) = self.look(&snapshot, was_whole);
            was_whole |= is_whole;
            self.health.set(LEDGER, is_whole);
            if lost.is_empty() {
                let rest = tokio::time::timeout(LOOK, self.store.redis().marks().rung());
                shutdown.run_until_cancelled(rest).await;
                continue;
            }
            let rebuilt = shutdown.run_until_cancelled(self.rebuild(&snapshot, lost)).await;
            if let Some(Err(failure)) = &rebuilt {
                warn!(error = %failure, "the store is not rebuilt yet");
            }
            if !matches!(rebuilt, Some(Ok(()))) {
                shutdown.run_until_cancelled(tokio::time::sleep(REST)).await;
            }
        }
    }

    /// The enti to rebuild, and whether the process may call itself ready. An ente that was never seen
    /// whole is a new one, once others were. If one is lost, all are looked at, and those that are whole left
    /// alone: an empty Redis is rebuilt in one reading of the journal, not one ente after the other.
    fn look(&self, snapshot: &Snapshot, was_whole: bool) -> (Vec<String>, bool) {
        let marks = self.store.redis().marks();
        let enti = || snapshot.enti.enti().map(|ente| ente.id.clone());
        let is_any_lost = enti().any(|id| marks.is_lost(&id));
        let is_whole = if was_whole {
            !enti().any(|id| marks.is_lost(&id) && marks.was_whole(&id))
        } else {
            enti().all(|id| marks.was_whole(&id) && !marks.is_lost(&id))
        };
        let suspected = if is_any_lost { enti().collect() } else { Vec::new() };
        (suspected, is_whole)
    }

    /// Rebuilds these enti, unless another replica does or did.
    async fn rebuild(&self, snapshot: &Snapshot, mut enti: Vec<String>) -> Result<(), Stopped> {
        let leases = Leases::of_rebuild(self.store.redis().clone());
        let Some(lease) = leases.take().await? else {
            tokio::time::sleep(REST).await;
            return Ok(());
        };
        let ended = self.with_lease(snapshot, &mut enti, (&leases, &lease)).await;
        leases.release(&lease).await?;
        ended
    }

    async fn with_lease(
        &self,
        snapshot: &Snapshot,
        enti: &mut Vec<String>,
        lease: (&Leases, &Lease),
    ) -> Result<(), Stopped> {
        let began = Instant::now();
        let rebuilds = Rebuilds::new(self.store.redis().clone());
        let run = rebuilds.run().await?;
        let Some(since) = self.begin(&rebuilds, enti).await? else { return Ok(()) };
        let counts = self.replay(snapshot, enti, since, lease).await?;
        for id in &*enti {
            let mark = rebuilds.whole(id, &run).await?;
            self.store.redis().marks().whole(id, mark);
            let it = counts.get(id).copied().unwrap_or_default();
            info!(
                ente = %id,
                lines = it.lines,
                events = it.events,
                messages = it.messages,
                refused = it.refused,
                unplanned = it.unplanned,
                "the store is whole"
            );
        }
        info!(enti = enti.len(), seconds = began.elapsed().as_secs_f64(), "rebuilt from the journal");
        Ok(())
    }

    /// From when the journal is to be read, Unix milliseconds: none inside for all of it, none at all if
    /// nothing is lost any more. Drops the enti that another replica has found whole.
    async fn begin(
        &self,
        rebuilds: &Rebuilds,
        enti: &mut Vec<String>,
    ) -> Result<Option<Option<i64>>, Stopped> {
        let marks = self.store.redis().marks();
        let mut earliest = Some(i64::MAX);
        let mut lost = Vec::new();
        for id in std::mem::take(enti) {
            let standing = rebuilds.standing(&id).await?;
            let mark = standing.mark_ms;
            if let Some(mark) = mark.filter(|mark| standing.is_vouched && *mark >= marks.least(&id)) {
                marks.whole(&id, mark);
                continue;
            }
            if marks.was_whole(&id) {
                if mark.is_some_and(|mark| mark >= marks.least(&id)) {
                    info!(ente = %id, "redis runs anew, the last minutes are replayed");
                } else {
                    warn!(ente = %id, "redis lost something, nothing is emitted until it is rebuilt");
                }
                rebuilds.distrust(&id).await?;
            }
            earliest = earliest.zip(mark).map(|(earliest, mark)| earliest.min(mark.abs()));
            lost.push(id);
        }
        *enti = lost;
        if enti.is_empty() {
            return Ok(None);
        }
        // What was taken before the loss was noticed has its line by then.
        tokio::time::sleep(LINE_IN_TIME).await;
        Ok(Some(earliest.map(|mark| mark - MARGIN_MS)))
    }

    async fn replay(
        &self,
        snapshot: &Snapshot,
        enti: &[String],
        since_ms: Option<i64>,
        (leases, lease): (&Leases, &Lease),
    ) -> Result<BTreeMap<String, Counts>, Stopped> {
        let end = barrier(&self.publisher).await?;
        let mut reading = Reading::streams(&self.broker, since_ms, end).await?;
        let now_ms = self.store.redis().now_ms().await?;
        let in_force = (Arc::clone(&snapshot.catalogue), Arc::clone(&snapshot.enti));
        let replay = Replay::new(self.store.clone(), in_force, (&self.settings, self.hash.clone()), now_ms)
            .only(enti.iter().cloned());
        let mut lanes = Lanes::new(replay);
        let mut renewed = Instant::now();
        while let Some(line) = reading.next().await? {
            lanes.line(line).await?;
            if renewed.elapsed() > RENEW {
                self.health.tick();
                if !leases.renew(lease).await? {
                    return Err(Stopped::Superseded);
                }
                renewed = Instant::now();
            }
        }
        reading.close().await;
        Ok(lanes.finish().await?)
    }
}
