//! What makes the rows quick to find. Rebuilt from them at a start, never stored, and never iterated where order could reach the rows.

use super::load::LoadError;
use super::rows::{Remembered, Tables};
use super::user_index::UserIndex;
use crate::domain::{CommandId, LogIndex, Moment, Session, SessionId, TokenHash};
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// All indexes.
#[derive(Clone, Default)]
pub(super) struct Indexes {
    pub(super) by_id: RandomKeyMap<SessionId>,
    /// Tombstones too: an ended session's token can be explained.
    pub(super) by_token: RandomKeyMap<TokenHash>,
    pub(super) by_command: RandomKeyMap<CommandId>,
    pub(super) users: UserIndex,
    /// When time ends the sessions whose record says no ending.
    pub(super) deadlines: BTreeSet<(Moment, LogIndex)>,
    /// When the tombstones ended.
    pub(super) ends: BTreeSet<(Moment, LogIndex)>,
}

impl Indexes {
    pub(super) fn rebuilt(tables: &Tables) -> Result<Self, LoadError> {
        let mut indexes = Self::default();
        for cutoff in tables.cutoffs.values() {
            indexes.users.expect(cutoff.clone());
        }
        for session in tables.sessions.values() {
            indexes.found(session)?;
        }
        for outcome in tables.outcomes.values() {
            indexes.remembered(outcome)?;
        }
        if !indexes.users.is_coherent() {
            return Err(LoadError::Contradiction("a cut-off covers no session"));
        }
        Ok(indexes)
    }

    fn found(&mut self, session: &Session) -> Result<(), LoadError> {
        self.users.found(session);
        self.set_times(session);
        if self.by_id.insert(session.id, session.rev).is_some() {
            return Err(LoadError::Contradiction("two sessions have the same id"));
        }
        if self.by_token.insert(session.token, session.rev).is_some() {
            return Err(LoadError::Contradiction("two sessions have the same token"));
        }
        Ok(())
    }

    fn remembered(&mut self, outcome: &Remembered) -> Result<(), LoadError> {
        match self.by_command.insert(outcome.id, outcome.index) {
            None => Ok(()),
            Some(_) => Err(LoadError::Contradiction("two outcomes of one command are remembered")),
        }
    }

    pub(super) fn started(&mut self, session: &Session) {
        self.users.started(session);
        self.set_times(session);
        self.by_id.insert(session.id, session.rev);
        self.by_token.insert(session.token, session.rev);
    }

    /// A record was replaced by a later one. Answers the cut-off that is of no more use because of it.
    pub(super) fn changed(&mut self, old: &Session, new: &Session) -> Option<LogIndex> {
        self.unset_times(old);
        self.set_times(new);
        if old.token != new.token {
            self.by_token.remove(&old.token);
            self.by_token.insert(new.token, new.rev);
        }
        if old.ended.is_none() && new.ended.is_some() { self.users.ended(new) } else { None }
    }

    /// A tombstone was removed.
    pub(super) fn forgotten(&mut self, session: &Session) {
        self.users.forgotten(session);
        self.unset_times(session);
        self.by_id.remove(&session.id);
        self.by_token.remove(&session.token);
    }

    fn set_times(&mut self, session: &Session) {
        match &session.ended {
            Some(ending) => self.ends.insert((ending.at, session.rev)),
            None => self.deadlines.insert((session.deadline().at, session.rev)),
        };
    }

    fn unset_times(&mut self, session: &Session) {
        match &session.ended {
            Some(ending) => self.ends.remove(&(ending.at, session.rev)),
            None => self.deadlines.remove(&(session.deadline().at, session.rev)),
        };
    }
}

/// From what a node has drawn at random to the index of the row.
pub(super) type RandomKeyMap<K> = HashMap<K, LogIndex, BuildHasherDefault<FirstBytes>>;

/// Hashes a key that is random, or a hash, already: its first bytes do.
#[derive(Default)]
pub(super) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn write(&mut self, bytes: &[u8]) {
        for (at, byte) in bytes.iter().take(8).enumerate() {
            self.0 ^= u64::from(*byte) << (8 * at);
        }
    }

    /// The length of the key, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}
