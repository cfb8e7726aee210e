//! The store on a real Redis.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up is a failed test")]

mod messages;
mod quota;
mod server;
