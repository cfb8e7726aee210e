//! One body of the queue `promemoria.render` to one verdict.

use serde::Deserialize;
use shared::domain::catalogue::InDubbio;
use shared::domain::render::{RenderError, render};
use shared::wire::{RenderRequest, VERSION};

use crate::inforce::InForce;

/// What is to be done with a delivery.
#[derive(Debug)]
pub enum Verdict {
    /// Publish this body for the dispatcher.
    Forward {
        /// Identity of the message: its key and the number of this emission.
        message_id: String,
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
    /// Nobody can tell what message this is: a dead letter, nothing else.
    Refuse {
        /// Dead-letter code.
        code: &'static str,
        /// Why, without a value.
        reason: String,
    },
}

/// The part of a body that every version has.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

/// Decides what becomes of a body, with what is in force now.
#[must_use]
pub fn decide(body: &[u8], in_force: &InForce, in_doubt: InDubbio) -> Verdict {
    let request = match read(body) {
        Ok(request) => request,
        Err((code, reason)) => return Verdict::Refuse { code, reason },
    };
    let Some(ente) = in_force.enti.ente(&request.message.ente) else {
        return Verdict::Refuse { code: "ente", reason: "`ente` has no file".to_owned() };
    };
    match render(&in_force.texts, &in_force.catalogue, ente, &request, in_doubt) {
        Ok(dispatch) => match serde_json::to_vec(&dispatch) {
            Ok(body) => {
                let message_id = format!("{}/{}", request.message.chiave, request.message.attempt);
                Verdict::Forward { message_id, body }
            }
            Err(_) => {
                Verdict::Refuse { code: "json", reason: "the message cannot be written down".to_owned() }
            }
        },
        Err(error) => Verdict::Fail { request: Box::new(request), error },
    }
}

fn read(body: &[u8]) -> Result<RenderRequest, (&'static str, String)> {
    // serde's words may quote the body: only the place is told.
    let unreadable = |error: serde_json::Error| {
        ("json", format!("the body cannot be read at line {} column {}", error.line(), error.column()))
    };
    let Versioned { v } = serde_json::from_slice(body).map_err(unreadable)?;
    if v > u64::from(VERSION) {
        return Err(("version", format!("`v` is {v}, this build reads up to {VERSION}")));
    }
    serde_json::from_slice(body).map_err(unreadable)
}
