//! Keys and members of the store, in one place. `scripts/prelude.lua` is their other half.
//!
//! All keys of one ente share a Redis hash tag, so that every script is atomic on a cluster.

pub use crate::domain::hex;

use crate::domain::case::EventKey;
use sha2::{Digest, Sha256};

/// The store's key of a case, 12 bytes.
pub type CaseId = [u8; 12];

/// `pm:{borgochiaro}:`, the start of every key of an ente.
#[must_use]
pub fn ente_prefix(prefix: &str, ente: &str) -> String {
    format!("{prefix}:{{{ente}}}:")
}

/// The key of an event: the first 12 bytes of SHA-256 over source and id.
#[must_use]
pub fn event_key(source: &str, id: &str) -> EventKey {
    let digest = Sha256::digest(format!("{source}\0{id}"));
    let mut key = [0; 12];
    key.copy_from_slice(&digest[..12]);
    key
}

/// What kind of work an entry of the schedule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message or office timer.
    Message,
    /// The status of a sent message.
    Follow,
    /// A case to look at again.
    Replan,
}

impl Kind {
    /// The last byte of the member.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Message => b'm',
            Self::Follow => b'f',
            Self::Replan => b'r',
        }
    }
}

/// An entry of the schedule, as a member of its sorted sets: 15 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Case.
    pub case: CaseId,
    /// Place of the message in its case.
    pub slot: u16,
    /// Kind of work.
    pub kind: Kind,
}

impl Member {
    /// As it stands in the sets.
    #[must_use]
    pub fn bytes(&self) -> [u8; 15] {
        let mut bytes = [0; 15];
        bytes[..12].copy_from_slice(&self.case);
        bytes[12..14].copy_from_slice(&self.slot.to_be_bytes());
        bytes[14] = self.kind.byte();
        bytes
    }

    /// Reads a member; `None` if it is not one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (case, rest) = bytes.split_at_checked(12)?;
        let [high, low, kind] = rest else { return None };
        let kind = match kind {
            b'm' => Kind::Message,
            b'f' => Kind::Follow,
            b'r' => Kind::Replan,
            _ => return None,
        };
        Some(Self { case: case.try_into().ok()?, slot: u16::from_be_bytes([*high, *low]), kind })
    }
}

/// Reads the hex form of a case's key.
#[must_use]
pub fn parse_case(text: &str) -> Option<CaseId> {
    let mut id = [0; 12];
    if text.len() != 24 || !text.is_ascii() {
        return None;
    }
    for (byte, place) in id.iter_mut().zip((0..24).step_by(2)) {
        *byte = u8::from_str_radix(&text[place..place + 2], 16).ok()?;
    }
    Some(id)
}
