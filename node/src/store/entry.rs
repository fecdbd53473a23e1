//! A log entry and where it stands. What the payload means is not known here.
//!
//! In the log's database an entry lies under `e` + index (8 bytes) as
//! `[crc32c u32][term u64][tag u8][payload]`, all big-endian; the CRC covers the index too.

use super::fields::{Fields, seal, unseal};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most bytes that the payload of one entry may have: 16 MiB.
pub const ENTRY_BYTES_MAX: usize = 16 << 20;

/// Where an entry stands in the log. One leader per term, so the leader is no part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct LogPos {
    /// The term of the leader that proposed it.
    pub term: u64,
    /// The index, without gaps from one entry to the next.
    pub index: u64,
}

impl LogPos {
    /// The length of its binary form.
    pub(super) const LEN: usize = 16;

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        for (field, value) in bytes.chunks_exact_mut(8).zip([self.term, self.index]) {
            field.copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    pub(super) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { term: fields.u64()?, index: fields.u64()? })
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let pos = Self::take(&mut fields)?;
        fields.end().map(|()| pos)
    }
}

impl fmt::Display for LogPos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of term {}", self.index, self.term)
    }
}

/// For whom this node has voted, or whom it follows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Vote {
    /// The term of the election.
    pub term: u64,
    /// The candidate.
    pub node: u64,
    /// Whether a majority has elected it.
    pub committed: bool,
}

impl Vote {
    pub(super) fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [0; 17];
        bytes[..8].copy_from_slice(&self.term.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.node.to_be_bytes());
        bytes[16] = u8::from(self.committed);
        bytes
    }

    pub(super) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { term: fields.u64()?, node: fields.u64()?, committed: fields.flag()? })
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let vote = Self::take(&mut fields)?;
        fields.end().map(|()| vote)
    }

    /// Whether this vote can have been given after `other`.
    pub(super) fn is_not_before(&self, other: &Self) -> bool {
        (self.term, self.committed) >= (other.term, other.committed)
    }
}

/// What an entry carries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Payload {
    /// Nothing: a new leader's first entry.
    Blank,
    /// A command to the state.
    Command(Bytes),
    /// A membership of the cluster.
    Membership(Bytes),
}

impl Payload {
    /// How many bytes it carries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tagged().1.len()
    }

    /// Whether it carries no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn tagged(&self) -> (u8, &[u8]) {
        match self {
            Self::Blank => (0, &[]),
            Self::Command(bytes) => (1, bytes),
            Self::Membership(bytes) => (2, bytes),
        }
    }

    fn from_tagged(tag: u8, bytes: &[u8]) -> Option<Self> {
        match tag {
            0 if bytes.is_empty() => Some(Self::Blank),
            1 => Some(Self::Command(Bytes::copy_from_slice(bytes))),
            2 => Some(Self::Membership(Bytes::copy_from_slice(bytes))),
            _ => None,
        }
    }
}

/// One entry of the replicated log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogEntry {
    /// Where it stands.
    pub at: LogPos,
    /// What it carries.
    pub payload: Payload,
}

impl LogEntry {
    /// What it weighs in memory, roughly.
    pub(super) fn weight(&self) -> usize {
        self.payload.len() + 64
    }

    /// The record that is stored under the entry's index.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (tag, payload) = self.payload.tagged();
        let mut body = Vec::with_capacity(9 + payload.len());
        body.extend_from_slice(&self.at.term.to_be_bytes());
        body.push(tag);
        body.extend_from_slice(payload);
        seal(&self.at.index.to_be_bytes(), &body)
    }

    /// The entry at `index`; `None` when the record is not what was stored there.
    pub(super) fn decode(index: u64, record: &[u8]) -> Option<Self> {
        let mut fields = Fields(unseal(&index.to_be_bytes(), record)?);
        let at = LogPos { term: fields.u64()?, index };
        let tag = fields.u8()?;
        Some(Self { at, payload: Payload::from_tagged(tag, fields.0)? })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::hex;
    use super::*;
    use proptest::prelude::*;

    fn payload() -> impl Strategy<Value = Payload> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
        prop_oneof![Just(Payload::Blank), bytes().prop_map(Payload::Command), bytes().prop_map(Payload::Membership)]
    }

    #[test]
    fn the_bytes_of_an_entry_are_a_promise() {
        let entry = LogEntry { at: LogPos { term: 3, index: 4711 }, payload: Payload::Command(Bytes::from_static(b"start")) };
        assert_eq!(hex(&entry.encode()), "577a81d10000000000000003017374617274");
        assert_eq!(hex(&Vote { term: 7, node: 3, committed: true }.to_bytes()), "0000000000000007000000000000000301");
        assert_eq!(hex(&entry.at.to_bytes()), "00000000000000030000000000001267");
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_or_not_at_all(term: u64, index: u64, payload in payload(), bit: prop::sample::Index) {
            let entry = LogEntry { at: LogPos { term, index }, payload };
            let mut record = entry.encode();
            prop_assert_eq!(LogEntry::decode(index, &record), Some(entry));
            prop_assert_eq!(LogEntry::decode(index ^ 1, &record), None);
            let bit = bit.index(record.len() * 8);
            record[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(LogEntry::decode(index, &record), None);
        }

        #[test]
        fn no_bytes_make_decoding_panic(index: u64, record: Vec<u8>) {
            let _ = LogEntry::decode(index, &record);
            let _ = Vote::from_bytes(&record);
            let _ = LogPos::from_bytes(&record);
        }
    }
}
