//! Conservation: the journal, entered into the register as it grows, held against the cases of the ledger.
//!
//! One replica at a time does it; what it finds lies in the store, and every replica shows it.

mod compare;
mod enter;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use shared::broker::{BrokerError, Links, Options, Publisher, State};
use shared::journal::{Disagreement, Following, Until, barrier, reach};
use shared::store::lease::{Lease, Leases};
use shared::store::register::{Compared, Places, Stand};
use shared::store::schedule::Schedule;
use shared::store::{CaseStore, Register, StoreError};
use shared::wire::RecipientHash;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use self::compare::Known;
use crate::inforce::InForce;
use crate::metrics::Metrics;

/// How often the lease is renewed.
const RENEW: Duration = Duration::from_secs(5);

/// Why a replica's turn ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("another replica has the lease")]
    Superseded,
    #[error("the register is not as it was left: it is read anew")]
    Reread,
}

/// Places up to which streams were read that go only so far now.
fn begun_again(read: Places, reached: Places) -> Places {
    [0, 1].map(|strand| if read[strand] > reached[strand] { 0 } else { read[strand] })
}

/// Holds the journal against the ledger.
pub(crate) struct Conservation<P> {
    /// Guarded: a store that lost something is not compared.
    pub(crate) store: CaseStore,
    pub(crate) publisher: P,
    pub(crate) broker: Options,
    pub(crate) hash: RecipientHash,
    pub(crate) in_force: InForce,
    pub(crate) metrics: Arc<Metrics>,
    /// `retention.idle_case`.
    pub(crate) idle_case: Duration,
    /// Between two comparisons.
    pub(crate) every: Duration,
}

/// One replica's turn.
struct Turn<'a, P> {
    of: &'a Conservation<P>,
    register: Register,
    schedule: Schedule,
    lease: (&'a Leases, &'a Lease),
    renewed: Instant,
    /// How each ente's register stands, as this process left it.
    stands: HashMap<String, Stand>,
    /// What each ente's last comparison found: what the next finds too is counted.
    suspects: HashMap<String, HashSet<Disagreement>>,
    /// What this process knows of each register since it has read it whole.
    known: HashMap<String, Known>,
}

impl<P: Publisher> Conservation<P> {
    /// Looks until `shutdown`, from when the broker is up for the first time: then its streams are declared.
    pub(crate) async fn run(self, mut links: watch::Receiver<Links>, shutdown: CancellationToken) {
        let up = links.wait_for(|links| links.state() == State::Up);
        if !matches!(shutdown.run_until_cancelled(up).await, Some(Ok(_))) {
            return;
        }
        let leases = Leases::of_conservation(self.store.redis().clone());
        while !shutdown.is_cancelled() {
            match leases.take().await {
                Ok(Some(lease)) => {
                    if let Some(ended) = shutdown.run_until_cancelled(self.turn((&leases, &lease))).await {
                        warn!(reason = %ended, "conservation rests");
                    }
                    // What is not given back ends by itself.
                    drop(leases.release(&lease).await);
                }
                Ok(None) => {}
                Err(failure) => warn!(code = failure.code(), "conservation is not looked at"),
            }
            shutdown.run_until_cancelled(tokio::time::sleep(self.every.min(RENEW))).await;
        }
    }

    async fn turn(&self, lease: (&Leases, &Lease)) -> Ended {
        let mut turn = Turn {
            of: self,
            register: Register::new(self.store.redis().clone()),
            schedule: Schedule::new(self.store.redis().clone()),
            lease,
            renewed: Instant::now(),
            stands: HashMap::new(),
            suspects: HashMap::new(),
            known: HashMap::new(),
        };
        let following = match turn.open().await {
            Ok(following) => following,
            Err(ended) => return ended,
        };
        turn.go_on(following).await
    }
}

