//! The fleet end to end: real processes, real RabbitMQ, real Redis, the sandbox in the place of IO.

mod chaos;
mod conservation;
mod doubts;
mod examples;
mod faults;
mod journal;
mod privacy;
mod queues;
mod quota;
mod retention;
mod spine;
mod stories;
mod traces;

use tests::fleet::Binaries;

/// The test build of the fleet's programs.
fn binaries() -> Binaries {
    Binaries::Together(env!("CARGO_BIN_EXE_fleet-process").into())
}
