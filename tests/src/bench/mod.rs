//! The benchmark: the fleet against a floor of our own, in turns, on the same brokers (`make bench`).
//!
//! - `command`: what can be asked of it; `run`: the parts in order and the report.
//! - `floor`: the thin relay that the fleet is held against.
//! - `events`, `produce`: the case events that both are given, and who publishes them.
//! - `system`: starting floor, fleet and sandbox as processes; `process`: watching and ending them.
//! - `measure`: rate, latency, many timers due at once, memory.
//! - `report`, `table`, `machine`: what is said of them.

mod amqp;
mod command;
mod events;
mod floor;
mod machine;
mod measure;
mod process;
mod produce;
mod redis_info;
mod report;
mod run;
mod system;
mod table;

pub use command::{Arguments, execute};
pub(crate) use events::fiscal_code;