impl<P: Publisher> Turn<'_, P> {
    /// Opens the journal at the place of the ente that has read least.
    async fn open(&mut self) -> Result<Following, Ended> {
        for ente in self.of.in_force.current().enti.enti() {
            let stand = self.register.stand(&ente.id).await?;
            self.stands.insert(ente.id.clone(), stand);
        }
        let farthest = self.places().fold([0; 2], |most, it| [most[0].max(it[0]), most[1].max(it[1])]);
        let reached = reach(&self.of.broker, farthest).await?;
        if reached != farthest {
            error!(read = ?farthest, ends = ?reached, "a stream of the journal ends before the place up to which it was read: it was made anew or lost its end, and is read from its beginning");
            self.go_back(reached).await?;
        }
        let least = self.places().fold([u64::MAX; 2], |few, it| [few[0].min(it[0]), few[1].min(it[1])]);
        Ok(Following::open(&self.of.broker, least).await?)
    }

    fn places(&self) -> impl Iterator<Item = Places> {
        self.stands.values().map(|stand| stand.places)
    }

    /// Begins a stream again for each ente that has read further than it goes now. What was entered stays.
    async fn go_back(&mut self, reached: Places) -> Result<(), Ended> {
        let enti: Vec<String> = self.stands.keys().cloned().collect();
        for ente in enti {
            let read = self.stands.get(&ente).copied().unwrap_or_default().places;
            let next = begun_again(read, reached);
            if next != read {
                self.write(&ente, next, &[]).await?;
            }
        }
        Ok(())
    }

    async fn go_on(&mut self, mut following: Following) -> Ended {
        loop {
            if let Err(ended) = self.round(&mut following).await {
                following.close().await;
                return ended;
            }
            let end = Instant::now() + self.of.every;
            while Instant::now() < end {
                tokio::time::sleep_until(end.min(Instant::now() + RENEW)).await;
                if let Err(ended) = self.keep().await {
                    following.close().await;
                    return ended;
                }
            }
        }
    }

    /// Reads what came, then compares each ente.
    async fn round(&mut self, following: &mut Following) -> Result<(), Ended> {
        self.is_as_left().await?;
        // What is suspected is looked at again only after all that was confirmed by then has been read.
        let is_suspected = self.suspects.values().any(|found| !found.is_empty());
        let mark = if is_suspected { Some(barrier(&self.of.publisher).await?) } else { None };
        let now_ms = self.of.store.redis().now_ms().await?;
        self.read_on(following, mark.as_deref().map_or(Until::Now(now_ms), Until::Mark)).await?;
        let snapshot = self.of.in_force.current();
        for ente in snapshot.enti.enti() {
            match self.compare(&ente.id).await {
                Ok(found) => self.tell(&ente.id, found).await?,
                // It is being rebuilt.
                Err(Ended::Store(StoreError::Lost)) => drop(self.suspects.remove(&ente.id)),
                Err(ended) => return Err(ended),
            }
        }
        Ok(())
    }

    /// Notes the disagreements that the comparison before found too. The first one of a turn only suspects.
    async fn tell(&mut self, ente: &str, found: HashSet<Disagreement>) -> Result<(), Ended> {
        let before = self.suspects.insert(ente.to_owned(), found.clone());
        let Some(before) = before else { return Ok(()) };
        let lasting = found.intersection(&before).count();
        let difference = i64::try_from(lasting).unwrap_or(i64::MAX);
        let at_ms = self.of.store.redis().now_ms().await?;
        if difference > 0 {
            warn!(ente, difference, "journal and ledger differ: promemoria audit names the messages");
        }
        let compared = Compared { difference, at_ms };
        self.of.metrics.compared(ente, compared);
        Ok(self.register.note(ente, compared).await?)
    }

    /// Fails if an ente is new, or its register is another copy: then the journal is read again from there.
    async fn is_as_left(&self) -> Result<(), Ended> {
        for ente in self.of.in_force.current().enti.enti() {
            let stand = self.register.stand(&ente.id).await?;
            if self.stands.get(&ente.id) != Some(&stand) {
                return Err(Ended::Reread);
            }
        }
        Ok(())
    }

    /// Renews the lease when it is time.
    async fn keep(&mut self) -> Result<(), Ended> {
        if self.renewed.elapsed() < RENEW {
            return Ok(());
        }
        let (leases, lease) = self.lease;
        if !leases.renew(lease).await? {
            return Err(Ended::Superseded);
        }
        self.renewed = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::begun_again;

    #[test]
    fn a_stream_that_ends_before_its_place_is_read_from_its_beginning() {
        assert_eq!(begun_again([10, 7], [12, 7]), [10, 7]);
        assert_eq!(begun_again([10, 7], [9, 7]), [0, 7]);
        assert_eq!(begun_again([10, 7], [10, 0]), [10, 0]);
    }
}
