//! What the integration tests, the demo and the benchmark stand on.
//!
//! - [`brokers`]: a private RabbitMQ and Redis.
//! - [`fleet`]: the real processes on them, with the sandbox in the place of IO.
//! - [`collector`]: the other end of their spans.
//! - [`journal`]: a fleet's journal held against its ledger.
//! - [`demo`]: what `make demo` shows.
//! - [`chaos`]: the fault matrix.
//! - [`mod@bench`]: the fleet against a thin relay of the same hops.

pub mod bench;
pub mod brokers;
pub mod certificates;
pub mod chaos;
pub mod collector;
pub mod demo;
pub mod fleet;
pub mod journal;

#[cfg(test)]
mod architecture;
