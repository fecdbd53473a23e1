//! What a node shows of itself and of its cluster.

use super::cluster::Inner;
use super::membership::REACHABLE_MS;
use super::reads::Freshness;
use super::wire::{Answered, Call, MemberFacts};
use crate::clock::{BootTime, Reading};
use crate::domain::{ClusterId, LogIndex, NodeId, StoreUuid};
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant, ServerState};
use std::sync::PoisonError;

/// How long the leader may take to tell of its members, milliseconds.
const MEMBERS_TIMEOUT_MS: u64 = 500;
/// Offsets of clocks older than this are not used, milliseconds.
const OFFSET_AGE_MAX_MS: u64 = 1_000;

/// The part a node plays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// It asks to be elected.
    Candidate,
    /// It receives the log and has no vote.
    Learner,
    /// It has stopped.
    Shutdown,
}

/// A member as one node sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberStatus {
    /// Its id.
    pub node_id: NodeId,
    /// Leader, follower or learner, by what this node knows.
    pub role: Role,
    /// Whether it votes.
    pub voter: bool,
    /// Address of its peer listener.
    pub peer: String,
    /// Address of its API listener.
    pub api: String,
    /// Its disk.
    pub store_uuid: StoreUuid,
    /// Whether it has answered the leader within the last second; `None` when the leader could not be asked.
    pub reachable: Option<bool>,
    /// Up to where its log is known to match the leader's.
    pub matched_index: Option<LogIndex>,
    /// Milliseconds since it last acknowledged the leader.
    pub lag_ms: Option<u64>,
    /// Its wall clock against the leader's, milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// Its release.
    pub version: Option<String>,
}

/// This node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStatus {
    /// The part it plays.
    pub role: Role,
    /// The end of its log.
    pub last_log_index: Option<LogIndex>,
    /// What it knows to be committed.
    pub committed_index: Option<LogIndex>,
    /// What it has applied.
    pub applied_index: Option<LogIndex>,
    /// Where its newest snapshot ends.
    pub snapshot_index: Option<LogIndex>,
    /// Up to where its log was purged.
    pub purged_index: Option<LogIndex>,
    /// How fresh it is.
    pub freshness: Freshness,
    /// The index that the digest is of.
    pub digest_index: LogIndex,
    /// The digest of its state.
    pub digest: [u8; 32],
    /// Its release.
    pub version: &'static str,
    /// Seconds since it started.
    pub uptime_seconds: u64,
}

/// The cluster as one node sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterStatus {
    /// The cluster, once it has formed.
    pub cluster_id: Option<ClusterId>,
    /// The node asked.
    pub node_id: NodeId,
    /// Who leads.
    pub leader: Option<NodeId>,
    /// The current term.
    pub term: u64,
    /// All members.
    pub members: Vec<MemberStatus>,
    /// The node asked.
    pub node: NodeStatus,
    /// Why there is no cluster yet.
    pub waiting_for: Option<String>,
}

