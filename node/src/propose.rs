//! How a write ends, as types: done, certainly not done, or unknown (protocol G7).
//!
//! This room holds words only. It must know neither how a proposal travels nor what a caller hears about it: `raft` fills these types in,
//! `api` translates them.

use crate::command::Outcome;
use crate::domain::LogIndex;

/// The command is committed, and applied on this node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// The index of its log entry.
    pub index: LogIndex,
    /// What applying it came to; [`Outcome::Refused`] is an ending too, and a certain one.
    pub outcome: Outcome,
}

/// Why there is no [`Done`]. The sentences are for the operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProposeError {
    /// Certainly not done: the command may be sent again under any id.
    #[error("the command was not done: {0}")]
    NotDone(#[from] NotDone),
    /// Perhaps done: it may be sent again only under the same id.
    #[error("the outcome of the command is unknown: no answer came in time")]
    Unknown,
}

/// Why a command was certainly not done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotDone {
    /// Nobody leads, or nobody could be asked, within the deadline.
    #[error("no leader is known")]
    NoLeader,
    /// The cluster has not formed yet.
    #[error("the cluster has not formed")]
    NotFormed,
    /// A bound is reached; its name.
    #[error("the bound {0} is reached")]
    Overloaded(&'static str),
    /// The leader's disk is below its floor of free space.
    #[error("the disk is full")]
    DiskFull,
    /// This node is about to stop.
    #[error("the node is draining")]
    Draining,
}
