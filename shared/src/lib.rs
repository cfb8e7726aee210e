//! What the fleet shares.
//!
//! Dependencies point one way: `domain ← wire ← broker, store ← worker ← service`. `domain` is pure:
//! values in, decisions out.

pub mod arrival;
pub mod broker;
pub mod clock;
#[cfg(feature = "testing")]
pub mod corpus;
pub mod crash;
pub mod domain;
pub mod formats;
pub mod journal;
mod other_release;
pub mod outbox;
pub mod presence;
pub mod service;
pub mod settings;
pub mod shutdown;
pub mod simulate;
pub mod store;
pub mod suspects;
pub mod take;
pub mod telemetry;
pub mod trace;
pub mod wire;
