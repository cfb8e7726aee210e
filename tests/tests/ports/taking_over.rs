//! A server that took over from another, with all that the other had as far as its mark can tell.

use shared::broker::contract::soon;
use shared::store::ledger::{Intent, Ledger as _};
use shared::store::rebuild::Rebuilds;
use shared::store::{CaseStore, Place, Redis, RedisLedger, StoreError};
use tests::brokers::Solos;

use crate::proxy::Proxy;
use crate::redis::{command, pair};
use crate::store::{CASE, commit_two, message, options};

const ENTE: &str = "alfa";

/// What was written after the last claim need not have come over, and no mark tells: nothing is planned, emitted or
/// sent before the journal was read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_took_over_is_not_taken_for_whole() {
    let mut solos = Solos::new().unwrap();
    let (master, replica) = pair(&mut solos).await;
    let proxy = Proxy::to(format!("127.0.0.1:{master}")).await;
    let redis =
        Redis::connect(&options(&format!("redis://{}/0", proxy.address()), Place::Single)).await.unwrap();
    let (cases, rebuilds) = (CaseStore::guarded(redis.clone()), Rebuilds::new(redis.clone()));
    commit_two(&redis, ENTE).await.unwrap();
    let before = rebuilds.run().await.unwrap();
    rebuilds.whole(ENTE, &before).await.unwrap();
    let claim = async || cases.claim(ENTE, 10, 60_000, (100, None)).await;
    assert_eq!(claim().await.unwrap().entries.len(), 2);
    soon("the replica has the last mark", async {
        while mark(replica).await != mark(master).await {
            tokio::task::yield_now().await;
        }
    })
    .await;

    command(replica, &["REPLICAOF", "NO", "ONE"]).await.unwrap();
    command(master, &["REPLICAOF", "127.0.0.1", &replica.to_string()]).await.unwrap();
    proxy.lead_to(&format!("127.0.0.1:{replica}"));
    soon("the new master answers", async {
        loop {
            match claim().await {
                Err(StoreError::Lost) => break,
                Ok(claimed) => panic!("{} claimed of a store that nobody vouched for", claimed.entries.len()),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let standing = rebuilds.standing(ENTE).await.unwrap();
    assert!(standing.mark_ms.is_some_and(|mark| mark > 0) && !standing.is_vouched, "{standing:?}");
    let intent = Intent { token: "try".to_owned(), lasts: std::time::Duration::from_secs(10) };
    let fence = RedisLedger::guarded(redis.clone()).fence(&message(ENTE, 1), &intent).await;
    assert!(matches!(fence, Err(StoreError::Lost)), "{fence:?}");
    let load = cases.load(ENTE, None, &[CASE], &[]).await;
    assert!(matches!(load, Err(StoreError::Lost)));

    let late = rebuilds.whole(ENTE, &before).await;
    assert!(matches!(late, Err(StoreError::Lost)), "put back on the server before: {late:?}");
    let after = rebuilds.run().await.unwrap();
    rebuilds.whole(ENTE, &after).await.unwrap();
    assert!(claim().await.unwrap().entries.is_empty(), "their leases go on");
}

/// None where it has not come over yet.
async fn mark(port: u16) -> Option<String> {
    let key = format!("pm:{{{ENTE}}}:mark");
    ::redis::from_redis_value(command(port, &["GET", &key]).await.unwrap()).unwrap()
}
