//! Changing the membership, on the leader and through it.

use super::cluster::Inner;
use super::handshake::dial;
use super::local::Advertised;
use super::types::{Engine, Member};
use super::wire::{Addresses, Answered, Call, CallRefusal, Lane, NewLearner, REFUSED_MEMBERSHIP, REFUSED_NOT_LEADER};
use crate::command::{Command, RetireNode};
use crate::dice;
use crate::domain::{LogIndex, NodeId, StoreUuid};
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::ClientWriteResponse;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a membership change may take, milliseconds.
const CHANGE_TIMEOUT_MS: u64 = 10_000;
/// How many nodes a cluster may have, voters and learners; with the longest addresses their membership fits into every store.
const MEMBERS_MAX: usize = 32;
/// The longest address, bytes.
const ADDRESS_MAX_BYTES: usize = 262;
/// How many entries a learner may be behind to be promoted.
const PROMOTE_LAG_MAX: LogIndex = 1_000;
/// A member that has acknowledged nothing for so long counts as unreachable, milliseconds.
pub(crate) const REACHABLE_MS: u64 = 1_000;
/// How long a transfer of leadership is waited for, milliseconds.
const TRANSFER_WAIT_MS: u64 = 2_000;

/// A node to be added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMember {
    /// Its id; never used before.
    pub node_id: NodeId,
    /// Address of its peer listener.
    pub peer: String,
    /// Address of its API listener.
    pub api: String,
    /// The store that must answer there; `None` takes whichever does.
    pub store_uuid: Option<StoreUuid>,
}

/// Why a membership change was not made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MembershipError {
    /// Nobody leads; certainly not done.
    #[error("no leader is known")]
    NoLeader,
    /// Perhaps done.
    #[error("the outcome of the membership change is unknown")]
    Unknown,
    /// There is no such member.
    #[error("{0}")]
    NotAMember(String),
    /// Not now, or not like this; the sentence says what to do.
    #[error("{0}")]
    Refused(String),
    /// This very node leads and is to be removed.
    #[error("the leader cannot remove itself; transfer the leadership first")]
    IsLeader,
}

const NOT_A_MEMBER: u8 = REFUSED_MEMBERSHIP;
const REFUSED: u8 = REFUSED_MEMBERSHIP + 1;
const IS_LEADER: u8 = REFUSED_MEMBERSHIP + 2;
const UNKNOWN: u8 = REFUSED_MEMBERSHIP + 3;

impl MembershipError {
    fn into_answer(self) -> Answered {
        let code = match self {
            Self::NoLeader => REFUSED_NOT_LEADER,
            Self::Unknown => UNKNOWN,
            Self::NotAMember(_) => NOT_A_MEMBER,
            Self::Refused(_) => REFUSED,
            Self::IsLeader => IS_LEADER,
        };
        Answered::Refused(CallRefusal { code, detail: self.to_string() })
    }

    fn from_refusal(refusal: CallRefusal) -> Self {
        match refusal.code {
            NOT_A_MEMBER => Self::NotAMember(refusal.detail),
            REFUSED => Self::Refused(refusal.detail),
            IS_LEADER => Self::IsLeader,
            UNKNOWN => Self::Unknown,
            _ => Self::NoLeader,
        }
    }
}

type Changed = Result<LogIndex, MembershipError>;

fn answer(changed: Changed) -> Answered {
    changed.map_or_else(MembershipError::into_answer, Answered::Changed)
}

/// Until peers speak TLS, only loopback is dialled.
fn check_peer_address(address: &str) -> Result<(), MembershipError> {
    let ip: Option<IpAddr> = address.parse::<SocketAddr>().ok().map(|address| address.ip());
    match ip {
        Some(ip) if ip.is_loopback() => Ok(()),
        Some(_) => Err(MembershipError::Refused(format!("peer address {address} is not on loopback; peers speak no TLS yet"))),
        None => Err(MembershipError::Refused(format!("peer address {address:?} is not an IP address and a port"))),
    }
}

/// What is committed must fit into every store: a membership that does not ends all nodes.
fn check_api_address(address: &str) -> Result<(), MembershipError> {
    if address.len() <= ADDRESS_MAX_BYTES {
        Ok(())
    } else {
        Err(MembershipError::Refused(format!("an API address may have {ADDRESS_MAX_BYTES} bytes")))
    }
}

impl Inner {
    /// Sends a change to whoever leads, this node included.
    pub(crate) async fn change(self: &Arc<Self>, call: Call) -> Changed {
        let leader = self.local.leader().ok_or(MembershipError::NoLeader)?;
        let answered = if leader == self.local.node_id() {
            self.change_here(call).await
        } else {
            match self.calls.ask(leader, call, CHANGE_TIMEOUT_MS).await {
                Ok(answered) => answered,
                Err(super::calls::CallError::NotSent(..)) => return Err(MembershipError::NoLeader),
                Err(super::calls::CallError::NoAnswer(_)) => return Err(MembershipError::Unknown),
            }
        };
        match answered {
            Answered::Changed(index) => Ok(index),
            Answered::Refused(refusal) => Err(MembershipError::from_refusal(refusal)),
            _ => Err(MembershipError::Unknown),
        }
    }

