//! The acceptance stories of the rules, on a virtual clock, for an ente without Premium and one with.
//!
//! Each line of a story is what happened: nothing else may be sent or told.

#![expect(clippy::expect_used, reason = "a story that cannot be set up is a failed test")]

// Under `make fuzz` every test binary of the package is built for libFuzzer, which comes with this crate.
use bolero as _;

mod housing;
mod order;
mod permits;
mod rules;
mod traces;
mod world;
