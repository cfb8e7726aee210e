//! The queue for an account's calls, on paused time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use prometheus::{Histogram, HistogramOpts, IntGauge};
use shared::store::StoreError;

use super::*;

/// A store that grants what it is told to.
#[derive(Debug, Default)]
struct Store {
    grants: Mutex<VecDeque<Result<Grant, ()>>>,
    wanted: Mutex<Vec<u32>>,
    first: Mutex<Vec<u32>>,
    pauses: Mutex<Vec<Duration>>,
    observed: AtomicU32,
}

fn grant(granted: u32, wait_ms: u64) -> Grant {
    Grant { granted, wait: Duration::from_millis(wait_ms), left: 9, total: 1, at_ms: 0 }
}

impl Store {
    fn granting(grants: impl IntoIterator<Item = Grant>) -> Arc<Self> {
        Self::answering(grants.into_iter().map(Ok))
    }

    fn answering(grants: impl IntoIterator<Item = Result<Grant, ()>>) -> Arc<Self> {
        Arc::new(Self { grants: Mutex::new(grants.into_iter().collect()), ..Self::default() })
    }
}

impl QuotaStore for Store {
    async fn take(&self, _: &str, _: u32, wanted: Wanted<'_>) -> Result<Grant, StoreError> {
        let (wanted, first) = (wanted.calls, wanted.first);
        self.wanted.lock().unwrap().push(wanted);
        self.first.lock().unwrap().push(first);
        let next = self.grants.lock().unwrap().pop_front();
        next.unwrap_or(Ok(grant(wanted, 0))).map_err(|()| StoreError::Unavailable("away".into()))
    }

    async fn pause(&self, _: &str, time: Duration) -> Result<(), StoreError> {
        self.pauses.lock().unwrap().push(time);
        Ok(())
    }

