//! What a node does for its cluster without being asked: the first command, snapshots when the log has grown, its addresses, a leader
//! whose clock went astray handing on.

use super::cluster::Inner;
use super::wire::{Addresses, Answered, Call};
use crate::command::{Command, Outcome};
use crate::dice;
use openraft::async_runtime::WatchReceiver;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Milliseconds between two looks.
const LOOK_MS: u64 = 200;
/// How long a member may take to have new addresses committed, milliseconds.
const ADDRESSES_TIMEOUT_MS: u64 = 2_000;
/// A leader with a stepped clock hands on at most once in so many milliseconds.
const HAND_ON_MS: u64 = 60_000;

pub(crate) async fn run(inner: Arc<Inner>) {
    let mut handed_on = None;
    let mut asked_for = None;
    loop {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        if inner.local.is_draining() {
            return;
        }
        first_command(&inner).await;
        snapshot_when_due(&inner, &mut asked_for).await;
        tell_addresses(&inner).await;
        if inner.local.is_leader() && inner.local.time.stepped() {
            let now = inner.local.clock.boot();
            if handed_on.is_none_or(|at| now.ms_since(at) >= HAND_ON_MS)
                && let Some(to) = inner.member_with_agreeing_clock()
            {
                handed_on = Some(now);
                tracing::warn!(to, "the wall clock stepped; handing on the leadership");
                let _ = inner.change(Call::TransferTo(Some(to))).await;
            }
        }
    }
}

/// The leader of a cluster without a first command makes it.
async fn first_command(inner: &Arc<Inner>) {
    let Some(cluster) = inner.local.cluster_id() else { return };
    if !inner.local.is_leader() || inner.local.view.read().cluster().is_some() {
        return;
    }
    // It may be committed and not applied here yet; making another would leave a root key on this node that opens nothing.
    if inner.barrier().await.is_err() || inner.local.view.read().cluster().is_some() {
        return;
    }
    let init = match (inner.init)(cluster, inner.local.time.now()) {
        Ok(init) => init,
        Err(error) => return tracing::error!(%error, "the first command could not be made"),
    };
    match inner.propose(dice::command_id(), Command::Init(init)).await {
        Ok(done) if done.outcome == Outcome::Done(()) => tracing::info!(%cluster, index = done.index, "the cluster is ready"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the first command was not made"),
    }
}

/// Snapshots are ours to ask for: the engine's own policy counts entries only, and a large state would be written again and again.
async fn snapshot_when_due(inner: &Arc<Inner>, asked_for: &mut Option<u64>) {
    let Some(raft) = inner.local.raft() else { return };
    let (applied, snapshot) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        (metrics.last_applied.map_or(0, |at| at.index()), metrics.snapshot.map_or(0, |at| at.index()))
    };
    let rows = {
        let state = inner.local.view.read();
        state.active_sessions() + state.tombstones()
    };
    let settings = &inner.local.settings;
    let due = settings.snapshot_min_entries.max(rows.saturating_mul(settings.snapshot_state_share_percent) / 100);
    let asked = asked_for.unwrap_or(0).max(snapshot);
    if applied >= asked + due {
        *asked_for = Some(applied);
        if let Err(error) = raft.trigger().snapshot().await {
            tracing::warn!(%error, "a snapshot could not be asked for");
        }
    }
}

async fn tell_addresses(inner: &Arc<Inner>) {
    if let Some(addresses) = inner.addresses_moved()
        && (took_addresses(inner, addresses).await)
    {
        tracing::info!("told the cluster this node's new addresses");
    }
}

/// Asks everybody: nobody reaches a node that has moved, so it may know no leader, or one of long ago.
async fn took_addresses(inner: &Arc<Inner>, addresses: Addresses) -> bool {
    if inner.local.is_leader() {
        return inner.change(Call::SetAddresses(addresses)).await.is_ok();
    }
    let me = inner.local.node_id();
    for (id, _) in inner.local.members().into_iter().filter(|(id, _)| *id != me) {
        if let Ok(Answered::Changed(_)) = inner.calls.ask(id, Call::SetAddresses(addresses.clone()), ADDRESSES_TIMEOUT_MS).await {
            return true;
        }
    }
    false
}

/// Says who leads, once per change, and counts the changes.
pub(crate) async fn watch_leader(inner: Arc<Inner>) {
    let Some(raft) = inner.local.raft() else { return };
    let mut metrics = raft.server_metrics();
    let mut known = None;
    loop {
        let (leader, term) = {
            let seen = metrics.borrow_watched();
            (seen.current_leader, seen.vote.leader_id().term)
        };
        if leader.is_some() && leader != known {
            tracing::info!(leader, term, "a leader is known");
            if known.is_some() {
                inner.leader_changes.fetch_add(1, Ordering::Relaxed);
            }
            known = leader;
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}
