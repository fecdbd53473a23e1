//! What this node is, shared by everything in the room: its identity, its settings, its engine once that runs.

use super::types::{Engine, Member, Raft};
use crate::clock::{Clock, ClusterClock};
use crate::domain::{ClusterId, NodeId, StoreUuid};
use crate::secret::SecretRing;
use crate::state::View;
use crate::store::{Health, Identity, Log};
use openraft::async_runtime::WatchReceiver;
use openraft::type_config::alias::StoredMembershipOf;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// How a node is to take part in the cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node's id.
    pub node_id: NodeId,
    /// Its addresses as others reach them.
    pub advertised: Advertised,
    /// The nodes that form the cluster together, this one included; empty on a node that forms alone or joins.
    pub peers: Vec<Peer>,
    /// Addresses of members; not empty on a node that waits to be added.
    pub join: Vec<String>,
    /// Milliseconds between heartbeats.
    pub heartbeat_ms: u64,
    /// The shortest election time-out, milliseconds.
    pub election_min_ms: u64,
    /// The longest, and the leader's lease.
    pub election_max_ms: u64,
    /// Milliseconds between two refreshes of this node's freshness.
    pub refresh_interval_ms: u64,
    /// A snapshot is made when the log since the last one has at least so many entries,
    pub snapshot_min_entries: u64,
    /// and at least this share of the sessions that the state holds, percent.
    pub snapshot_state_share_percent: u64,
    /// So many entries before a snapshot stay in the log, so that a follower a little behind needs no snapshot.
    pub log_keep_entries: u64,
    /// Reach these nodes at other addresses than the membership says; fault injection only.
    #[cfg(feature = "faults")]
    pub reroute: BTreeMap<NodeId, String>,
}

/// The addresses of a node as others reach them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advertised {
    /// The peer listener.
    pub peer: String,
    /// The API listener.
    pub api: String,
}

/// One of the nodes that form a cluster together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its id.
    pub node_id: NodeId,
    /// Address of its peer listener.
    pub peer: String,
    /// Address of its API listener.
    pub api: String,
}

/// This release, as peers and operators read it.
pub(crate) const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// What the room keeps of the store.
pub(crate) struct Disk {
    pub(crate) identity: Identity,
    pub(crate) log: Log,
    pub(crate) health: Health,
}

pub(crate) struct Local {
    pub(crate) settings: Settings,
    pub(crate) identity: Identity,
    pub(crate) secret: Arc<SecretRing>,
    pub(crate) view: View,
    pub(crate) clock: Clock,
    pub(crate) time: ClusterClock,
    pub(crate) log: Log,
    pub(crate) disk: Health,
    pub(crate) draining: AtomicBool,
    raft: OnceLock<Raft>,
    releases: Mutex<BTreeMap<NodeId, String>>,
}

impl Local {
    /// A node's own facts; the engine is set when it runs.
    pub(crate) fn new(settings: Settings, disk: Disk, secret: Arc<SecretRing>, view: View, clock: Clock, time: ClusterClock) -> Self {
        let Disk { identity, log, health } = disk;
        Self {
            settings,
            identity,
            secret,
            view,
            clock,
            time,
            log,
            disk: health,
            draining: AtomicBool::new(false),
            raft: OnceLock::new(),
            releases: Mutex::default(),
        }
    }

    pub(crate) fn node_id(&self) -> NodeId {
        self.settings.node_id
    }

    pub(crate) fn store_uuid(&self) -> StoreUuid {
        self.identity.store_uuid()
    }

    pub(crate) fn cluster_id(&self) -> Option<ClusterId> {
        self.identity.cluster_id()
    }

    /// The engine; `None` while it starts.
    pub(crate) fn raft(&self) -> Option<&Raft> {
        self.raft.get()
    }

    pub(crate) fn set_raft(&self, raft: Raft) {
        let _ = self.raft.set(raft);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The membership that is in force here, committed or not.
    pub(crate) fn effective_membership(&self) -> Option<Arc<StoredMembershipOf<Engine>>> {
        self.raft().map(|raft| raft.metrics().borrow_watched().membership_config.clone())
    }

    /// The membership that is known to be committed.
    pub(crate) fn committed_membership(&self) -> Option<Arc<StoredMembershipOf<Engine>>> {
        self.raft().map(|raft| raft.metrics().borrow_watched().committed_membership_config.clone())
    }

    /// The members that are in force here and their stores, in order.
    pub(crate) fn members(&self) -> Vec<(NodeId, StoreUuid)> {
        self.effective_membership().map_or_else(Vec::new, |stored| stored.nodes().map(|(id, member)| (*id, member.store_uuid)).collect())
    }

    /// A member as the membership in force knows it.
    pub(crate) fn member(&self, id: NodeId) -> Option<Member> {
        self.effective_membership().and_then(|stored| stored.get_node(&id).cloned())
    }

    /// Who leads, as far as this node knows.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.raft().and_then(|raft| raft.metrics().borrow_watched().current_leader)
    }

    /// Whether this node leads.
    pub(crate) fn is_leader(&self) -> bool {
        self.leader() == Some(self.node_id())
    }

    /// Neither a log nor a membership: nothing that a cluster could rest on.
    pub(crate) fn is_empty(&self) -> bool {
        let bounds = self.log.state();
        bounds.last.is_none() && bounds.last_purged.is_none() && self.members().is_empty()
    }

    /// Where a node is dialled.
    pub(crate) fn address_of(&self, id: NodeId, address: &str) -> String {
        #[cfg(feature = "faults")]
        if let Some(other) = self.settings.reroute.get(&id) {
            return other.clone();
        }
        let _ = id;
        address.to_owned()
    }

    pub(crate) fn note_release(&self, id: NodeId, release: &str) {
        let mut releases = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        releases.insert(id, release.to_owned());
    }

    pub(crate) fn release_of(&self, id: NodeId) -> Option<String> {
        if id == self.node_id() {
            return Some(RELEASE.to_owned());
        }
        self.releases.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

/// Reads `CURFEW_FAULT_PEERS`, as in `2=127.0.0.1:9001,3=127.0.0.1:9002`: which nodes to reach elsewhere.
///
/// # Errors
/// When it is not of that form.
#[cfg(feature = "faults")]
pub fn reroute_from_environment() -> Result<BTreeMap<NodeId, String>, String> {
    let Ok(text) = std::env::var("CURFEW_FAULT_PEERS") else { return Ok(BTreeMap::new()) };
    let pair = |part: &str| part.split_once('=').and_then(|(id, address)| Some((id.parse().ok()?, address.to_owned())));
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| pair(part).ok_or_else(|| format!("CURFEW_FAULT_PEERS: {part:?} is not ID=ADDRESS")))
        .collect()
}
