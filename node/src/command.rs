//! All that crosses the replicated log: commands in, outcomes and events out.
//!
//! The explicit tags are the format; the order of declaration means nothing. A tag is never reused, a new variant takes a new one.

use crate::domain::tagged::tagged;
use crate::domain::{
    ClusterId, CommandId, Factor, KeyHash, Keyring, LogIndex, Moment, NodeId, Policy, RevocationEntry, Session, SessionId, StoreUuid, TokenHash,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A command with what makes it repeatable without harm.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The same on every repetition.
    pub id: CommandId,
    /// The cluster time at which `id` was drawn; `apply` refuses an id older than [`COMMAND_ID_LIFE_MS`].
    pub drawn_at: Moment,
    /// What to do.
    pub command: Command,
}

/// How long a command id is good for, milliseconds; as long are outcomes remembered.
pub const COMMAND_ID_LIFE_MS: u64 = 30_000;
/// How many outcomes are remembered at most; beyond, commands that need a row are refused as overloaded.
pub const REMEMBERED_OUTCOMES_MAX: usize = 500_000;

tagged! {
    /// What changes replicated state.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum Command {
        /// The first command of a cluster.
        1 => Init(Init),
        /// Starts a session.
        2 => Start(Start),
        /// Changes a session's attributes, claims or factors.
        3 => Patch(Patch),
        /// Moves a session's absolute expiry.
        4 => Extend(Extend),
        /// Notes when sessions were last seen.
        5 => Touch(Touch),
        /// Ends sessions whose time has come.
        6 => Expire(Expire),
        /// Ends sessions before their time.
        7 => Revoke(Revoke),
        /// Writes the ending into sessions that a wide revocation has already ended.
        8 => Reap(Reap),
        /// Forgets what has been kept long enough.
        9 => Trim(Trim),
        /// Takes a node's id out of use for ever.
        10 => RetireNode(RetireNode),
        /// Replaces the root API key.
        11 => ResetRoot(ResetRoot),
    }
}

/// The first command of a cluster: who it is, what it signs with, what it allows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Init {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// `iss` of every JWT.
    pub issuer: String,
    /// `aud` of a JWT whose session names none.
    pub default_audience: String,
    /// What `apply` may do: 1 in this release.
    pub format_level: u32,
    /// The settings that all nodes share.
    pub policy: Policy,
    /// A signing key and the next one.
    pub keyring: Keyring,
    /// The hash of the root API key.
    pub root_key: KeyHash,
}

/// Starts a session. Its id is the command's id too: a second start under it answers the first outcome.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Drawn by the proposer.
    pub session_id: SessionId,
    /// Hash of the token drawn by the proposer.
    pub token: TokenHash,
    /// Whose.
    pub user_id: String,
    /// The application name of the API key.
    pub client_id: String,
    /// Absolute lifetime from the entry's time, milliseconds; checked against the policy's cap by the proposer and again in `apply`.
    pub ttl_ms: u64,
    /// Idle time-out, milliseconds.
    pub idle_timeout_ms: Option<u64>,
    /// Canonical JSON object.
    pub attributes: String,
    /// Canonical JSON object.
    pub claims: String,
    /// What the user has proven.
    pub factors: Vec<Factor>,
    /// Never empty.
    pub audience: Vec<String>,
}

/// Changes a session's record. The proposer has computed the new texts from `expected_version`; `apply` refuses another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Patch {
    /// Which.
    pub session_id: SessionId,
    /// The version that the texts were computed from.
    pub expected_version: u64,
    /// New canonical text, if changed.
    pub attributes: Option<String>,
    /// New canonical text, if changed.
    pub claims: Option<String>,
    /// A factor to append.
    pub add_factor: Option<Factor>,
    /// The hash of a new token that replaces the present one.
    pub token: Option<TokenHash>,
}

/// Moves a session's absolute expiry to the entry's time plus `ttl_ms`, never nearer than it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Extend {
    /// Which.
    pub session_id: SessionId,
    /// Milliseconds from the entry's time.
    pub ttl_ms: u64,
}

/// Notes when sessions were last seen; all of one node in one entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Touch {
    /// `rev` of the session and when it was seen.
    pub seen: Vec<(LogIndex, Moment)>,
}

/// Ends sessions whose time has come. Conditional: a deadline that has moved since is left alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Expire {
    /// `rev` of the session and the deadline that was seen.
    pub due: Vec<(LogIndex, Moment)>,
}

/// Ends sessions before their time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revoke {
    /// Which.
    pub selector: Selector,
    /// What the caller gave as reason.
    pub reason: Option<String>,
    /// The name of the API key.
    pub by: String,
}

tagged! {
    /// Which sessions a revocation ends.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum Selector {
        /// By its id.
        1 => SessionId(SessionId),
        /// By its token.
        2 => Token(TokenHash),
        /// All of a user.
        3 => User(UserSelector),
    }
}

/// All sessions of a user, but perhaps one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UserSelector {
    /// Whose.
    pub user_id: String,
    /// Not this one.
    pub except_session_id: Option<SessionId>,
}

/// Writes the ending into at most [`REAP_MAX`] sessions that a wide revocation has already ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reap {
    /// At most so many; `apply` takes the oldest.
    pub max: u64,
}

/// The most sessions that one reap, expire or trim may handle.
pub const REAP_MAX: u64 = 1_000;

/// Forgets tombstones, revocations and remembered outcomes that the entry's time has made useless, at most `max` of each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trim {
    /// At most so many of each kind.
    pub max: u64,
}

/// Takes a node's id out of use for ever.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RetireNode {
    /// The id.
    pub node_id: NodeId,
    /// The store that sat on it.
    pub store_uuid: StoreUuid,
}

/// Replaces the root API key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResetRoot {
    /// The hash of the new one.
    pub root_key: KeyHash,
}

tagged! {
    /// What applying a command came to; the proposer's alone.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum Outcome {
        /// Done, and there is nothing more to say.
        1 => Done(()),
        /// The session as it is now (start, patch, extend).
        2 => Session(Arc<Session>),
        /// How many sessions were ended (revoke, expire, reap), forgotten (trim) or touched.
        3 => Count(u64),
        /// Certainly not done.
        4 => Refused(Refusal),
    }
}

tagged! {
    /// Why a command was not done.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum Refusal {
        /// No such session.
        1 => SessionNotFound(()),
        /// The session has ended.
        2 => SessionEnded(Arc<Session>),
        /// The record has another version: this one.
        3 => VersionConflict(u64),
        /// The user has as many active sessions as the policy allows: this many.
        4 => SessionLimit(u64),
        /// A bound of the state is reached; its name.
        5 => Overloaded(String),
        /// The command id is too old to be tried again.
        6 => CommandTooOld(()),
        /// The state has had its first command, or has not had it yet.
        7 => WrongPhase(()),
        /// Asked for more than the policy allows; what the cap is.
        8 => AboveCap(u64),
        /// The id or the token is already in use.
        9 => Taken(()),
    }
}

/// A fact that applying an entry has made true, for the feed and the actors of this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Sessions were revoked.
    Revoked(Arc<RevocationEntry>),
    /// A session has a new record (patched, extended): a JWT made before says less than it should.
    Changed(LogIndex),
    /// A session's record says that it ended.
    Ended(LogIndex),
    /// The signer or the published keys changed.
    Keys,
}