    async fn change_here(self: &Arc<Self>, call: Call) -> Answered {
        match call {
            Call::AddLearner(new) => self.add_learner_here(new).await,
            Call::Promote(id) => self.promote_here(id).await,
            Call::Remove(id) => self.remove_here(id).await,
            Call::TransferTo(id) => self.transfer_here(id).await,
            Call::SetAddresses(addresses) => self.set_addresses_here(self.local.node_id(), addresses).await,
            _ => MembershipError::Refused("not a membership change".to_owned()).into_answer(),
        }
    }

    pub(crate) async fn add_learner_here(self: &Arc<Self>, new: NewLearner) -> Answered {
        answer(self.add_learner(new).await)
    }

    async fn add_learner(&self, new: NewLearner) -> Changed {
        check_peer_address(&new.peer)?;
        check_api_address(&new.api)?;
        if self.local.view.read().retired(new.node_id).is_some() {
            let id = new.node_id;
            return Err(MembershipError::Refused(format!("node id {id} was used before and is never used again; choose another")));
        }
        let hello = dial(&self.local, Some(new.node_id), &new.peer, Lane::Calls(())).await;
        let hello = hello.map_err(|error| MembershipError::Refused(format!("node {} at {}: {error}", new.node_id, new.peer)))?.hello;
        if new.store_uuid.is_some_and(|uuid| uuid != hello.store_uuid) {
            return Err(MembershipError::Refused(format!("node {} holds store {}", new.node_id, hello.store_uuid)));
        }
        if !hello.empty && hello.cluster != self.local.cluster_id() {
            return Err(MembershipError::Refused(format!("node {} is not empty", new.node_id)));
        }
        let members = self.local.members();
        if members.len() >= MEMBERS_MAX && !members.iter().any(|(id, _)| *id == new.node_id) {
            return Err(MembershipError::Refused(format!("the cluster has {MEMBERS_MAX} members, as many as it may have")));
        }
        let member = Member { peer: new.peer, api: new.api, store_uuid: hello.store_uuid };
        if let Some(known) = self.local.member(new.node_id) {
            return if known == member {
                Ok(*self.applied.borrow())
            } else {
                Err(MembershipError::Refused(format!("node {} is a member already, with other addresses", new.node_id)))
            };
        }
        let raft = self.local.raft().ok_or(MembershipError::NoLeader)?;
        concluded(timeout(CHANGE, raft.add_learner(new.node_id, member, false)).await)
    }

    pub(crate) async fn promote_here(self: &Arc<Self>, id: NodeId) -> Answered {
        answer(self.promote(id).await)
    }

