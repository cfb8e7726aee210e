//! Bodies of the fleet's own queues, as JSON, with a version each.
//!
//! A body of the version before must still parse: fields are only added, with a default. A consumer that
//! meets a newer version than it knows sends the message to `promemoria.dead` with code `version`.

mod dispatch;
mod outcome;
mod render;
pub mod telling;

pub use dispatch::{Content, DispatchRequest, FollowRequest, Level, PaymentData, ThirdPartyData};
pub use outcome::{Outcome, RecipientHash};
pub use render::{MessageRef, RenderRequest};

/// Version of the bodies written by this build.
pub const VERSION: u8 = 1;
