//! The handle of the room: what the rest of the node asks the cluster for.

use super::calls::Calls;
use super::forming::{self, InitError};
use super::local::{Disk, Local, Settings};
use super::log_storage::LogStorage;
use super::membership::{MembershipError, NewMember};
use super::network::Network;
use super::reads::{self, BarrierError, CatchUpError, Freshness, Lease, WAITERS_MAX, Waiter};
use super::server;
use super::state_machine::{Listener, StateMachine};
use super::status::{ClusterStatus, NodeStatus};
use super::types::Raft;
use super::upkeep;
use super::wire::{Call, NewLearner};
use super::writes::{self, Ways};
use crate::clock::{BootTime, Clock, ClusterClock, Reading};
use crate::command::{Command, Init};
use crate::domain::{ClusterId, CommandId, LogIndex, Moment, NodeId, StoreUuid};
use crate::feed::{AckError, Hub, Pulse};
use crate::propose::{Done, ProposeError};
use crate::secret::SecretRing;
use crate::state::{Loader, View};
use crate::store::{LogPos, Opened, Snapshots, Tables};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::{Config, SnapshotPolicy};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// Makes the first command of a cluster.
pub type MakeInit = Arc<dyn Fn(ClusterId, Moment) -> Result<Init, String> + Send + Sync>;

/// How many different refusals of peers are remembered, so that each is said once.
const SAID_MAX: usize = 64;
/// Entries per append; what a frame can hold is the other bound.
const APPEND_ENTRIES_MAX: u64 = 300;

/// The state of a node as its disk holds it.
pub struct Recovered {
    /// The state, ready for readers.
    pub view: View,
    last: Option<LogPos>,
    membership: (Option<LogPos>, Bytes),
}

/// Reads the tables of an opened store into memory.
///
/// # Errors
/// A sentence for the operator, when the tables are damaged.
pub fn recover(opened: &Opened) -> Result<Recovered, String> {
    let mut loader = Loader::new();
    let mut row = |key: &[u8], value: &[u8]| loader.row(key, value).map_err(|error| error.to_string());
    let meta = opened.tables.load(&mut row).map_err(|error| error.to_string())?;
    let state = loader.finish(meta.last_applied.map_or(0, |last| last.index)).map_err(|error| error.to_string())?;
    let membership = meta.membership.unwrap_or((None, Bytes::new()));
    Ok(Recovered { view: View::new(state), last: meta.last_applied, membership })
}

/// All that a cluster handle is made from.
pub struct Parts {
    /// How this node takes part.
    pub settings: Settings,
    /// Its disk.
    pub opened: Opened,
    /// What [`recover`] read from it.
    pub recovered: Recovered,
    /// The cluster secrets.
    pub secret: Arc<SecretRing>,
    /// The clock.
    pub clock: Clock,
    /// Cluster time.
    pub time: ClusterClock,
    /// Who hears what applying makes true.
    pub listener: Arc<dyn Listener>,
    /// The feed of this node, for acknowledgements that land on others.
    pub hub: Hub,
    /// Makes the first command, should this node lead a cluster without one.
    pub init: MakeInit,
    /// The bound peer listener.
    pub peer_listener: std::net::TcpListener,
}

pub(crate) struct Inner {
    pub(crate) local: Arc<Local>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) snapshots: Snapshots,
    pub(crate) ways: Ways,
    pub(crate) waiters: mpsc::Sender<Waiter>,
    pub(crate) lease: ArcSwapOption<Lease>,
    pub(crate) applied: watch::Receiver<LogIndex>,
    pub(crate) walls: Mutex<BTreeMap<NodeId, (u64, BootTime)>>,
    pub(crate) hub: Hub,
    pub(crate) init: MakeInit,
    pub(crate) started: BootTime,
    pub(crate) leader_changes: AtomicU64,
    tables: Tables,
    waiting_for: Mutex<Option<String>>,
    said: Mutex<BTreeSet<String>>,
    runtime: Handle,
}

