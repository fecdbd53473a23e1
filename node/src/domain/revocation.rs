//! Revocations: the replicated facts that sessions have ended before their time.

use super::tagged::tagged;
use super::{LogIndex, Moment, SessionId};
use serde::{Deserialize, Serialize};

tagged! {
    /// What a revocation covers.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum Scope {
        /// One session.
        1 => Session(SessionScope),
        /// The sessions of one user that started before an index.
        2 => User(UserScope),
        /// All sessions that started before an index.
        3 => All(AllScope),
        /// All JWTs under one key.
        4 => Key(KeyScope),
    }
}

/// One session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionScope {
    /// Which.
    pub session_id: SessionId,
    /// Whose.
    pub user_id: String,
}

/// A user's sessions with `rev` below a cut-off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UserScope {
    /// Whose.
    pub user_id: String,
    /// Covers sessions whose `rev` is lower.
    pub rev_below: LogIndex,
    /// But not this one.
    pub except_session_id: Option<SessionId>,
}

/// All sessions with `rev` below a cut-off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AllScope {
    /// Covers sessions whose `rev` is lower.
    pub rev_below: LogIndex,
}

/// The JWTs of one key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyScope {
    /// Its key id.
    pub kid: String,
}

/// One revocation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revocation {
    /// What it covers.
    pub scope: Scope,
    /// What the caller gave as reason.
    pub reason: Option<String>,
}

/// The revocations of one log entry: told together or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RevocationEntry {
    /// The index of the entry.
    pub index: LogIndex,
    /// When it was made, by cluster time.
    pub at: Moment,
    /// Until when it must be known.
    pub until: Moment,
    /// What it says; not empty.
    pub revocations: Vec<Revocation>,
}
