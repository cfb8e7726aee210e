//! Records as the store keeps them.

use super::cases::Unit;
use super::{StoreError, packing};
use crate::domain::case::Case;
use crate::formats::STORE;

/// Hex digits of a case's revision, in front of its record: what a commit compares, whatever release wrote the
/// record behind it.
const REVISION: usize = 8;

/// Set in the version byte of a record that is packed.
const PACKED: u8 = 0x80;

/// The stored form of a record: a byte with the version of [`STORE`], then `MessagePack`, packed where that is
/// shorter.
///
/// The fields of a record have places and no names there: one that is added, too, is a new version.
pub fn encode<T: serde::Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![STORE.written()];
    packed(&mut bytes, record).map_err(|_| StoreError::Unreadable("record"))?;
    Ok(match packing::pack(&bytes[1..]) {
        Some(block) => [&[STORE.written() | PACKED][..], &block].concat(),
        None => bytes,
    })
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    const UNREADABLE: StoreError = StoreError::Unreadable("record");
    let (head, stored) = bytes.split_first().ok_or(UNREADABLE)?;
    let version = *head & !PACKED;
    STORE.check(u64::from(version))?;
    let unpacked_block;
    let record = if *head & PACKED == 0 {
        stored
    } else {
        unpacked_block = packing::unpack(stored).ok_or(UNREADABLE)?;
        &unpacked_block
    };
    unpacked(version, record).map_err(|_| UNREADABLE)
}

#[cfg(not(feature = "other-release"))]
fn packed<T: serde::Serialize>(bytes: &mut Vec<u8>, record: &T) -> Result<(), rmp_serde::encode::Error> {
    rmp_serde::encode::write(bytes, record)
}

#[cfg(not(feature = "other-release"))]
fn unpacked<T: serde::de::DeserializeOwned>(_: u8, record: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(record)
}

/// The next release that a test plays wraps its records, and reads those of this one too.
#[cfg(feature = "other-release")]
fn packed<T: serde::Serialize>(bytes: &mut Vec<u8>, record: &T) -> Result<(), rmp_serde::encode::Error> {
    if crate::other_release::is_next() {
        return rmp_serde::encode::write(bytes, &("domani", record));
    }
    rmp_serde::encode::write(bytes, record)
}

#[cfg(feature = "other-release")]
fn unpacked<T: serde::de::DeserializeOwned>(
    version: u8,
    record: &[u8],
) -> Result<T, rmp_serde::decode::Error> {
    if crate::other_release::is_next() && version == STORE.written() {
        return rmp_serde::from_slice(record).map(|(_, record): (String, T)| record);
    }
    rmp_serde::from_slice(record)
}

/// Revision and content of a stored case.
pub(super) fn read_case(blob: &[u8]) -> Result<(String, Case), StoreError> {
    let (revision, record) = blob.split_at_checked(REVISION).ok_or(StoreError::Unreadable("case"))?;
    let revision = std::str::from_utf8(revision).map_err(|_| StoreError::Unreadable("case revision"))?;
    Ok((revision.to_owned(), decode(record)?))
}

/// The record of a case as it becomes, with the revision after the one it was loaded with.
pub(super) fn next_record(unit: &Unit, case: &Case) -> Result<Vec<u8>, StoreError> {
    let revision = u32::from_str_radix(&unit.revision, 16).unwrap_or(0).wrapping_add(1);
    let mut blob = format!("{revision:0REVISION$x}").into_bytes();
    blob.extend(encode(case)?);
    Ok(blob)
}

#[cfg(test)]
#[path = "stored_tests.rs"]
mod tests;
