//! The sandbox: a stand-in for the IO API, for trial and tests.
//!
//! It answers as the IO API does (codes, bodies, headers, limits per account, asynchronous statuses), keeps
//! what it was sent, and shows it as a citizen's phone would. `docs/sandbox.md` is its manual.
//!
//! - `codec/`: what a message may hold, refused in the API's own words
//! - `state/`: accounts and limits, sent messages, armed faults
//! - `http/`: the API, the inspection endpoints, the connections
//! - `inbox/`: the citizen's inbox
//! - `recipients.rs`: simulated recipients; `options.rs`: settings; `server.rs`: running it

mod clock;
pub mod codec;
mod http;
mod inbox;
mod options;
pub mod recipients;
mod server;
mod state;

pub use options::{
    DEFAULT_CALLS_PER_5S, DEFAULT_KEEP, DEFAULT_MAX_AMOUNT, DEFAULT_PROCESSED_AFTER, Options, Servizio,
};
pub use server::{Sandbox, serve};
