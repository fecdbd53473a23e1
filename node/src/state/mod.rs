//! The replicated state: what a prefix of the log comes to, as every node holds it in memory.
//!
//! [`State::apply`] takes one entry and returns what should happen; the shell makes it happen. This room must not know a clock, a disk, a
//! network, a random number or a log line: two nodes that applied the same index hold the same rows, and each can print its digest.

mod apply;
mod bounds;
mod digest;
mod index;
mod ledger;
mod load;
mod read;
mod rows;
mod table;
mod user_index;
mod view;

#[cfg(test)]
mod tests;

pub use bounds::{COUNTED_EXACTLY_MAX, EVICTIONS_MAX, FACTORS_MAX, RETIRED_NODES_MAX, REVOCATIONS_MAX, TOMBSTONE_LIFE_MIN_MS, TOUCHES_MAX};
pub use digest::digest_of;
pub use ledger::Row;
pub use load::{LoadError, Loader};
pub use rows::ClusterFacts;
pub use view::View;

use crate::command::{Event, Outcome};
use crate::domain::{Keyring, LogIndex, Moment, Policy};
use index::Indexes;
use ledger::Ledger;
use rows::Tables;
use std::sync::Arc;

/// All that is replicated, with the indexes that make it quick to ask.
#[derive(Clone, Default)]
pub struct State {
    tables: Tables,
    indexes: Indexes,
    ledger: Ledger,
    last_applied: LogIndex,
    unformed: Unformed,
}

/// What is answered before the first command of the cluster.
#[derive(Clone, Default)]
struct Unformed {
    policy: Arc<Policy>,
    keyring: Arc<Keyring>,
}

/// What applying one entry came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The entry that made the outcome: this one, or for a repetition the first.
    pub index: LogIndex,
    /// For the proposer alone.
    pub outcome: Outcome,
    /// The rows that changed, in order; a later one of the same key replaces an earlier one.
    pub rows: Vec<Row>,
    /// What has become true, in order, for the feed and the actors of this node.
    pub events: Vec<Event>,
}

impl State {
    /// The index of the last entry that was applied or skipped; 0 before the first.
    #[must_use]
    pub fn last_applied(&self) -> LogIndex {
        self.last_applied
    }

    /// The cluster time of the last applied entry; it never goes back.
    #[must_use]
    pub fn last_at(&self) -> Moment {
        self.tables.time.only().map_or(Moment(0), |time| time.last_at)
    }

    /// The fingerprint of all rows: equal on every node that has applied the same index. Kept with every change, so it costs nothing to ask.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.ledger.digest().to_bytes()
    }

    /// All rows in key order: what a snapshot holds.
    pub fn rows(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        self.tables.rows()
    }

    /// A copy of the rows alone, for a snapshot that is written while entries go on being applied.
    #[must_use]
    pub fn frozen(&self) -> Frozen {
        Frozen { tables: self.tables.clone(), last_applied: self.last_applied, digest: self.digest() }
    }
}

/// The rows of one index, without the indexes over them.
#[derive(Clone)]
pub struct Frozen {
    tables: Tables,
    last_applied: LogIndex,
    digest: [u8; 32],
}

impl Frozen {
    /// All rows in key order.
    pub fn rows(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        self.tables.rows()
    }

    /// The index whose rows these are.
    #[must_use]
    pub fn last_applied(&self) -> LogIndex {
        self.last_applied
    }

    /// The digest of these rows.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}
