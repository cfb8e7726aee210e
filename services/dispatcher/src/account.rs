//! The IO accounts: how many messages each has under way in this replica, its budget, its breaker.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::domain::ente::IoAccount;
use shared::store::quota::QuotaStore;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::breaker::Breakers;
use crate::budget::{Budget, Busy, PATIENCE, Priority, Token};
use crate::metrics::Metrics;
use crate::retry_budget::RetryBudget;

/// Fewest messages of an account under way at once, however small its limit, where `io.concurrency` allows them.
const FEWEST: u32 = 4;
/// Shortest and longest that a message without its turn waits in the schedule.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// An account.
#[derive(Debug)]
pub struct Account<Q> {
    name: String,
    limit: u32,
    sending: Semaphore,
    asking: Semaphore,
    waiting: AtomicU32,
    budget: Budget<Q>,
    breakers: Mutex<Breakers>,
    began: Instant,
    repetitions: Mutex<RetryBudget>,
}

/// What a message does with its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Profile and submit.
    Sending,
    /// Status.
    Asking,
}

impl<Q: QuotaStore> Account<Q> {
    fn new(io: &IoAccount, concurrency: u32, store: Arc<Q>, metrics: &Metrics) -> Self {
        let name = io.account.clone();
        // More messages under way than calls in a second would only wait inside in place of outside.
        let sending = match io.calls_per_5s {
            0 => concurrency,
            // Never more than was asked for: so many are in doubt when a dispatcher dies.
            calls => (calls / 5).max(FEWEST).min(concurrency),
        };
        let waited = metrics.own.rate_limit_wait.with_label_values(&[&name]);
        let left = metrics.own.rate_limit_remaining.with_label_values(&[&name]);
        Self {
            limit: io.calls_per_5s,
            sending: permits(sending),
            asking: permits((sending / 4).max(1)),
            waiting: AtomicU32::new(0),
            budget: Budget::new(&name, io.calls_per_5s, store, waited, left),
            breakers: Mutex::default(),
            began: Instant::now(),
            repetitions: Mutex::new(RetryBudget::new(0)),
            name,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A message goes for the first time.
    pub fn fresh(&self) {
        self.repetitions.lock().unwrap_or_else(PoisonError::into_inner).fresh(self.age_ms());
    }

    /// Whether a message may go again after a call that failed; if so, it is counted.
    pub fn may_repeat(&self) -> bool {
        self.repetitions.lock().unwrap_or_else(PoisonError::into_inner).extra(self.age_ms())
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for a turn, at most [`PATIENCE`].
    pub async fn turn(&self, turn: Turn) -> Result<SemaphorePermit<'_>, Busy> {
        if let Some(after) = self.budget.paused_for() {
            return Err(Busy { after });
        }
        let permits = match turn {
            Turn::Sending => &self.sending,
            Turn::Asking => &self.asking,
        };
        if let Ok(permit) = permits.try_acquire() {
            return Ok(permit);
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let permit = timeout(PATIENCE, permits.acquire()).await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        match permit {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Busy { after: self.backlog(ahead) }),
        }
    }

    /// When to come back: before its turn, at two calls a message for those ahead, since too early costs
    /// another wait and too late leaves calls unused.
    fn backlog(&self, ahead: u32) -> Duration {
        let turn = match self.limit {
            0 => PATIENCE,
            limit => Duration::from_secs(u64::from(ahead) * 10 / u64::from(limit)),
        };
        turn.mul_f64(0.25 + rand::random::<f64>() / 2.0).clamp(SHORTEST_WAIT, LONGEST_WAIT)
    }

    /// Takes a call for an ente.
    pub async fn call(&self, priority: Priority, ente: &str) -> Result<Token, Busy> {
        self.budget.take(priority, ente).await
    }

    /// A call was answered.
    pub async fn answered(&self, call: Priority, token: &Token, left: Option<u32>) -> Blame {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner).of(call).worked();
        self.budget.observe(token, left).await;
        Blame::default()
    }

    /// IO answered 429.
    pub async fn throttled(&self, retry_after: Duration) {
        self.budget.pause(retry_after).await;
    }

    /// A call got no answer of use.
    pub async fn failed(&self, call: Priority) -> Blame {
        if let Some(rest) = self.budget.paused_for() {
            return Blame { counts: false, pause: rest };
        }
        let pause = self.breakers.lock().unwrap_or_else(PoisonError::into_inner).of(call).failed();
        if let Some(pause) = pause {
            warn!(account = self.name, pause_s = pause.as_secs(), "account paused after failures in a row");
            self.budget.pause(pause).await;
        }
        Blame { counts: true, pause: pause.unwrap_or_default() }
    }
}

/// What a call's end means for the message that met it; nothing, where it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Blame {
    /// It counts among the message's attempts: the account was not paused before.
    pub counts: bool,
    /// How long the account is paused for, zero if it is not.
    pub pause: Duration,
}

