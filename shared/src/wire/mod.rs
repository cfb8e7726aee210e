//! Bodies of the fleet's own queues, as JSON, with a version each.
//!
//! A body of the version before must still parse. A version that a consumer does not read ([`crate::formats`])
//! is left to its lease: the entry falls due again, and a replica that reads it, or writes another, has it.

mod body;
mod dispatch;
mod outcome;
mod render;
pub mod telling;

pub use body::{Body, Unread, read, write};
pub use dispatch::{Content, DispatchRequest, FollowRequest, Level, PaymentData, ThirdPartyData};
pub use outcome::{Outcome, RecipientHash};
pub use render::{MessageRef, RenderRequest};
