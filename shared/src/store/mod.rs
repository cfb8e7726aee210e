//! The store: the truth about time and state, in Redis.
//!
//! `keys.rs` names what lies where, `scripts/` changes it atomically, `progress.rs` reads how far a message
//! has come. `cases.rs` is the scheduler's side (cases and the schedule), `ledger.rs` the dispatcher's
//! (fence and settle), `inspect.rs` the operator's (what is armed, what is in doubt), `retention.rs` forgets.

pub mod cases;
pub mod inspect;
pub mod keys;
pub mod ledger;
pub mod progress;
pub mod quota;
mod redis;
mod redis_ledger;
pub mod retention;

pub use cases::{CaseStore, Claimed, Commit, Committed, Loaded, Unit};
pub use redis::{Options, Redis};
pub use redis_ledger::RedisLedger;

/// Why the store could not do it, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Redis is away or did not answer in time: try again later; the command may have run.
    #[error("redis is away or did not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Redis refused the command: its settings, memory or permissions need an operator.
    #[error("redis refused a command: {code}")]
    Refused {
        /// Redis' own error code, for example `OOM` or `NOPERM`.
        code: String,
    },
    /// What is stored cannot be read by this build.
    #[error("a stored record cannot be read: {0}")]
    Unreadable(&'static str),
}

impl StoreError {
    /// Keeps no text of Redis: it may quote arguments.
    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` is given")]
    pub(crate) fn from_redis(error: ::redis::RedisError) -> Self {
        match error.code() {
            Some(code) => Self::Refused { code: code.to_owned() },
            None => Self::Unavailable(error.category().into()),
        }
    }

    /// Bounded name for metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "redis-unavailable",
            Self::Refused { .. } => "redis-refused",
            Self::Unreadable(_) => "record-unreadable",
        }
    }
}
