//! The store: the truth about time and state, in Redis.
//!
//! `door.rs` opens connections (one server, Sentinel, Cluster), `link.rs` replaces one that no longer serves.
//! `keys.rs` names what lies where, `scripts/` changes it atomically, `progress.rs` reads how far a message
//! has come. `marks.rs` notices that the store lost something, `books.rs` is what planning needs of it, in
//! Redis or in memory. `cases.rs` is the scheduler's side (cases and the schedule), `ledger.rs` the
//! dispatcher's (fence and settle), `inspect.rs` the operator's (what is armed, what is in doubt),
//! `retention.rs` forgets. `register.rs` keeps what the journal says of each message, to be held against the
//! cases; `lease.rs` keeps such work to one process; `schedule.rs` holds the sets of the schedule against
//! the cases; `crashes.rs` counts what was in hand when a process ended.

pub mod books;
pub mod cases;
mod changes;
mod crashes;
mod door;
mod format;
pub mod inspect;
pub mod keys;
pub mod lease;
pub mod ledger;
mod link;
mod marks;
pub mod memory;
mod options;
mod packing;
pub mod progress;
pub mod quota;
pub mod rebuild;
mod redis;
mod redis_ledger;
pub mod register;
pub mod replicas;
pub mod retention;
pub mod schedule;
mod server;
mod stored;
mod unit;

pub use books::{Books, Restored};
pub use cases::{CaseStore, Claimed, Commit, Committed, Horizon, Loaded, Unit};
pub use crashes::Crashes;
pub use link::Link;
pub use marks::Marks;
pub use memory::MemoryBooks;
pub use options::{Options, Place, Tls};
pub use redis::Redis;
pub use redis_ledger::RedisLedger;
pub use register::Register;

use crate::formats::Foreign;

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
    /// A later release wrote it: leave it alone. It can be read once this process is replaced.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// What is stored cannot be read by this build.
    #[error("a stored record cannot be read: {0}")]
    Unreadable(&'static str),
}

/// A command that the access list does not let a script run is refused as `ERR`, which says nothing to an
/// operator: the same refusal outside of a script is `NOPERM`. The words are those of Redis 7.0 and of 7.2 and
/// later, Valkey among them.
fn named<'a>(code: &'a str, detail: &str) -> &'a str {
    const NO_PERMISSION: [&str; 2] = ["can't run this command or subcommand", "ACL failure in script"];
    if code == "ERR" && NO_PERMISSION.iter().any(|words| detail.contains(words)) { "NOPERM" } else { code }
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
            Some(code) => Self::Refused { code: named(code, error.detail().unwrap_or_default()).to_owned() },
        }
    }

    /// Bounded name for metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "redis-unavailable",
            Self::Refused { .. } => "redis-refused",
            Self::Lost => "redis-lost",
            Self::Foreign(_) => "format",
            Self::Unreadable(_) => "record-unreadable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(answer: &str) -> StoreError {
        let value = ::redis::parse_redis_value(format!("-{answer}\r\n").as_bytes()).expect("an answer");
        StoreError::from_redis(value.extract_error().expect_err("a refusal"))
    }

    #[test]
    fn what_the_access_list_forbids_is_named_in_a_script_too() {
        for (answer, code) in [
            ("NOPERM this user has no permissions to run the 'zadd' command", "NOPERM"),
            (
                "ERR The user executing the script can't run this command or subcommand script: 1f, on @u:2.",
                "NOPERM",
            ),
            ("ERR ACL failure in script: User x has no permissions to run the 'zadd' command", "NOPERM"),
            ("ERR Error running script: 7", "ERR"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
        ] {
            let error = refused(answer);
            assert!(
                matches!(&error, StoreError::Refused { code: said } if said == code),
                "{answer}: {error:?}"
            );
        }
    }
}