impl Inner {
    pub(crate) fn set_waiting_for(&self, why: Option<String>) {
        *self.waiting_for.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub(crate) fn waiting_for(&self) -> Option<String> {
        self.waiting_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Warns of something once, however often it comes.
    pub(crate) fn say_once(&self, reason: &str, what: &'static str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= SAID_MAX {
            said.clear();
        }
        if said.insert(reason.to_owned()) {
            tracing::warn!(reason, "{what}");
        }
    }
}

/// A node's part in its cluster. Clones are the same part; usable from any thread and runtime.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

fn engine_config(settings: &Settings) -> Result<Config, String> {
    let config = Config {
        cluster_name: "curfew".to_owned(),
        heartbeat_interval: settings.heartbeat_ms,
        election_timeout_min: settings.election_min_ms,
        election_timeout_max: settings.election_max_ms,
        max_payload_entries: APPEND_ENTRIES_MAX,
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: settings.log_keep_entries,
        // A node that wakes from a pause must not depose a leader that the others hear.
        enable_pre_vote: Some(true),
        // A restarted leader that took its old lead again could lead with a stale committed marker.
        enable_leader_restore: Some(false),
        allow_log_reversion: Some(false),
        ..Config::default()
    };
    config.validate().map_err(|error| error.to_string())
}

/// A data directory belongs to one seat: it must not be started under another id, nor another directory under this one.
async fn check_seat(local: &Local, raft: &Raft) -> Result<(), String> {
    let (id, disk) = (local.node_id(), local.store_uuid());
    // The engine itself is asked: what it publishes may lag behind its start.
    let members = raft.with_raft_state(|state| {
        let effective = state.membership_state.effective();
        effective.nodes().map(|(id, member)| (*id, member.store_uuid)).collect::<Vec<_>>()
    });
    for (member, store) in members.await.map_err(|error| error.to_string())? {
        if store == disk && member != id {
            return Err(format!("this data directory belongs to node {member}, but node.id is {id}: start it as node {member}"));
        }
        if member == id && store != disk {
            return Err(format!("node {id} is known with store {store}, but this data directory holds store {disk}: start the right directory"));
        }
    }
    Ok(())
}

impl Cluster {
    /// Starts this node's part. Must be called on the runtime that Raft and its store have for themselves.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn start(parts: Parts) -> Result<Self, String> {
        let Parts { settings, opened, recovered, secret, clock, time, listener, hub, init, peer_listener } = parts;
        let Recovered { view, last, membership } = recovered;
        let config = Arc::new(engine_config(&settings)?);
        let node_id = settings.node_id;
        if last.is_some() {
            time.applied(view.read().last_at());
        }
        let started = clock.boot();
        let disk = Disk { identity: opened.identity, log: opened.log.clone(), health: opened.health.clone() };
        let local = Arc::new(Local::new(settings, disk, secret, view.clone(), clock, time.clone()));
        let calls = Arc::new(Calls::new(local.clone()));
        let (applied_tx, applied) = watch::channel(last.map_or(0, |last| last.index));
        let (waiters, waiting) = mpsc::channel(WAITERS_MAX);
        let (ways, way_ends) = writes::ways();
        let (tables, snapshots) = (opened.tables.clone(), opened.snapshots.clone());
        let machine = StateMachine {
            view,
            tables: opened.tables,
            snapshots: opened.snapshots,
            disk: opened.health.clone(),
            time,
            listener,
            applied: applied_tx,
            last,
            membership,
            #[cfg(test)]
            gaps_allowed: false,
        };
        let network = Network { local: local.clone(), calls: calls.clone() };
        let raft = Raft::new(node_id, config, network, LogStorage::new(opened.log), machine).await.map_err(|error| error.to_string())?;
        check_seat(&local, &raft).await?;
        local.set_raft(raft);
        let inner = Arc::new(Inner {
            local,
            calls,
            snapshots,
            ways,
            waiters,
            lease: ArcSwapOption::empty(),
            applied,
            walls: Mutex::default(),
            hub,
            init,
            started,
            leader_changes: AtomicU64::new(0),
            tables,
            waiting_for: Mutex::default(),
            said: Mutex::default(),
            runtime: Handle::current(),
        });
        peer_listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        let listener = TcpListener::from_std(peer_listener).map_err(|error| error.to_string())?;
        writes::spawn(&inner, way_ends);
        tokio::spawn(server::serve(inner.clone(), listener));
        tokio::spawn(reads::refresh(inner.clone(), waiting));
        tokio::spawn(forming::form_or_wait(inner.clone()));
        tokio::spawn(upkeep::run(inner.clone()));
        tokio::spawn(upkeep::watch_leader(inner.clone()));
        Ok(Self(inner))
    }

