//! The engine's types as we use them, and the way between them and the store's.
//!
//! What is persisted or sent is always the store's own form: the engine promises no stable format of its own.

use crate::codec;
use crate::command::Outcome;
use crate::domain::{LogIndex, Moment, NodeId, StoreUuid};
use crate::store::{LogEntry, LogPos, Payload, Vote};
use bytes::{BufMut, Bytes, BytesMut};
use openraft::impls::leader_id_std::LeaderId;
use openraft::type_config::alias::{CommittedLeaderIdOf, EntryOf, LogIdOf, SnapshotMetaOf, StoredMembershipOf, VoteOf};
use openraft::{EntryPayload, LogId, Membership, StoredMembership};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

openraft::declare_raft_types!(
    /// The engine, configured: one leader per term, commands as bytes.
    pub(crate) Engine:
        D = Proposal,
        R = Answer,
        NodeId = NodeId,
        Node = Member,
        Term = u64,
        LeaderId = LeaderId<u64, NodeId>,
);

/// The engine with our state machine.
pub(crate) type Raft = openraft::Raft<Engine, super::state_machine::StateMachine>;

/// What the membership says of a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Member {
    /// Address of its peer listener.
    pub peer: String,
    /// Address of its API listener, as clients reach it.
    pub api: String,
    /// The disk that sits on this seat.
    pub store_uuid: StoreUuid,
}

/// A command on its way through the log: the leader's stamp, and the request as the proposer encoded it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proposal(Bytes);

const STAMP_BYTES: usize = 8;

impl Proposal {
    /// Stamps an encoded request.
    pub(crate) fn stamp(at: Moment, request: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(STAMP_BYTES + request.len());
        bytes.put_u64(at.0);
        bytes.put_slice(request);
        Self(bytes.freeze())
    }

    /// The stamp and the request; `None` when the bytes are too short to be a proposal.
    pub(crate) fn open(&self) -> Option<(Moment, &[u8])> {
        let (stamp, request) = self.0.split_at_checked(STAMP_BYTES)?;
        Some((Moment(u64::from_be_bytes(stamp.try_into().ok()?)), request))
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} bytes)", self.0.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applying came to and the entry that made it, as the engine hands it back to the proposer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Answer(pub(crate) LogIndex, pub(crate) Outcome);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// The position of a log id.
pub(crate) fn pos(id: &LogIdOf<Engine>) -> LogPos {
    LogPos { term: id.committed_leader_id().term, index: id.index() }
}

/// The log id at a position.
pub(crate) fn log_id(pos: LogPos) -> LogIdOf<Engine> {
    LogId::new(CommittedLeaderIdOf::<Engine>::new(pos.term), pos.index)
}

/// The store's form of a vote.
pub(crate) fn to_vote(vote: &VoteOf<Engine>) -> Vote {
    Vote { term: vote.leader_id().term, node: vote.leader_id().voted_for, committed: vote.is_committed() }
}

/// The engine's form of a vote.
pub(crate) fn from_vote(vote: Vote) -> VoteOf<Engine> {
    if vote.committed { VoteOf::<Engine>::new_committed(vote.term, vote.node) } else { VoteOf::<Engine>::new(vote.term, vote.node) }
}

#[derive(Serialize, Deserialize)]
struct MembershipForm {
    configs: Vec<BTreeSet<NodeId>>,
    nodes: BTreeMap<NodeId, Member>,
}

/// Encodes a membership in our own form.
pub(crate) fn encode_membership(membership: &Membership<NodeId, Member>) -> Bytes {
    let nodes = membership.nodes().map(|(id, member)| (*id, member.clone())).collect();
    Bytes::from(codec::encode(&MembershipForm { configs: membership.get_joint_config().clone(), nodes }))
}

/// Decodes a membership.
///
/// # Errors
/// When the bytes are none, or contradict themselves.
pub(crate) fn decode_membership(bytes: &[u8]) -> Result<Membership<NodeId, Member>, String> {
    if bytes.is_empty() {
        return Ok(Membership::default());
    }
    let form: MembershipForm = codec::decode(bytes).map_err(|error| error.to_string())?;
    if form.configs.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(form.configs, form.nodes).map_err(|error| error.to_string())
}

/// The store's form of an entry.
pub(crate) fn to_entry(entry: EntryOf<Engine>) -> LogEntry {
    let payload = match entry.payload {
        EntryPayload::Blank => Payload::Blank,
        EntryPayload::Normal(proposal) => Payload::Command(proposal.0),
        EntryPayload::Membership(membership) => Payload::Membership(encode_membership(&membership)),
    };
    LogEntry { at: pos(&entry.log_id), payload }
}

/// The engine's form of an entry.
///
/// # Errors
/// When a membership cannot be decoded.
pub(crate) fn from_entry(entry: LogEntry) -> Result<EntryOf<Engine>, String> {
    let payload = match entry.payload {
        Payload::Blank => EntryPayload::Blank,
        Payload::Command(bytes) => EntryPayload::Normal(Proposal(bytes)),
        Payload::Membership(bytes) => EntryPayload::Membership(decode_membership(&bytes)?),
    };
    Ok(openraft::Entry { log_id: log_id(entry.at), payload })
}

/// The engine's form of a stored membership.
///
/// # Errors
/// When it cannot be decoded.
pub(crate) fn stored_membership(at: Option<LogPos>, bytes: &[u8]) -> Result<StoredMembershipOf<Engine>, String> {
    Ok(StoredMembership::new(at.map(log_id), decode_membership(bytes)?))
}

/// The engine's form of a snapshot's meta.
///
/// # Errors
/// When its membership cannot be decoded.
pub(crate) fn snapshot_meta(meta: &crate::store::SnapshotMeta) -> Result<SnapshotMetaOf<Engine>, String> {
    Ok(SnapshotMetaOf::<Engine> { last_log_id: meta.last.map(log_id), last_membership: stored_membership(meta.membership_at, &meta.membership)? })
}

/// An error text as the engine wants its storage errors.
pub(crate) fn io_error(error: impl fmt::Display) -> std::io::Error {
    std::io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_votes_and_memberships_come_back_as_they_went() {
        let member = |n: u8| Member { peer: format!("127.0.0.1:{n}"), api: format!("127.0.0.1:1{n}"), store_uuid: StoreUuid([n; 16]) };
        let nodes: BTreeMap<NodeId, Member> = [(1, member(1)), (2, member(2)), (3, member(3))].into();
        let membership = Membership::new(vec![[1, 2].into(), [1].into()], nodes).expect("a joint membership");
        assert_eq!(decode_membership(&encode_membership(&membership)), Ok(membership.clone()));
        for payload in [EntryPayload::Blank, EntryPayload::Normal(Proposal::stamp(Moment(7), b"x")), EntryPayload::Membership(membership)] {
            let entry: EntryOf<Engine> = openraft::Entry { log_id: log_id(LogPos { term: 3, index: 9 }), payload };
            assert_eq!(from_entry(to_entry(entry.clone())), Ok(entry));
        }
        for committed in [false, true] {
            let vote = Vote { term: 4, node: 2, committed };
            assert_eq!(to_vote(&from_vote(vote)), vote);
        }
    }

    #[test]
    fn a_proposal_too_short_is_none() {
        assert_eq!(Proposal(Bytes::from_static(b"1234567")).open(), None);
        assert_eq!(Proposal::stamp(Moment(5), b"").open(), Some((Moment(5), &b""[..])));
    }
}
