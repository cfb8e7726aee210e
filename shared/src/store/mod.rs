//! The store: the truth about time and state, in Redis.
//!
//! `door.rs` opens connections (one server, Sentinel, Cluster), `link.rs` replaces one that no longer serves.
//! `keys.rs` names what lies where, `scripts/` changes it atomically, `progress.rs` reads how far a message
//! has come. `marks.rs` notices that the store lost something, `books.rs` is what planning needs of it, in
//! Redis or in memory. `cases.rs` is the scheduler's side (cases and the schedule), `ledger.rs` the
//! dispatcher's (fence and settle), `inspect.rs` the operator's (what is armed, what is in doubt),
//! `retention.rs` forgets.

pub mod books;
pub mod cases;
mod changes;
mod door;
pub mod inspect;
pub mod keys;
pub mod ledger;
mod link;
mod marks;
pub mod memory;
mod options;
pub mod progress;
pub mod quota;
pub mod rebuild;
mod redis;
mod redis_ledger;
pub mod retention;
mod server;
mod stored;

pub use books::{Books, Restored};
pub use cases::{CaseStore, Claimed, Commit, Committed, Horizon, Loaded, Unit};
pub use link::Link;
pub use marks::Marks;
pub use memory::MemoryBooks;
pub use options::{Options, Place, Tls};
pub use redis::Redis;
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
    /// The store lost something of this ente: nothing is given out until it is rebuilt. Try again later.
    #[error("redis lost something, and is being rebuilt")]
    Lost,
    /// What is stored cannot be read by this build.
    #[error("a stored record cannot be read: {0}")]
    Unreadable(&'static str),
}

impl StoreError {
    /// Keeps no text of Redis: it may quote arguments. What the socket or TLS says is kept.
    pub(crate) fn from_redis(error: ::redis::RedisError) -> Self {
        if error.is_io_error() {
            return Self::Unavailable(Box::new(error));
        }
        match error.code() {
            // Passing states of a failover or a start: no operator is needed.
            Some("READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "MOVED") | None => {
                Self::Unavailable(error.category().into())
            }
            Some(code) => Self::Refused { code: code.to_owned() },
        }
    }

    /// Bounded name for metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "redis-unavailable",
            Self::Refused { .. } => "redis-refused",
            Self::Lost => "redis-lost",
            Self::Unreadable(_) => "record-unreadable",
        }
    }
}
