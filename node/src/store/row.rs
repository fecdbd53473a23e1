//! A row of the tables, as bytes. What it means is the state's affair.
//!
//! In the tables' database a row lies under `r` + key as `[crc32c u32][value]`, the CRC covering the key too; the rest of a long one under
//! `x` + key + part u32 (parts.rs).

use super::entry::LogPos;
use super::error::StoreError;
use super::fields::{Fields, seal, unseal};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The longest key of a row, in bytes.
pub const ROW_KEY_BYTES_MAX: usize = 256;
/// The longest value of a row: 16 MiB.
pub const ROW_BYTES_MAX: usize = 16 << 20;
/// The longest membership: 16 KiB.
pub const MEMBERSHIP_BYTES_MAX: usize = 16 << 10;

/// Refuses what the tables and snapshots have no room for.
pub(super) fn check_sizes(key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    if key.len() > ROW_KEY_BYTES_MAX {
        return Err(StoreError::Refused("the key of a row is longer than 256 bytes"));
    }
    if value.len() > ROW_BYTES_MAX {
        return Err(StoreError::Refused("a row is larger than 16 MiB"));
    }
    Ok(())
}

/// What a snapshot says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// The last entry that its state contains.
    pub last: Option<LogPos>,
    /// The last membership that its state contains.
    pub membership: Bytes,
    /// Where that membership stands in the log.
    pub membership_at: Option<LogPos>,
    /// How many rows it has; set when a snapshot is written.
    pub rows: u64,
}

impl SnapshotMeta {
    /// `[last][membership at][rows u64][membership]`; a position is a flag byte and 16 bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(42 + self.membership.len());
        put_pos(&mut bytes, self.last);
        put_pos(&mut bytes, self.membership_at);
        bytes.extend_from_slice(&self.rows.to_be_bytes());
        bytes.extend_from_slice(&self.membership);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (last, membership_at, rows) = (take_pos(&mut fields)?, take_pos(&mut fields)?, fields.u64()?);
        Some(Self { last, membership: Bytes::copy_from_slice(fields.0), membership_at, rows })
    }

    /// The index of the last entry; 0 for a snapshot of nothing.
    pub(super) fn index(&self) -> u64 {
        self.last.map_or(0, |last| last.index)
    }
}

/// What the tables say of themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TablesMeta {
    /// The last entry whose rows are in the tables.
    pub last_applied: Option<LogPos>,
    /// The last membership applied, and where it stands in the log.
    pub membership: Option<(Option<LogPos>, Bytes)>,
}

pub(super) fn encode_membership(at: Option<LogPos>, membership: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(17 + membership.len());
    put_pos(&mut bytes, at);
    bytes.extend_from_slice(membership);
    bytes
}

pub(super) fn decode_membership(bytes: &[u8]) -> Option<(Option<LogPos>, Bytes)> {
    let mut fields = Fields(bytes);
    let at = take_pos(&mut fields)?;
    Some((at, Bytes::copy_from_slice(fields.0)))
}

pub(super) fn encode_row(key: &[u8], value: &[u8]) -> Vec<u8> {
    seal(key, value)
}

pub(super) fn decode_row<'a>(key: &[u8], record: &'a [u8]) -> Option<&'a [u8]> {
    unseal(key, record)
}

fn put_pos(bytes: &mut Vec<u8>, pos: Option<LogPos>) {
    bytes.push(u8::from(pos.is_some()));
    bytes.extend_from_slice(&pos.unwrap_or_default().to_bytes());
}

/// Absent positions have one spelling: zeros.
#[allow(clippy::option_option)]
fn take_pos(fields: &mut Fields<'_>) -> Option<Option<LogPos>> {
    match (fields.flag()?, LogPos::take(fields)?) {
        (true, pos) => Some(Some(pos)),
        (false, pos) => (pos == LogPos::default()).then_some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::hex;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bytes_of_a_row_and_of_a_membership_are_a_promise() {
        assert_eq!(hex(&encode_row(b"s\0\0\0\x07", b"session")), "75b6773f73657373696f6e");
        assert_eq!(hex(&encode_membership(Some(LogPos { term: 1, index: 3 }), b"members")), "01000000000000000100000000000000036d656d62657273");
    }

    proptest! {
        #[test]
        fn a_row_comes_back_or_not_at_all(key: Vec<u8>, value: Vec<u8>, bit: prop::sample::Index) {
            let mut record = encode_row(&key, &value);
            prop_assert_eq!(decode_row(&key, &record), Some(&value[..]));
            let bit = bit.index(record.len() * 8);
            record[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode_row(&key, &record), None);
        }

        #[test]
        fn what_a_snapshot_says_comes_back(index: Option<u64>, at: Option<u64>, membership: Vec<u8>, rows: u64) {
            let pos = |index| LogPos { term: 9, index };
            let meta = SnapshotMeta { last: index.map(pos), membership: membership.into(), membership_at: at.map(pos), rows };
            prop_assert_eq!(SnapshotMeta::decode(&meta.encode()), Some(meta.clone()));
            let membership = encode_membership(meta.membership_at, &meta.membership);
            prop_assert_eq!(decode_membership(&membership), Some((meta.membership_at, meta.membership)));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = SnapshotMeta::decode(&bytes);
            let _ = decode_membership(&bytes);
            let _ = decode_row(b"key", &bytes);
        }
    }
}