fn permits(number: u32) -> Semaphore {
    Semaphore::new(usize::try_from(number).unwrap_or(Semaphore::MAX_PERMITS))
}

/// The accounts by name.
#[derive(Debug)]
pub struct Accounts<Q> {
    concurrency: u32,
    store: Arc<Q>,
    metrics: Arc<Metrics>,
    known: Mutex<HashMap<String, Arc<Account<Q>>>>,
}

impl<Q: QuotaStore> Accounts<Q> {
    /// None yet; each has at most `concurrency` messages under way.
    pub fn new(concurrency: u32, store: Arc<Q>, metrics: Arc<Metrics>) -> Self {
        Self { concurrency, store, metrics, known: Mutex::default() }
    }

    /// The account, with the limit now in force.
    pub fn of(&self, io: &IoAccount) -> Arc<Account<Q>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = known.get(&io.account).filter(|account| account.limit == io.calls_per_5s) {
            return Arc::clone(account);
        }
        let account = Arc::new(Account::new(io, self.concurrency, Arc::clone(&self.store), &self.metrics));
        known.insert(io.account.clone(), Arc::clone(&account));
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::Double;
    use prometheus::Registry;
    use shared::telemetry::Known;

    fn accounts() -> Accounts<Double> {
        accounts_with(64)
    }

    fn accounts_with(concurrency: u32) -> Accounts<Double> {
        let metrics = Metrics::register(&Registry::new(), &Known::default()).unwrap();
        Accounts::new(concurrency, Arc::new(Double(Arc::default())), Arc::new(metrics))
    }

    fn io(calls_per_5s: u32) -> IoAccount {
        IoAccount { account: "a".to_owned(), calls_per_5s }
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_messages_are_under_way_as_the_account_has_calls_in_a_second() {
        for (limit, turns) in [(0, 64), (150, 30), (1, 4), (10_000, 64)] {
            assert_eq!(accounts().of(&io(limit)).sending.available_permits(), turns, "{limit}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_account_has_more_under_way_than_the_settings_allow() {
        for limit in [0, 1, 150] {
            assert_eq!(accounts_with(1).of(&io(limit)).sending.available_permits(), 1, "{limit}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_no_turn_in_two_seconds_comes_back_before_it_is_due() {
        let account = accounts().of(&io(150));
        let _all = account.sending.acquire_many(30).await.unwrap();
        let asked = Instant::now();
        let waits = futures_util::future::join_all((0..300).map(|_| account.turn(Turn::Sending))).await;
        assert_eq!(asked.elapsed(), PATIENCE);
        for (ahead, wait) in (0_u64..).zip(waits) {
            let after = wait.unwrap_err().after;
            let turn = Duration::from_secs(ahead * 10 / 150).max(SHORTEST_WAIT);
            assert!((SHORTEST_WAIT..=turn).contains(&after), "{ahead} ahead: {after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_limit_takes_effect_and_an_unchanged_one_keeps_the_account() {
        let accounts = accounts();
        let first = accounts.of(&io(150));
        assert!(Arc::ptr_eq(&first, &accounts.of(&io(150))));
        assert!(!Arc::ptr_eq(&first, &accounts.of(&io(250))));
    }
}