    /// Proposes a command; forwards it when another node leads. Ends after at most ten seconds; what is `Done` is visible on this node.
    ///
    /// # Errors
    /// Certainly not done, or unknown: see [`ProposeError`].
    pub async fn propose(&self, id: CommandId, command: Command) -> Result<Done, ProposeError> {
        self.0.propose(id, command).await
    }

    /// Waits until this node has applied everything that was acknowledged anywhere before the call; what it had applied then.
    ///
    /// # Errors
    /// See [`BarrierError`].
    pub async fn barrier(&self) -> Result<LogIndex, BarrierError> {
        self.0.barrier().await
    }

    /// Waits until this node has applied `index`.
    ///
    /// # Errors
    /// See [`CatchUpError`].
    pub async fn caught_up(&self, index: LogIndex, within: Duration) -> Result<(), CatchUpError> {
        self.0.caught_up(index, within).await
    }

    /// How fresh this node is. To be sampled before the state is looked at.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness_at(self.0.local.clock.reading())
    }

    /// How fresh this node is at a reading of its clock that was taken before.
    #[must_use]
    pub fn freshness_at(&self, reading: Reading) -> Freshness {
        self.0.freshness_at(reading)
    }

    /// Cluster time.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.local.time.now()
    }

    /// Cluster time as far as others stand behind it too: see [`ClusterClock::vouched`].
    #[must_use]
    pub fn vouched(&self) -> Moment {
        self.0.local.time.vouched()
    }

    /// The clock behind it.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.local.clock
    }

    /// Whether the wall clock of this node stepped and is not followed.
    #[must_use]
    pub fn clock_stepped(&self) -> bool {
        self.0.local.time.stepped()
    }

    /// The wall clock of this node against the fenced one, milliseconds.
    #[must_use]
    pub fn clock_offset_ms(&self) -> i64 {
        self.0.local.time.offset_ms()
    }

    /// The state, for a look.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.0.local.view
    }

    /// What this node has applied.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        *self.0.applied.borrow()
    }

    /// The cluster, once this node belongs to one.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        self.0.local.cluster_id()
    }

    /// This node.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.0.local.node_id()
    }

    /// Its disk.
    #[must_use]
    pub fn store_uuid(&self) -> StoreUuid {
        self.0.local.store_uuid()
    }

    /// Who leads, as far as this node knows.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.0.local.leader()
    }

    /// Who leads, as far as this node can show: none when nobody has confirmed it for longer than `max_staleness`.
    #[must_use]
    pub fn leader_heard(&self) -> Option<NodeId> {
        self.0.leader_heard()
    }

    /// Whether this node leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0.local.is_leader()
    }

    /// The current term.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.0.term()
    }

    /// How often this node has seen another leader than before.
    #[must_use]
    pub fn leader_changes(&self) -> u64 {
        self.0.leader_changes.load(Ordering::Relaxed)
    }

    /// On the leader: how many entries each other member lacks.
    #[must_use]
    pub fn replication_lags(&self) -> Vec<(NodeId, LogIndex)> {
        self.0.replication_lags()
    }

    /// Why there is no cluster yet, if there is none.
    #[must_use]
    pub fn waiting_for(&self) -> Option<String> {
        self.0.waiting_for()
    }

    /// Whether the disk takes new sessions.
    #[must_use]
    pub fn writable(&self) -> bool {
        self.0.local.disk.writable()
    }

    /// This node alone, without asking anybody.
    #[must_use]
    pub fn node_status(&self) -> NodeStatus {
        self.0.node_status()
    }

    /// The cluster as this node sees it; asks the leader what it knows of the members.
    pub async fn status(&self) -> ClusterStatus {
        let inner = self.0.clone();
        let unknown = self.0.clone();
        match self.0.runtime.spawn(async move { inner.status().await }).await {
            Ok(status) => status,
            Err(_) => unknown.status().await,
        }
    }

    /// Forms the cluster now, by the same rule as without a call.
    ///
    /// # Errors
    /// See [`InitError`].
    pub async fn init(&self) -> Result<(), InitError> {
        let inner = self.0.clone();
        let formed = self.0.runtime.spawn(async move { forming::try_form(&inner).await }).await;
        formed.unwrap_or_else(|error| Err(InitError::Failed(error.to_string())))
    }

    /// Adds a node as a learner.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn add_learner(&self, new: NewMember) -> Result<LogIndex, MembershipError> {
        let NewMember { node_id, peer, api, store_uuid } = new;
        self.change(Call::AddLearner(NewLearner { node_id, peer, api, store_uuid })).await
    }

    /// Gives a learner a vote.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn promote(&self, id: NodeId) -> Result<LogIndex, MembershipError> {
        self.change(Call::Promote(id)).await
    }

    /// Removes a node; its id is never used again. A leader that is to be removed hands on first.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn remove(&self, id: NodeId) -> Result<LogIndex, MembershipError> {
        match self.change(Call::Remove(id)).await {
            Err(MembershipError::IsLeader) => {
                self.change(Call::TransferTo(None)).await?;
                self.change(Call::Remove(id)).await
            }
            other => other,
        }
    }

    /// Hands the leadership to a voter, or to the one that is furthest.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn transfer(&self, to: Option<NodeId>) -> Result<LogIndex, MembershipError> {
        self.change(Call::TransferTo(to)).await
    }

    /// Notes what a subscriber has acknowledged, on whichever node its stream is open; that node's freshness as of now.
    ///
    /// # Errors
    /// See [`AckError`]; a node that does not answer counts as not having the stream.
    pub async fn ack(&self, subscriber: String, key_name: String, index: LogIndex) -> Result<Pulse, AckError> {
        let inner = self.0.clone();
        let acked = self.0.runtime.spawn(async move { inner.ack(subscriber, key_name, index).await }).await;
        acked.unwrap_or(Err(AckError::NotHere))
    }

    /// Builds a snapshot on this node; returns at the latest after a minute, with where it ends.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn snapshot(&self) -> Result<LogIndex, String> {
        let raft = self.0.local.raft().cloned().ok_or("the engine is starting")?;
        let wanted = self.applied();
        let built = async move {
            raft.trigger().snapshot().await.map_err(|error| error.to_string())?;
            let wait = raft.wait(Some(Duration::from_secs(60)));
            let reached = wait.metrics(move |metrics| metrics.snapshot.is_some_and(|at| at.index() >= wanted), "a snapshot of what is applied");
            let metrics = reached.await.map_err(|error| error.to_string())?;
            Ok(metrics.snapshot.map_or(0, |at| at.index()))
        };
        self.0.runtime.spawn(built).await.map_err(|error| error.to_string())?
    }

    /// Makes this node ready to stop: from now on it only finishes what it has, and the leadership is handed on.
    pub async fn drain(&self) {
        self.0.local.draining.store(true, Ordering::Relaxed);
        if self.is_leader()
            && let Err(error) = self.transfer(None).await
        {
            tracing::info!(reason = %error, "the leadership was not handed on");
        }
    }

    /// Stops the engine and makes the tables durable.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn shutdown(&self) -> Result<(), String> {
        let raft = self.0.local.raft().cloned();
        let tables = self.0.tables.clone();
        let stopped = async move {
            if let Some(raft) = raft {
                raft.shutdown().await.map_err(|error| error.to_string())?;
            }
            tables.sync().await.map(|_| ()).map_err(|error| error.to_string())
        };
        self.0.runtime.spawn(stopped).await.map_err(|error| error.to_string())?
    }

    /// Ends when the engine has died, with the reason; the process must not go on.
    pub async fn died(&self) -> String {
        let Some(raft) = self.0.local.raft() else { return std::future::pending().await };
        let mut metrics = raft.metrics();
        loop {
            if let Err(fatal) = &metrics.borrow_watched().running_state
                && !self.0.local.is_draining()
            {
                return fatal.to_string();
            }
            if metrics.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn change(&self, call: Call) -> Result<LogIndex, MembershipError> {
        let inner = self.0.clone();
        let changed = self.0.runtime.spawn(async move { inner.change(call).await }).await;
        changed.unwrap_or(Err(MembershipError::Unknown))
    }
}