    async fn promote(&self, id: NodeId) -> Changed {
        let (raft, membership) = self.engine()?;
        if membership.get_node(&id).is_none() {
            return Err(not_a_member(id));
        }
        if membership.voter_ids().any(|voter| voter == id) {
            return Ok(*self.applied.borrow());
        }
        let metrics = raft.metrics().borrow_watched().clone();
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&id).cloned().flatten()).map_or(0, |at| at.index());
        let last = metrics.last_log_index.unwrap_or(0);
        if matched + PROMOTE_LAG_MAX < last {
            return Err(MembershipError::Refused(format!("node {id} has {matched} of {last} entries; promote it when it has caught up")));
        }
        concluded(timeout(CHANGE, raft.change_membership(ChangeMembers::AddVoterIds([id].into()), true)).await)
    }

    pub(crate) async fn remove_here(self: &Arc<Self>, id: NodeId) -> Answered {
        answer(self.remove(id).await)
    }

    async fn remove(&self, id: NodeId) -> Changed {
        let (raft, membership) = self.engine()?;
        let member = membership.get_node(&id).cloned().ok_or_else(|| not_a_member(id))?;
        let mut voters = membership.voter_ids();
        let is_voter = voters.any(|voter| voter == id);
        if is_voter && membership.voter_ids().count() == 1 {
            return Err(MembershipError::Refused(format!("node {id} is the only voter")));
        }
        if id == self.local.node_id() {
            return Err(MembershipError::IsLeader);
        }
        let change = if is_voter { ChangeMembers::RemoveVoters([id].into()) } else { ChangeMembers::RemoveNodes([id].into()) };
        concluded(timeout(CHANGE, raft.change_membership(change, false)).await)?;
        let retire = Command::RetireNode(RetireNode { node_id: id, store_uuid: member.store_uuid });
        let done = self.propose(dice::command_id(), retire).await.map_err(|_| MembershipError::Unknown)?;
        Ok(done.index)
    }

    pub(crate) async fn transfer_here(self: &Arc<Self>, to: Option<NodeId>) -> Answered {
        answer(self.transfer(to).await)
    }

    async fn transfer(&self, to: Option<NodeId>) -> Changed {
        let (raft, membership) = self.engine()?;
        let facts = self.member_facts();
        let able = |id: NodeId| facts.iter().any(|one| one.node_id == id && one.reachable);
        let me = self.local.node_id();
        let target = match to {
            Some(id) if id == me => return Ok(*self.applied.borrow()),
            Some(id) if !membership.voter_ids().any(|voter| voter == id) => return Err(not_a_member(id)),
            Some(id) if !able(id) => return Err(MembershipError::Refused(format!("node {id} is not reachable"))),
            Some(id) => id,
            None => {
                let voters = membership.voter_ids().filter(|id| *id != me && able(*id));
                let matched = |id: &NodeId| facts.iter().find(|one| one.node_id == *id).and_then(|one| one.matched);
                voters.max_by_key(matched).ok_or_else(|| MembershipError::Refused("no other voter is reachable".to_owned()))?
            }
        };
        raft.trigger().transfer_leader(target).await.map_err(|_| MembershipError::Unknown)?;
        let mut metrics = raft.server_metrics();
        let moved = async {
            while metrics.borrow_watched().current_leader != Some(target) {
                if metrics.changed().await.is_err() {
                    break;
                }
            }
        };
        timeout(Duration::from_millis(TRANSFER_WAIT_MS), moved).await.map_err(|_| MembershipError::Unknown)?;
        tracing::info!(to = target, "handed on the leadership");
        Ok(*self.applied.borrow())
    }

    pub(crate) async fn set_addresses_here(self: &Arc<Self>, id: NodeId, addresses: Addresses) -> Answered {
        answer(self.set_addresses(id, addresses).await)
    }

    async fn set_addresses(&self, id: NodeId, addresses: Addresses) -> Changed {
        check_peer_address(&addresses.peer)?;
        check_api_address(&addresses.api)?;
        let (raft, membership) = self.engine()?;
        let known = membership.get_node(&id).cloned().ok_or_else(|| not_a_member(id))?;
        let member = Member { peer: addresses.peer, api: addresses.api, store_uuid: known.store_uuid };
        if member == known {
            return Ok(*self.applied.borrow());
        }
        concluded(timeout(CHANGE, raft.change_membership(ChangeMembers::SetNodes([(id, member)].into()), true)).await)
    }

    /// Whether the membership has other addresses for this node than its settings say.
    pub(crate) fn addresses_moved(&self) -> Option<Addresses> {
        let Advertised { peer, api } = self.local.settings.advertised.clone();
        let known = self.local.member(self.local.node_id())?;
        (known.peer != peer || known.api != api).then_some(Addresses { peer, api })
    }

    fn engine(&self) -> Result<(&super::types::Raft, Arc<openraft::type_config::alias::StoredMembershipOf<Engine>>), MembershipError> {
        let raft = self.local.raft().ok_or(MembershipError::NoLeader)?;
        if !self.local.is_leader() {
            return Err(MembershipError::NoLeader);
        }
        let membership = raft.metrics().borrow_watched().membership_config.clone();
        Ok((raft, membership))
    }
}

const CHANGE: Duration = Duration::from_millis(CHANGE_TIMEOUT_MS);

fn not_a_member(id: NodeId) -> MembershipError {
    MembershipError::NotAMember(format!("node {id} is not a member"))
}

type Written = Result<ClientWriteResponse<Engine>, RaftError<Engine, ClientWriteError<Engine>>>;

fn concluded(written: Result<Written, tokio::time::error::Elapsed>) -> Changed {
    match written {
        Ok(Ok(response)) => Ok(response.log_id.index()),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => Err(MembershipError::NoLeader),
        Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => Err(refusal(&error)),
        Ok(Err(_)) | Err(_) => Err(MembershipError::Unknown),
    }
}

fn refusal(error: &ChangeMembershipError<openraft::type_config::alias::CommittedLeaderIdOf<Engine>, NodeId>) -> MembershipError {
    match error {
        ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_) => {
            MembershipError::Refused("another membership change is under way; try again when it is done".to_owned())
        }
        other => MembershipError::Refused(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::encode_membership;
    use super::*;
    use crate::store::MEMBERSHIP_BYTES_MAX;
    use openraft::Membership;

    #[test]
    fn the_largest_membership_fits_into_the_store() {
        let member = Member { peer: "[::1]:65535".repeat(5), api: "a".repeat(ADDRESS_MAX_BYTES), store_uuid: StoreUuid([255; 16]) };
        assert!(check_api_address(&member.api).is_ok() && check_api_address(&"a".repeat(ADDRESS_MAX_BYTES + 1)).is_err());
        let ids = (0..MEMBERS_MAX as NodeId).map(|n| NodeId::MAX - n);
        let nodes: std::collections::BTreeMap<NodeId, Member> = ids.clone().map(|id| (id, member.clone())).collect();
        let joint = Membership::new(vec![ids.clone().collect(), ids.skip(1).collect()], nodes).expect("a joint membership");
        assert!(encode_membership(&joint).len() <= MEMBERSHIP_BYTES_MAX);
    }
}
