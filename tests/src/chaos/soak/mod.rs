//! F63: a random mix of the matrix's faults, for as long as asked.
//!
//! A seed chooses a subset of the kinds, as in swarm testing: what one fault hides in another seed is not there. Then
//! it chooses one fault after the other, and the next may come before the one before is recovered from.
//!
//! - `fault`: the kinds, and the draw by seed; `doubts`: what each may cost.
//! - `inject`, with `processes`, `broker`, `store` and `io`: how each is done.
//! - `mix` is the run, `rest` what must hold whenever everything is over, `tally` what was counted.
//! - [`record`]: what of it is written down, and its section of the page.

mod broker;
mod doubts;
mod fault;
mod inject;
mod io;
mod mix;
mod processes;
pub mod record;
mod rest;
mod store;
mod tally;

pub use mix::soak;

/// `io.concurrency` of the fleet: the requests that one dispatcher may have under way.
const CONCURRENCY: usize = 8;
