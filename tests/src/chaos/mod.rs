//! The fault matrix: each row injects one fault into the real fleet, and a checker compares what the sandbox
//! was sent with what was published, told and stored.
//!
//! - [`matrix`]: the rows, each with its injection and what it must show; `bounds`: how long each may take, `length`:
//!   how much of it runs.
//! - `trial` is one run of a fleet under a fault, `crew` its processes, `proxy` its cables, `gate` its
//!   certificates.
//! - `book` is what was published and told, `checker` holds the invariants against the sandbox's messages.
//! - [`result`]: what is written down, and the page made of it.
//!
//! `make chaos` runs all of it, `make test` the quick half, `make soak` a random mix.

mod book;
mod bounds;
mod checker;
mod crew;
mod dice;
mod gate;
mod ground;
mod harm;
mod integrator;
mod length;
pub mod matrix;
pub mod points;
pub mod proxy;
pub mod result;
mod rows;
mod run;
pub mod soak;
mod stored;
mod trial;

pub use length::Length;
pub use run::{Half, run};
