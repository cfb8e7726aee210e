//! Two who act on one try of a message, because the first of them was slow or the store forgot: the second changes
//! nothing of the first's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dispatcher::journaled::Journaled;
use shared::broker::{BrokerError, Outgoing, Publisher};
use shared::clock::Clock;
use shared::domain::catalogue::InDubbio;
use shared::domain::message_state::Event;
use shared::outbox::Outbox;
use shared::store::ledger::{Fence, Intent, Ledger, Settled, Settlement};
use shared::store::progress::RawProgress;

use crate::messages::{LONG, Real, connected};

fn intent(token: &str) -> Intent {
    Intent { token: token.to_owned(), lasts: LONG }
}

/// A doubt to be sent again so much later.
fn doubt(after: Duration) -> Settlement {
    let (politica, evidence) = (InDubbio::Resend, "timeout".to_owned().into());
    Settlement::InDoubt { politica, evidence, tentativo: 1, after: Some(after) }
}

#[tokio::test]
async fn a_doubt_that_two_rule_on_goes_when_the_first_said() {
    let (_brokers, redis, connection) = connected().await;
    let real = Real::planned(&redis, &connection).await;
    real.on(&Event::Claimed).await;
    let first = real.reference(1);
    assert_eq!(real.ledger.fence(&first, &intent("one")).await.unwrap(), Fence::Go);
    assert_eq!(real.ledger.settle(&first, &doubt(LONG)).await.unwrap(), Settled::Recorded);
    let due = real.instant("due").await;
    assert!(due.is_some());
    real.ledger.settle(&first, &doubt(2 * LONG)).await.unwrap();
    assert_eq!(real.instant("due").await, due, "it is not put off");
    real.ledger.settle(&first, &doubt(LONG / 2)).await.unwrap();
    assert!(real.instant("due").await < due, "nor does a later word wait for an earlier");
}

/// A broker that confirms nothing. While it is first asked, Redis comes back as an old copy, and another try of the
/// same emission passes the fence.
#[derive(Clone)]
struct Meanwhile {
    real: Arc<Real>,
    before: RawProgress,
    is_over: Arc<AtomicBool>,
}

impl Publisher for Meanwhile {
    async fn publish(&self, _: Outgoing) -> Result<(), BrokerError> {
        if !self.is_over.swap(true, Ordering::Relaxed) {
            self.real.roll_back(&self.before).await;
            let other = self.real.ledger.fence(&self.real.reference(1), &intent("two")).await;
            assert_eq!(other.unwrap(), Fence::Go);
        }
        Err(BrokerError::TimedOut { waited: Duration::ZERO })
    }

    async fn publish_all(&self, outgoing: Vec<Outgoing>) -> Vec<Result<(), BrokerError>> {
        let mut results = Vec::new();
        for one in outgoing {
            results.push(self.publish(one).await);
        }
        results
    }
}

#[tokio::test]
async fn a_try_that_could_not_journal_leaves_the_request_of_another_alone() {
    let (_brokers, redis, connection) = connected().await;
    let real = Arc::new(Real::planned(&redis, &connection).await);
    real.on(&Event::Claimed).await;
    let meanwhile =
        Meanwhile { real: Arc::clone(&real), before: real.progress().await, is_over: Arc::default() };
    let outbox = Outbox::new(meanwhile, Clock::system());
    let journaled = Journaled::new(real.ledger.clone(), outbox, Clock::system());
    assert_eq!(journaled.fence(&real.reference(1), &intent("one")).await.unwrap(), Fence::Stale);
    assert_eq!(real.progress().await.0, "I|1|0||two", "its request may be out");
}
