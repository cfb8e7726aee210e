//! One body of the queue `promemoria.render` to one verdict.

use shared::domain::catalogue::InDubbio;
use shared::domain::render::{RenderError, render};
use shared::formats::Foreign;
use shared::wire::{self, MessageRef, RenderRequest, Unread};

use crate::inforce::InForce;

/// What is to be done with a delivery.
#[derive(Debug)]
pub enum Verdict {
    /// Publish this body for the dispatcher.
    Forward {
        /// Which message.
        message: Box<MessageRef>,
        /// The dispatch request as JSON.
        body: Vec<u8>,
    },
    /// The message cannot be written: it ends as failed, with a dead letter.
    Fail {
        /// What was asked.
        request: Box<RenderRequest>,
        /// Why not.
        error: RenderError,
    },
    /// Another release wrote it: nothing is done, its lease brings it back.
    Leave(Foreign),
    /// Nobody can tell what message this is: a dead letter, nothing else.
    Refuse {
        /// Dead-letter code.
        code: &'static str,
        /// Why, without a value.
        reason: String,
    },
}

/// Reads a body.
///
/// # Errors
/// What becomes of one that cannot be read.
pub fn read(body: &[u8]) -> Result<RenderRequest, Verdict> {
    wire::read(body).map_err(|unread| match unread {
        Unread::Foreign(foreign) => Verdict::Leave(foreign),
        broken @ Unread::Broken { .. } => Verdict::Refuse { code: "json", reason: broken.to_string() },
    })
}

/// Decides what becomes of a request, with what is in force now.
#[must_use]
pub fn decide(request: RenderRequest, in_force: &InForce, in_doubt: InDubbio) -> Verdict {
    let Some(ente) = in_force.enti.ente(&request.message.ente) else {
        return Verdict::Refuse { code: "ente", reason: "`ente` has no file".to_owned() };
    };
    match render(&in_force.texts, &in_force.catalogue, ente, &request, in_doubt) {
        Ok(dispatch) => match wire::write(&dispatch) {
            Some(body) => Verdict::Forward { message: Box::new(request.message), body },
            None => Verdict::Refuse { code: "json", reason: "the message cannot be written down".to_owned() },
        },
        Err(error) => Verdict::Fail { request: Box::new(request), error },
    }
}
