//! The floor: a thin relay of the same hops as the fleet's, with no logic.
//!
//! Three processes as the fleet has, the same quorum queues, confirms in a window, merged acknowledgements,
//! the same journal lines, the same number of Redis round trips and HTTP calls. What the fleet costs beyond it is its own.
//!
//! - [`topology`]: exchanges and queues. [`schedule`]: the Redis scripts.
//! - [`intake`]: event to record to claim; [`render`]: record to job; [`dispatch`]: job to IO.

mod dispatch;
mod intake;
mod job;
mod render;
mod schedule;
pub(super) mod topology;

pub(super) use dispatch::{Dispatch, run as dispatch};
pub(super) use intake::{Intake, run as intake};
pub(super) use render::{Render, run as render};
pub(super) use schedule::{DUE_KEY, Schedule};
