//! The answer of `GET /admin/v1/cluster`, as the HTTP contract shows it.

use serde::Deserialize;

/// The whole answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    /// Null until the cluster is formed.
    pub cluster_id: Option<String>,
    /// Where the node stands.
    pub position: Option<String>,
    /// The node that answered.
    pub node_id: u64,
    /// Whom it takes for the leader.
    pub leader: Option<Leader>,
    /// Raft's term.
    pub term: u64,
    /// All members, learners too.
    pub members: Vec<Member>,
    /// Why the node belongs to no cluster yet.
    pub waiting_for: Option<String>,
    /// About the node that answered.
    pub node: NodeStatus,
}

/// The leader.
#[derive(Debug, Clone, Deserialize)]
pub struct Leader {
    /// Its id.
    pub node_id: u64,
}

/// A member as the answering node sees it.
#[derive(Debug, Clone, Deserialize)]
pub struct Member {
    /// Its id.
    pub node_id: u64,
    /// `leader`, `follower` or `learner`.
    pub role: String,
    /// Whether it votes.
    pub voter: bool,
    /// The identity of its data directory.
    pub store_uuid: Option<String>,
    /// How far it has taken the log over; only the leader knows.
    pub matched_index: Option<u64>,
}

/// What a node says of itself.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeStatus {
    /// `leader`, `follower`, `learner` or `candidate`.
    pub role: String,
    /// The end of its log.
    pub last_log_index: Option<u64>,
    /// What it knows to be committed.
    pub committed_index: Option<u64>,
    /// What its state holds.
    pub applied_index: Option<u64>,
    /// Up to where its newest snapshot reaches.
    pub snapshot_index: Option<u64>,
    /// Whether it can show that it is fresh.
    pub fresh: bool,
    /// How old its knowledge is at most.
    pub staleness_ms: Option<u64>,
    /// Of its state.
    pub digest: Digest,
}

/// What two nodes at the same index must agree on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Digest {
    /// The applied index.
    pub index: u64,
    /// Of the state at that index.
    pub sha256: String,
}
