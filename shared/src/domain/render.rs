//! From a message that is due to what IO is given: a pure function over texts compiled beforehand.
//!
//! `compile` turns the catalogue's and the enti's texts into templates, once a load; `message` renders
//! one. Between them: `grammar` bounds what a text may do, `values` finds and types the variables,
//! `plain`, `markdown` and `link` keep what users wrote inert, `front_matter` writes the button.

mod compile;
mod error;
mod front_matter;
mod grammar;
mod link;
mod markdown;
mod message;
mod plain;
mod values;

#[cfg(test)]
mod tests;

pub use compile::{TextFault, Texts};
pub use error::{RenderCode, RenderError};
pub use message::render;
