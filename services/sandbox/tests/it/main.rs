//! The sandbox from outside: over HTTP, in a browser, as a process.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

mod api;
mod browser;
mod client;
mod contrast;
mod faults;
mod inbox;
mod manual;
mod process;
