//! The dispatcher: checks the profile, applies the rate limit, sends to IO, follows the status.
//!
//! - [`io_api`]: the IO API, and what its answers mean.
//! - [`handler`]: one message to one settlement and its outcome; [`retry`] and [`breaker`] are its pure parts.
//! - [`account`], [`budget`]: turns and calls of an IO account; `waiting`: who gets the next call, `recent`: who took little. [`keys`]: the services' keys.
//! - [`journaled`]: the ledger with a journal beside it.
//! - [`worker`]: the loop: take, handle, tell, settle. [`mod@run`]: the service, put together.

pub mod account;
pub mod breaker;
pub mod budget;
#[cfg(test)]
mod doubles;
pub mod handler;
pub mod io_api;
pub mod journaled;
pub mod keys;
pub mod metrics;
mod process;
mod recent;
pub mod retry;
pub mod retry_budget;
pub mod run;
mod waiting;
pub mod worker;

pub use process::process;
pub use run::run;
