//! Records as the store keeps them.

use super::StoreError;

/// Version byte in front of a stored record.
const RECORD_VERSION: u8 = 1;

/// The stored form of a record: a version byte, then `MessagePack`.
pub fn encode<T: serde::Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![RECORD_VERSION];
    rmp_serde::encode::write(&mut bytes, record).map_err(|_| StoreError::Unreadable("record"))?;
    Ok(bytes)
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&RECORD_VERSION, record)) => {
            rmp_serde::from_slice(record).map_err(|_| StoreError::Unreadable("record"))
        }
        _ => Err(StoreError::Unreadable("record version")),
    }
}
