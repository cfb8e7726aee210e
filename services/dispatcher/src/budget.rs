//! An account's budget of calls, as one replica uses it: callers queue here, one task asks the store for
//! all of them at once, so a round trip is shared and no call is taken before somebody needs it.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{Histogram, IntGauge};
use shared::store::quota::{Grant, QuotaStore, SLACK, Wanted};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use crate::waiting::{Ask, Waiting};

/// Longest wait for a call with a delivery in hand: beyond it the message goes back to the schedule.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Pause before asking a store again that did not answer.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// Who goes first when calls are short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// A message whose profile has been asked for: its first call is spent already.
    Submit,
    /// A fresh message.
    Profile,
    /// The status of a sent message.
    Status,
}

/// A call that may be made, soon.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    taken: Instant,
    grant: Option<Grant>,
}

impl Token {
    /// Whether it still counts: a call that is made later than it was counted could make one too many in
    /// some window. Without a limit there is no window.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.grant.is_none() || self.taken.elapsed() <= SLACK
    }
}

/// No call now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// When it is worth asking again.
    pub after: Duration,
}

/// The budget of one account in this replica.
#[derive(Debug)]
pub struct Budget<Q> {
    account: String,
    limit: u32,
    store: Arc<Q>,
    paused: Mutex<Option<Instant>>,
    asks: mpsc::UnboundedSender<Ask>,
    waited: Histogram,
}

impl<Q: QuotaStore> Budget<Q> {
    /// The budget of `limit` calls in any 5 s; 0 is no limit, and no call of the store. Its task ends with
    /// the budget.
    pub fn new(account: &str, limit: u32, store: Arc<Q>, waited: Histogram, left: IntGauge) -> Self {
        let (asks, queue) = mpsc::unbounded_channel();
        if limit > 0 {
            let by = format!("{:016x}", rand::random::<u64>());
            let taker = Taker { account: account.to_owned(), limit, store: Arc::clone(&store), left, by };
            tokio::spawn(taker.run(queue));
        }
        Self { account: account.to_owned(), limit, store, paused: Mutex::new(None), asks, waited }
    }

    /// Takes a call for an ente, waiting at most [`PATIENCE`].
    pub async fn take(&self, priority: Priority, ente: &str) -> Result<Token, Busy> {
        let asked = Instant::now();
        let token = self.take_unmeasured(priority, ente).await;
        self.waited.observe(asked.elapsed().as_secs_f64());
        token
    }

    async fn take_unmeasured(&self, priority: Priority, ente: &str) -> Result<Token, Busy> {
        if let Some(rest) = self.paused_for() {
            return Err(Busy { after: rest });
        }
        if self.limit == 0 {
            return Ok(Token { taken: Instant::now(), grant: None });
        }
        let (reply, token) = oneshot::channel();
        let busy = Err(Busy { after: PATIENCE });
        if self.asks.send(Ask { priority, ente: ente.to_owned(), reply }).is_err() {
            return busy;
        }
        match timeout(PATIENCE, token).await {
            Ok(Ok(token)) => token,
            Ok(Err(_)) | Err(_) => busy,
        }
    }

    /// Stops the account, in all replicas, for this long.
    pub async fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let known = {
            let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
            let known = paused.is_some_and(|paused| paused >= until);
            *paused = (*paused).max(Some(until));
            known
        };
        if known || self.limit == 0 {
            return;
        }
        if let Err(error) = self.store.pause(&self.account, time).await {
            // This replica obeys all the same; the others will meet the same 429.
            warn!(account = self.account, code = error.code(), "pause not shared");
        }
    }

    /// How long this replica knows the account to be paused for.
    pub fn paused_for(&self) -> Option<Duration> {
        let until = (*self.paused.lock().unwrap_or_else(PoisonError::into_inner))?;
        until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
    }

    /// IO said how many calls are left, in the answer to the call of `token`.
    pub async fn observe(&self, token: &Token, left: Option<u32>) {
        if let (Some(grant), Some(left)) = (&token.grant, left)
            && let Err(error) = self.store.observe(&self.account, self.limit, grant, left).await
        {
            warn!(account = self.account, code = error.code(), "budget left not shared");
        }
    }
}

/// The one task that asks the store.
struct Taker<Q> {
    account: String,
    limit: u32,
    store: Arc<Q>,
    left: IntGauge,
    /// What this replica is called in the store.
    by: String,
}

impl<Q: QuotaStore> Taker<Q> {
    async fn run(self, mut queue: mpsc::UnboundedReceiver<Ask>) {
        let mut waiting = Waiting::default();
        while let Some(ask) = queue.recv().await {
            waiting.add(ask);
            while waiting.len() > 0 {
                while let Ok(ask) = queue.try_recv() {
                    waiting.add(ask);
                }
                let pause = self.round(&mut waiting).await;
                rest(pause, &mut queue, &mut waiting).await;
                waiting.forget_the_gone();
            }
        }
    }

    /// One call of the store for all who wait; returns the pause that it asks for.
    async fn round(&self, waiting: &mut Waiting) -> Duration {
        let asked = Instant::now();
        let number = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let wanted = Wanted { calls: number(waiting.len()), first: number(waiting.light()), by: &self.by };
        let grant = match self.store.take(&self.account, self.limit, wanted).await {
            Ok(grant) => grant,
            Err(error) => {
                warn!(account = self.account, code = error.code(), "budget not known");
                sleep(STORE_PAUSE).await;
                return Duration::ZERO;
            }
        };
        self.left.set(i64::from(grant.left));
        // Counted from the asking: when the store granted it within that time is not known.
        waiting.serve(Token { taken: asked, grant: Some(grant) }, grant.granted);
        if grant.wait > PATIENCE {
            waiting.turn_away(Busy { after: grant.wait });
        }
        if waiting.len() > 0 { grant.wait } else { Duration::ZERO }
    }
}

/// Lets a pause pass. It ends when somebody comes of an ente that took little: what is kept for them is kept from when
/// the store knows of them, and of the two calls of a message each would wait for a pause more.
async fn rest(pause: Duration, queue: &mut mpsc::UnboundedReceiver<Ask>, waiting: &mut Waiting) {
    let mut over = pin!(sleep(pause));
    let light = waiting.light();
    while waiting.light() == light {
        tokio::select! {
            () = &mut over => return,
            Some(ask) = queue.recv() => waiting.add(ask),
        }
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
