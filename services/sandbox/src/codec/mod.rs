//! The request codec of the IO API, written by hand: the same bodies accepted and refused, with the same
//! text, as the API's own codec.
//!
//! `schema.rs` says what a message may hold, as data; `record.rs` walks it; `patterns.rs` and `instant.rs`
//! are the leaf checks; `report.rs` writes the refusals; `syntax.rs` says what is wrong with a body that is
//! not JSON, in the words of the API's own parser.

mod instant;
mod message;
mod patterns;
mod record;
mod report;
mod schema;
mod syntax;

pub use message::{Level, NewMessage, Payment};
pub use patterns::is_fiscal_code;
pub(crate) use patterns::{FISCAL_CODE, is_ulid};
pub(crate) use report::json_text;
pub use syntax::parse;

use serde_json::Value;

/// Decodes a submitted body. `None` is a request without a body.
///
/// # Errors
/// The `detail` of the API's 400 answer: one line for each refusal, joined by `\n`. It echoes the offending
/// values, as the API does: never log it.
pub fn decode(body: Option<&Value>) -> Result<NewMessage, String> {
    let mut report = report::Report::default();
    let decoded = record::decode(schema::MESSAGE, body, "root", &mut report);
    match decoded {
        Some(decoded) if report.is_empty() => Ok(NewMessage::from_decoded(decoded)),
        _ => Err(report.into_text()),
    }
}

/// Detail of a 400 for a single value in the API's older notation, `value [...] at [path] is not a valid
/// [...]`: used for the path's fiscal code and for the body of `POST /profiles`.
#[must_use]
pub(crate) fn bracketed(value: Option<&Value>, path: &str, expected: &str) -> String {
    format!("value [{}] at [{path}] is not a valid [{expected}]", json_text(value))
}
