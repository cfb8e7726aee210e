//! The budget of an IO account on a real Redis.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use shared::store::quota::{Grant, QuotaStore, RedisQuota, WINDOW, Wanted};
use tests::brokers::Brokers;

use crate::shared_brokers;

/// The Redis that the tests share.
struct Redis(Arc<Brokers>);

impl Redis {
    async fn start() -> Self {
        Self(shared_brokers().await)
    }

    /// A budget of its own for each test, also on a shared server, on a clock that goes on as the test says.
    async fn quota(&self, test: &str) -> RedisQuota<MultiplexedConnection> {
        let client = redis::Client::open(self.0.redis_url()).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        RedisQuota::new(connection, &format!("test-{test}-{}", std::process::id())).on_a_still_clock()
    }
}

/// So many calls, none of them first.
fn usual(calls: u32) -> Wanted<'static> {
    Wanted { calls, first: 0, by: "one" }
}

/// The most that was granted in any 5 s.
fn busiest(grants: &[Grant]) -> u32 {
    let within = |first: &Grant| {
        let window = first.at_ms..first.at_ms + 5_000;
        grants.iter().filter(|grant| window.contains(&grant.at_ms)).map(|grant| grant.granted).sum()
    };
    grants.iter().map(within).max().unwrap_or(0)
}

#[tokio::test]
async fn four_takers_never_exceed_the_limit_in_any_5_s_and_use_95_percent_of_it() {
    let redis = Redis::start().await;
    let quota = redis.quota("limit").await;
    for limit in [1, 7, 150, 250] {
        let account = format!("account-{limit}");
        let mut grants = Vec::new();
        for step in 0_u32..2_000 {
            let ahead = quota.ahead_by(i64::from(step) * 30);
            // Now and then one of them wants a call first.
            let take = |taker: u32, by| {
                let first = u32::from((step + taker).is_multiple_of(9));
                let wanted = Wanted { calls: 1 + (step * 7 + taker * 13) % 16, first, by };
                ahead.take(&account, limit, wanted)
            };
            let (a, b, c, d) = tokio::join!(take(0, "a"), take(1, "b"), take(2, "c"), take(3, "d"));
            grants.extend([a, b, c, d].map(Result::unwrap).into_iter().filter(|grant| grant.granted > 0));
        }
        let took = busiest(&grants);
        assert!(took <= limit, "limit {limit}: {took} in 5 s");
        let (first, last) = (grants[0], grants[grants.len() - 1]);
        let granted: u32 = grants.iter().map(|grant| grant.granted).sum();
        // What the last instant gave is for the window that follows it.
        let before_last: u32 =
            grants.iter().filter(|grant| grant.at_ms < last.at_ms).map(|grant| grant.granted).sum();
        assert!(granted > before_last);
        let seconds = f64::from(u32::try_from(last.at_ms - first.at_ms).unwrap()) / 1_000.0;
        let rate = f64::from(before_last) / seconds;
        assert!(rate >= 0.95 * f64::from(limit) / 5.0, "limit {limit}: {rate} a second");
    }
}

#[tokio::test]
async fn whoever_wants_everything_leaves_a_call_within_a_tenth_of_the_window_to_whoever_comes() {
    let redis = Redis::start().await;
    let quota = redis.quota("pace").await;
    let first = quota.take("a", 150, usual(400)).await.unwrap();
    assert_eq!((first.granted, first.left, first.total), (16, 134, 16));
    assert!(first.wait <= WINDOW / 10, "{:?}", first.wait);
    let (step, mut last) = (20, 0);
    for at in (step..20_000).step_by(20) {
        let grant = quota.ahead_by(at).take("a", 150, usual(400)).await.unwrap();
        let gap = Duration::from_millis(u64::try_from(at - last).unwrap());
        assert!(gap <= WINDOW / 10 + Duration::from_millis(u64::try_from(step).unwrap()), "{gap:?} at {at}");
        if grant.granted > 0 {
            last = at;
        }
    }
    assert_eq!(quota.take("b", 40, usual(3)).await.unwrap().granted, 3, "another account has its own budget");
}

