//! Whole messages: exact texts, failures, and what users' texts can never do.

mod fixture;
mod golden;
mod inert;
mod messages;
