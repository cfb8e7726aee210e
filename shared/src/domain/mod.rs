//! The pure core: values in, decisions out. No clock, no runtime, no broker, no store.

pub mod calendar;
pub mod case;
pub mod catalogue;
pub mod derive;
pub mod ente;
pub mod event;
pub mod failure;
pub mod fault;
pub mod fields;
pub mod fiscal_code;
mod hex;
pub mod message_state;
pub mod outcome;
pub mod permits;
pub mod plan;
pub mod render;
pub mod retention;
mod trace_context;

pub use fault::Fault;
pub use fields::{Field, Fields};
pub use fiscal_code::{FiscalCode, FiscalCodeError};
pub use hex::hex;
pub use trace_context::TraceContext;