#[tokio::test]
async fn the_next_free_call_is_kept_for_who_takes_little_whoever_asks_first() {
    let redis = Redis::start().await;
    let quota = redis.quota("first").await;
    let little = Wanted { calls: 1, first: 1, by: "two" };
    let everything = usual(400);
    let mut at = 0;
    let mut used_up = quota.take("a", 150, everything).await.unwrap();
    for _ in 0..40 {
        // One takes whatever there is, and another comes too late.
        let refused = quota.ahead_by(at).take("a", 150, little).await.unwrap();
        assert_eq!(refused.granted, 0, "at {at}: {used_up:?}");
        at += i64::try_from(refused.wait.as_millis()).unwrap();
        assert!(refused.wait <= WINDOW / 10, "{:?}", refused.wait);
        let greedy = quota.ahead_by(at).take("a", 150, everything).await.unwrap();
        let came = quota.ahead_by(at).take("a", 150, little).await.unwrap();
        assert_eq!(came.granted, 1, "at {at}: {greedy:?}, then {came:?}");
        used_up = quota.ahead_by(at).take("a", 150, everything).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_is_not_kept_for_a_replica_that_does_not_come_back() {
    let redis = Redis::start().await;
    let quota = redis.quota("gone").await;
    let limit = 20;
    let first = quota.take("a", limit, usual(400)).await.unwrap();
    let gone = quota.take("a", limit, Wanted { calls: 9, first: 9, by: "gone" }).await.unwrap();
    assert_eq!((first.granted, gone.granted), (3, 0));
    let soon = i64::try_from(gone.wait.as_millis()).unwrap();
    let half = quota.ahead_by(soon).take("a", limit, usual(400)).await.unwrap();
    assert_eq!(half.granted, 2, "of 3 in a tenth of the window one is kept, however many are wanted");
    let later = soon + i64::try_from((WINDOW / 5).as_millis()).unwrap();
    assert_eq!(quota.ahead_by(later).take("a", limit, usual(400)).await.unwrap().granted, 3);
}

#[tokio::test]
async fn a_pause_stops_every_taker_until_it_ends_and_a_shorter_one_does_not_end_it() {
    let redis = Redis::start().await;
    let (one, other) = (redis.quota("pause").await, redis.quota("pause").await);
    one.pause("a", Duration::from_secs(30)).await.unwrap();
    one.pause("a", Duration::from_secs(1)).await.unwrap();
    let stopped = other.take("a", 40, usual(4)).await.unwrap();
    assert_eq!((stopped.granted, stopped.left), (0, 40));
    assert!(stopped.wait > Duration::from_secs(10), "{:?}", stopped.wait);
    assert_eq!(other.ahead_by(30_000).take("a", 40, usual(4)).await.unwrap().granted, 4);
}

#[tokio::test]
async fn what_io_counts_beyond_our_own_calls_shrinks_the_budget() {
    let redis = Redis::start().await;
    let quota = redis.quota("observe").await;
    let grant = quota.take("a", 1_000, usual(10)).await.unwrap();
    let later = quota.take("a", 1_000, usual(15)).await.unwrap();
    assert_eq!(later.left, 975);
    // 975 left is what our own calls explain, 988 is more than they leave: nothing to learn from either.
    for left in [975, 988] {
        quota.observe("a", 1_000, &grant, left).await.unwrap();
        assert_eq!(quota.take("a", 1_000, usual(0)).await.unwrap().left, 975, "{left}");
    }
    for _ in 0..3 {
        quota.observe("a", 1_000, &later, 930).await.unwrap();
    }
    assert_eq!(quota.take("a", 1_000, usual(0)).await.unwrap().left, 930, "45 calls were somebody else's");
    quota.observe("a", 1_000, &later, 0).await.unwrap();
    assert_eq!(quota.take("a", 1_000, usual(0)).await.unwrap().left, 0, "never below nothing");
    let after = i64::try_from(WINDOW.as_millis()).unwrap() + 5_000;
    assert_eq!(quota.ahead_by(after).take("a", 1_000, usual(0)).await.unwrap().left, 1_000);
}

#[tokio::test]
async fn a_clock_that_steps_back_never_gives_the_budget_twice() {
    let redis = Redis::start().await;
    let quota = redis.quota("clock").await;
    let ahead = quota.ahead_by(3_600_000);
    assert_eq!(ahead.take("a", 40, usual(5)).await.unwrap().granted, 5);
    let back = quota.take("a", 40, usual(10)).await.unwrap();
    assert_eq!(back.granted, 0, "an hour back: the window starts again, empty");
    assert!(back.wait <= WINDOW, "{:?}", back.wait);
    let small = redis.quota("clock-small").await;
    assert_eq!(small.ahead_by(2_000).take("a", 40, usual(4)).await.unwrap().granted, 4);
    assert_eq!(
        small.take("a", 40, usual(10)).await.unwrap().granted,
        1,
        "two seconds back: the clock stands still"
    );
}
