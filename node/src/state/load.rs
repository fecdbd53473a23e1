//! A state out of its rows: at a start from the store's tables, and when a snapshot is installed. Rebuilds the indexes and verifies.

use super::digest::Digest;
use super::index::Indexes;
use super::ledger::Ledger;
use super::rows::Tables;
use super::{State, Unformed};
use crate::codec::DecodeError;
use crate::domain::LogIndex;

/// Why rows are not a state. Each means damage, or rows of a newer release.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A row without a key.
    #[error("a row has an empty key")]
    EmptyKey,
    /// A kind of row that this release does not know.
    #[error("a row has the unknown tag {0}; a newer release may have written it")]
    UnknownTag(u8),
    /// Its value cannot be decoded.
    #[error("a row of kind {tag} cannot be read: {source}")]
    Unreadable {
        /// The kind.
        tag: u8,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Its value decodes, but is not what would be written for it.
    #[error("a row of kind {0} is not in canonical form")]
    NotCanonical(u8),
    /// Its key is not the key of its value.
    #[error("a row of kind {0} stands under the wrong key")]
    WrongKey(u8),
    /// The same key twice.
    #[error("a row of kind {0} came twice")]
    Twice(u8),
    /// The rows contradict each other.
    #[error("the rows contradict each other: {0}")]
    Contradiction(&'static str),
}

/// Takes rows, in any order, and makes a state of them.
#[derive(Default)]
pub struct Loader {
    tables: Tables,
    digest: Digest,
}

impl Loader {
    /// With no rows yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one row.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), LoadError> {
        self.tables.load(key, value, &mut self.digest)
    }

    /// All rows are there: the state whose last entry was `last_applied`.
    ///
    /// # Errors
    /// When the rows contradict each other or the index.
    pub fn finish(self, last_applied: LogIndex) -> Result<State, LoadError> {
        let Self { tables, digest } = self;
        let newest = [
            tables.sessions.values().next_back().map(|it| it.rev),
            tables.revocations.values().next_back().map(|it| it.index),
            tables.cutoffs.values().next_back().map(|it| it.index),
            tables.outcomes.values().next_back().map(|it| it.index),
        ];
        if newest.into_iter().flatten().any(|index| index > last_applied) {
            return Err(LoadError::Contradiction("a row is newer than the last applied entry"));
        }
        let indexes = Indexes::rebuilt(&tables)?;
        Ok(State { tables, indexes, ledger: Ledger::starting_with(digest), last_applied, unformed: Unformed::default() })
    }
}
