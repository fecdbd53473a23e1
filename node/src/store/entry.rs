//! What the store keeps, as types: positions, votes, entries, rows.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A place in the log. One leader per term, so the leader's id is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogPos {
    /// The term of the leader that wrote the entry.
    pub term: u64,
    /// The entry's index.
    pub index: u64,
}

/// A node's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// The term voted in.
    pub term: u64,
    /// The node voted for.
    pub node: u64,
    /// Whether a majority granted it.
    pub committed: bool,
}

/// What an entry carries. The tags on disk are 0, 1, 2 in this order; a new kind takes the next number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// Nothing: a new leader's first entry.
    Blank,
    /// An encoded command.
    Command(Bytes),
    /// An encoded membership.
    Membership(Bytes),
}

impl Payload {
    /// The payload's bytes; none for a blank.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Blank => &[],
            Self::Command(bytes) | Self::Membership(bytes) => bytes,
        }
    }
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// Where it stands.
    pub at: LogPos,
    /// What it carries.
    pub payload: Payload,
}

/// A row of the tables as it is after an apply. A key is one tag byte and bytes in big-endian order; the state decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Vec<u8>,
    /// The value; none deletes the row.
    pub value: Option<Vec<u8>>,
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// The last entry applied to it.
    pub last: Option<LogPos>,
    /// The membership in force at `last`, encoded.
    pub membership: Bytes,
    /// The entry that set that membership.
    pub membership_at: Option<LogPos>,
    /// How many rows follow; counted by the store when it writes the file.
    pub rows: u64,
}
