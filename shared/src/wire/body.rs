//! Bodies of the fleet's own queues, read and written.

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned};

use super::{DispatchRequest, FollowRequest, RenderRequest};
use crate::formats::{DISPATCH, FOLLOW, Foreign, Format, RENDER};

/// A body with a version.
pub trait Body: Serialize + DeserializeOwned {
    /// Its format.
    const FORMAT: &'static Format;
}

impl Body for RenderRequest {
    const FORMAT: &'static Format = &RENDER;
}

impl Body for DispatchRequest {
    const FORMAT: &'static Format = &DISPATCH;
}

impl Body for FollowRequest {
    const FORMAT: &'static Format = &FOLLOW;
}

/// Why a body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Another release wrote it. Leave it: its lease ends, and it is emitted again.
    #[error(transparent)]
    Foreign(Foreign),
    /// It is none of ours, or broken. The place is told, never what stands there.
    #[error("the body cannot be read at line {line} column {column}")]
    Broken {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
}

/// The part of a body that every version has.
#[derive(serde::Deserialize)]
struct Versioned {
    v: u64,
}

/// Reads a body, its version first: another one may look otherwise.
///
/// # Errors
/// As [`Unread`] says.
pub fn read<B: Body>(body: &[u8]) -> Result<B, Unread> {
    let Versioned { v } = parse(body)?;
    B::FORMAT.check(v).map_err(Unread::Foreign)?;
    parse(body)
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Unread> {
    serde_json::from_slice(body)
        .map_err(|error| Unread::Broken { line: error.line(), column: error.column() })
}

/// Writes a body; none if it cannot be written down, which a body of strings and numbers always can.
#[must_use]
pub fn write<B: Body>(body: &B) -> Option<Vec<u8>> {
    let text = serde_json::to_vec(body).ok()?;
    #[cfg(feature = "other-release")]
    let text = crate::other_release::add_field(text);
    Some(text)
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
