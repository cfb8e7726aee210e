//! The handler with doubles for IO and the store: one test a row of what can happen.

mod follow;
mod send;
