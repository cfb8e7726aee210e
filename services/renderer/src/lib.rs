//! Promemoria: renderer. Takes what is due, writes the message, hands it to the dispatcher.
//!
//! - [`handler`]: one body to one verdict, pure.
//! - [`inforce`]: the catalogue, enti and texts that messages are written with, exchanged on reload.
//! - [`sink`]: the port by which a message that cannot be written ends as failed.
//! - [`worker`]: the loop: take, decide, publish, settle.
//! - [`mod@run`]: the service, put together.

pub mod handler;
pub mod inforce;
mod process;
mod redis_sink;
pub mod run;
pub mod sink;
pub mod worker;

pub use process::process;
pub use run::run;
pub use sink::FailureSink;