impl Inner {
    /// What this node, as leader, knows of its members.
    pub(crate) fn member_facts(&self) -> Vec<MemberFacts> {
        let Some(raft) = self.local.raft() else { return Vec::new() };
        let metrics = raft.metrics().borrow_watched().clone();
        let me = self.local.node_id();
        let facts = metrics.membership_config.nodes().map(|(id, _)| {
            let id = *id;
            let acked = metrics.heartbeat.as_ref().and_then(|all| all.get(&id).cloned().flatten());
            let lag_ms = if id == me { Some(0) } else { acked.map(|at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)) };
            let matched = metrics.replication.as_ref().and_then(|all| all.get(&id).cloned().flatten()).map(|at| at.index());
            MemberFacts {
                node_id: id,
                reachable: lag_ms.is_some_and(|lag| lag < REACHABLE_MS),
                matched: if id == me { metrics.last_log_index } else { matched },
                lag_ms,
                clock_offset_ms: if id == me { Some(0) } else { self.offset_of(id) },
                release: self.local.release_of(id),
            }
        });
        facts.collect()
    }

    pub(crate) fn replication_lags(&self) -> Vec<(NodeId, LogIndex)> {
        let Some(raft) = self.local.raft() else { return Vec::new() };
        let metrics = raft.metrics().borrow_watched().clone();
        let last = metrics.last_log_index.unwrap_or(0);
        let others = metrics.replication.into_iter().flatten().filter(|(id, _)| *id != self.local.node_id());
        others.map(|(id, matched)| (id, last.saturating_sub(matched.map_or(0, |at| at.index())))).collect()
    }

    /// Notes what a member's wall clock showed when this node's boot clock showed `at`. The offset is taken when it is asked for, against the own
    /// wall of that moment: an offset kept from before a step of the own wall would vouch for the step.
    pub(crate) fn note_wall(&self, id: NodeId, wall_ms: u64, at: BootTime) {
        self.walls.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (wall_ms, at));
    }

    fn offset_of(&self, id: NodeId) -> Option<i64> {
        let walls = self.walls.lock().unwrap_or_else(PoisonError::into_inner);
        walls.get(&id).and_then(|(wall_ms, at)| offset(*wall_ms, *at, self.local.clock.reading()))
    }

    /// The wall offsets to the own wall at `own`, milliseconds, of the members heard lately enough to count, the own 0 included.
    pub(crate) fn fresh_offsets(&self, own: Reading) -> Vec<i64> {
        let walls = self.walls.lock().unwrap_or_else(PoisonError::into_inner);
        let members = self.local.members();
        let heard = walls.iter().filter(|(id, _)| members.iter().any(|(member, _)| member == *id));
        heard.filter_map(|(_, (wall_ms, at))| offset(*wall_ms, *at, own)).chain([0]).collect()
    }

    /// A member whose clock agrees with the cluster's, for a leader whose own does not.
    pub(crate) fn member_with_agreeing_clock(&self) -> Option<NodeId> {
        let mut sorted = self.fresh_offsets(self.local.clock.reading());
        sorted.sort_unstable();
        let median = *sorted.get(sorted.len().saturating_sub(1) / 2)?;
        let me = self.local.node_id();
        let members = self.local.members().into_iter().map(|(id, _)| id).filter(|id| *id != me);
        members.into_iter().find(|id| self.offset_of(*id).is_some_and(|offset| offset.abs_diff(median) < crate::clock::STEP_MS))
    }

    pub(crate) async fn status(&self) -> ClusterStatus {
        let leader = self.leader_heard();
        let facts = match leader {
            Some(id) if id == self.local.node_id() => Some(self.member_facts()),
            Some(id) => match self.calls.ask(id, Call::Members(()), MEMBERS_TIMEOUT_MS).await {
                Ok(Answered::Members(facts)) => Some(facts),
                _ => None,
            },
            None => None,
        };
        ClusterStatus {
            cluster_id: self.local.cluster_id(),
            node_id: self.local.node_id(),
            leader,
            term: self.term(),
            members: self.member_statuses(leader, facts.as_deref()),
            node: self.node_status(),
            waiting_for: self.waiting_for(),
        }
    }

    /// With pre-vote the engine goes on naming a leader that died without a successor; freshness is what shows that one is there.
    pub(crate) fn leader_heard(&self) -> Option<NodeId> {
        let fresh = self.freshness_at(self.local.clock.reading()).fresh;
        self.local.leader().filter(|_| fresh)
    }

    pub(crate) fn term(&self) -> u64 {
        self.local.raft().map_or(0, |raft| raft.metrics().borrow_watched().current_term)
    }

    fn member_statuses(&self, leader: Option<NodeId>, facts: Option<&[MemberFacts]>) -> Vec<MemberStatus> {
        let Some(membership) = self.local.effective_membership() else { return Vec::new() };
        let voters: Vec<_> = membership.voter_ids().collect();
        let status = membership.nodes().map(|(id, member)| {
            let known = facts.and_then(|facts| facts.iter().find(|one| one.node_id == *id));
            let voter = voters.contains(id);
            let role = match (leader == Some(*id), voter) {
                (true, _) => Role::Leader,
                (false, true) => Role::Follower,
                (false, false) => Role::Learner,
            };
            MemberStatus {
                node_id: *id,
                role,
                voter,
                peer: member.peer.clone(),
                api: member.api.clone(),
                store_uuid: member.store_uuid,
                reachable: known.map(|one| one.reachable),
                matched_index: known.and_then(|one| one.matched),
                lag_ms: known.and_then(|one| one.lag_ms),
                clock_offset_ms: known.and_then(|one| one.clock_offset_ms),
                version: known.and_then(|one| one.release.clone()).or_else(|| self.local.release_of(*id)),
            }
        });
        status.collect()
    }

    pub(crate) fn node_status(&self) -> NodeStatus {
        let freshness = self.freshness_at(self.local.clock.reading());
        let (digest_index, digest) = {
            let state = self.local.view.read();
            (state.last_applied(), state.digest())
        };
        let uptime_seconds = self.local.clock.boot().ms_since(self.started) / 1000;
        let metrics = self.local.raft().map(|raft| raft.metrics().borrow_watched().clone());
        let index = |id: Option<openraft::type_config::alias::LogIdOf<super::types::Engine>>| id.map(|id| id.index());
        NodeStatus {
            role: metrics.as_ref().map_or(Role::Learner, |metrics| role(metrics.state)),
            last_log_index: metrics.as_ref().and_then(|metrics| metrics.last_log_index),
            committed_index: metrics.as_ref().and_then(|metrics| index(metrics.local_committed)),
            applied_index: metrics.as_ref().and_then(|metrics| index(metrics.last_applied)),
            snapshot_index: metrics.as_ref().and_then(|metrics| index(metrics.snapshot)),
            purged_index: metrics.as_ref().and_then(|metrics| index(metrics.purged)),
            freshness,
            digest_index,
            digest,
            version: super::local::RELEASE,
            uptime_seconds,
        }
    }
}

fn role(state: ServerState) -> Role {
    match state {
        ServerState::Leader => Role::Leader,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner => Role::Learner,
        ServerState::Shutdown => Role::Shutdown,
    }
}

/// How far a wall that showed `wall_ms` at `at` is ahead of the own one at `own`, milliseconds; none when it was heard too long ago.
fn offset(wall_ms: u64, at: BootTime, own: Reading) -> Option<i64> {
    let age_ms = own.boot.ms_since(at);
    let now_ms = i64::try_from(wall_ms.saturating_add(age_ms)).unwrap_or(i64::MAX);
    (age_ms <= OFFSET_AGE_MAX_MS).then(|| now_ms.saturating_sub_unsigned(own.wall_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn g5_an_offset_heard_before_a_step_of_the_own_wall_does_not_vouch_for_it() {
        let (clock, hands) = Clock::manual();
        let heard = clock.reading();
        hands.advance_ms(400);
        assert_eq!(offset(heard.wall_ms + 7, heard.boot, clock.reading()), Some(7));
        hands.step_wall_ms(3_600_000);
        assert_eq!(offset(heard.wall_ms + 7, heard.boot, clock.reading()), Some(7 - 3_600_000));
        hands.advance_ms(601);
        assert_eq!(offset(heard.wall_ms + 7, heard.boot, clock.reading()), None, "heard too long ago");
    }
}
