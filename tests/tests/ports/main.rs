//! The adapters on real RabbitMQ and Redis servers, and what only those can do to them.
#![expect(clippy::unwrap_used, reason = "what fails in a test's fixture fails the test")]

mod ending;
mod messages;
mod mute;
mod owing;
mod permissions;
mod poison;
mod proxy;
mod quota;
mod rabbitmq;
mod rabbitmq_faults;
mod redis;
mod releases;
mod stalled;
mod store;
mod taking_over;
mod tls;
mod two_tries;
mod unanswered;

use std::sync::{Arc, Weak};

use tests::brokers::{Brokers, Options};
use tokio::sync::Mutex;

/// The brokers that the tests share; they end with the last test that holds them.
async fn shared_brokers() -> Arc<Brokers> {
    static SHARED: Mutex<Weak<Brokers>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(brokers) = shared.upgrade() {
        return brokers;
    }
    let started = Arc::new(Brokers::start(&Options::from_env().unwrap()).await.unwrap());
    *shared = Arc::downgrade(&started);
    started
}