    async fn observe(&self, _: &str, _: u32, _: &Grant, _: u32) -> Result<(), StoreError> {
        self.observed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn budget(limit: u32, store: &Arc<Store>) -> Budget<Store> {
    let waited = Histogram::with_opts(HistogramOpts::new("waited", "x")).unwrap();
    Budget::new("a", limit, Arc::clone(store), waited, IntGauge::new("left", "x").unwrap())
}

#[tokio::test(start_paused = true)]
async fn no_limit_makes_no_call_of_the_store() {
    let store = Store::granting([]);
    let budget = budget(0, &store);
    let token = budget.take(Priority::Profile, "borgo").await.unwrap();
    budget.observe(&token, Some(0)).await;
    tokio::time::advance(Duration::from_mins(1)).await;
    assert!(token.is_fresh());
    assert!(store.wanted.lock().unwrap().is_empty());
    assert_eq!(store.observed.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_share_a_round_trip_and_a_begun_message_goes_first() {
    // Nothing at first, so that all three are in the queue when one call is granted after the other.
    let store = Store::granting([grant(0, 50), grant(1, 50), grant(1, 50), grant(1, 0)]);
    let budget = budget(150, &store);
    let order = Mutex::new(Vec::new());
    let ask = async |priority| {
        budget.take(priority, "borgo").await.unwrap();
        order.lock().unwrap().push(priority);
    };
    tokio::join!(ask(Priority::Status), ask(Priority::Profile), ask(Priority::Submit));
    assert_eq!(*order.lock().unwrap(), [Priority::Submit, Priority::Profile, Priority::Status]);
    assert_eq!(store.wanted.lock().unwrap()[1..], [3, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_with_much_to_send_does_not_hold_up_the_few_of_another() {
    let store = Store::granting([grant(0, 50), grant(1, 50), grant(1, 50), grant(2, 0)]);
    let budget = budget(150, &store);
    let order = Mutex::new(Vec::new());
    let ask = async |ente| {
        budget.take(Priority::Profile, ente).await.unwrap();
        order.lock().unwrap().push(ente);
    };
    tokio::join!(ask("borgo"), ask("borgo"), ask("borgo"), ask("rocca"));
    assert_eq!(*order.lock().unwrap(), ["borgo", "rocca", "borgo", "borgo"]);
}

#[tokio::test(start_paused = true)]
async fn who_took_little_goes_before_a_begun_message_of_who_takes_all() {
    let one_by_one = std::iter::repeat_n(grant(1, 0), 8);
    let store = Store::granting(one_by_one.chain([0, 1, 1, 1].map(|granted| grant(granted, 50))));
    let budget = budget(150, &store);
    for _ in 0..8 {
        budget.take(Priority::Submit, "borgo").await.unwrap();
    }
    let order = Mutex::new(Vec::new());
    let ask = async |priority, ente| {
        budget.take(priority, ente).await.unwrap();
        order.lock().unwrap().push((priority, ente));
    };
    tokio::join!(
        ask(Priority::Submit, "borgo"),
        ask(Priority::Profile, "rocca"),
        ask(Priority::Submit, "rocca")
    );
    let (submit, profile) = (Priority::Submit, Priority::Profile);
    assert_eq!(*order.lock().unwrap(), [(submit, "rocca"), (profile, "rocca"), (submit, "borgo")]);
    assert_eq!(store.first.lock().unwrap().last_chunk(), Some(&[2, 1, 0]), "the store is told");
}

#[tokio::test(start_paused = true)]
async fn who_took_little_is_asked_for_at_once_and_not_when_the_pause_of_the_others_is_over() {
    let refusals = [grant(0, 500), grant(0, 300)];
    let store = Store::granting(std::iter::repeat_n(grant(1, 0), 8).chain(refusals).chain([grant(2, 0)]));
    let budget = budget(150, &store);
    for _ in 0..8 {
        budget.take(Priority::Submit, "borgo").await.unwrap();
    }
    let began = Instant::now();
    let late = async {
        sleep(Duration::from_millis(100)).await;
        budget.take(Priority::Profile, "rocca").await.unwrap();
        began.elapsed()
    };
    let (_, came) = tokio::join!(budget.take(Priority::Submit, "borgo"), late);
    assert_eq!(
        store.first.lock().unwrap().last_chunk(),
        Some(&[0, 1, 1]),
        "the store knows before the pause ends"
    );
    assert!(came < Duration::from_millis(450), "after its own pause, not that of the other: {came:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_turns_everybody_away_with_its_length() {
    let store = Store::granting([grant(0, 30_000)]);
    let budget = budget(150, &store);
    let busy = budget.take(Priority::Profile, "borgo").await.unwrap_err();
    assert_eq!(busy.after, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_two_seconds_even_while_the_store_is_away() {
    let store = Store::answering(std::iter::repeat_n(Err(()), 100));
    let budget = budget(150, &store);
    let asked = Instant::now();
    assert!(budget.take(Priority::Profile, "borgo").await.is_err());
    assert_eq!(asked.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_counted_too_long_ago_is_not_used() {
    let store = Store::granting([grant(1, 0)]);
    let budget = budget(150, &store);
    let token = budget.take(Priority::Profile, "borgo").await.unwrap();
    assert!(token.is_fresh());
    tokio::time::advance(SLACK + Duration::from_millis(1)).await;
    assert!(!token.is_fresh());
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_obeyed_here_and_shared_once() {
    let store = Store::granting([]);
    let budget = budget(150, &store);
    let pause = Duration::from_secs(7);
    budget.pause(pause).await;
    budget.pause(pause).await;
    budget.pause(Duration::from_secs(1)).await;
    assert_eq!(budget.take(Priority::Submit, "borgo").await.unwrap_err().after, pause);
    assert_eq!(*store.pauses.lock().unwrap(), [pause]);
    tokio::time::advance(pause).await;
    assert!(budget.take(Priority::Submit, "borgo").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_for_somebody_who_left_goes_to_the_next() {
    let store = Store::granting([grant(0, 500), grant(1, 1_900)]);
    let budget = budget(150, &store);
    let left = timeout(Duration::from_millis(100), budget.take(Priority::Submit, "borgo"));
    let (left, stayed) = tokio::join!(left, budget.take(Priority::Profile, "borgo"));
    assert!(left.is_err());
    assert!(stayed.is_ok());
}
