//! What is known elsewhere, set as metrics at each scrape.

use crate::actors::Actors;
use crate::feed::Hub;
use crate::raft::{Cluster, Role};
use crate::store::{Health, Stats};
use crate::telemetry::{Telemetry, names};
use metrics::{counter, gauge};

#[allow(clippy::cast_precision_loss, reason = "a gauge is a float; indexes and counts stay exact far beyond what a node reaches")]
fn float(n: u64) -> f64 {
    n as f64
}

fn flag(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

pub(super) fn register(telemetry: &Telemetry, cluster: &Cluster, hub: &Hub, actors: &Actors, disk: Health) {
    let (raft, feed, seen) = (cluster.clone(), hub.clone(), actors.clone());
    // A counter that is not there yet cannot be told from one that is gone.
    for name in [names::SESSIONS_STARTED_TOTAL, names::SESSIONS_REVOKED_TOTAL, names::SESSIONS_EXPIRED_TOTAL] {
        counter!(name).increment(0);
    }
    telemetry.on_scrape(move || {
        raft_and_state(&raft);
        store(&disk);
        let hub = feed.stats();
        gauge!(names::FEED_SUBSCRIBERS).set(float(hub.subscribers));
        gauge!(names::FEED_LAG_ENTRIES).set(float(hub.lag_max));
        counter!(names::FEED_EVENTS_TOTAL).absolute(hub.events_total);
        counter!(names::FEED_RESYNCS_TOTAL).absolute(hub.resyncs_total);
        counter!(names::FEED_DROPPED_TOTAL).absolute(hub.dropped_total);
        let actors = seen.observe();
        gauge!(names::ACTORS_LIVE).set(float(actors.live));
        counter!(names::ACTORS_WOKEN_TOTAL).absolute(actors.woken);
        counter!(names::ACTORS_SLEPT_TOTAL).absolute(actors.slept);
        gauge!(names::ACTORS_MAILBOX_DEPTH).set(float(actors.mailbox_depth));
        gauge!(names::ACTORS_MAILBOX_DEPTH_MAX).set(float(actors.mailbox_depth_max));
        counter!(names::JWT_ISSUED_TOTAL, "alg" => "ES256").absolute(actors.minted);
        counter!(names::ACTORS_TOUCHES_SENT_TOTAL).absolute(actors.touches_sent);
    });
}

fn raft_and_state(cluster: &Cluster) {
    let node = cluster.node_status();
    for (role, name) in [(Role::Leader, "leader"), (Role::Follower, "follower"), (Role::Candidate, "candidate"), (Role::Learner, "learner")] {
        gauge!(names::RAFT_ROLE, "role" => name).set(flag(node.role == role));
    }
    gauge!(names::RAFT_TERM).set(float(cluster.term()));
    gauge!(names::RAFT_LAST_LOG_INDEX).set(float(node.last_log_index.unwrap_or(0)));
    gauge!(names::RAFT_COMMITTED_INDEX).set(float(node.committed_index.unwrap_or(0)));
    gauge!(names::RAFT_APPLIED_INDEX).set(float(node.applied_index.unwrap_or(0)));
    gauge!(names::RAFT_SNAPSHOT_INDEX).set(float(node.snapshot_index.unwrap_or(0)));
    gauge!(names::RAFT_PURGED_INDEX).set(float(node.purged_index.unwrap_or(0)));
    for (peer, behind) in cluster.replication_lags() {
        gauge!(names::RAFT_REPLICATION_LAG_ENTRIES, "peer" => peer.to_string()).set(float(behind));
    }
    gauge!(names::RAFT_FRESH).set(flag(node.freshness.fresh));
    let staleness_ms = node.freshness.staleness_ms;
    gauge!(names::RAFT_STALENESS_SECONDS).set(if staleness_ms == u64::MAX { f64::INFINITY } else { float(staleness_ms) / 1000.0 });
    #[allow(clippy::cast_precision_loss, reason = "an offset of clocks stays exact far beyond what is possible")]
    let offset = cluster.clock_offset_ms() as f64 / 1000.0;
    gauge!(names::RAFT_CLOCK_OFFSET_SECONDS).set(offset);
    gauge!(names::RAFT_CLOCK_STEPPED).set(flag(cluster.clock_stepped()));
    counter!(names::RAFT_LEADER_CHANGES_TOTAL).absolute(cluster.leader_changes());
    let state = cluster.view().read();
    gauge!(names::SESSIONS_ACTIVE).set(float(state.active_sessions()));
    gauge!(names::SESSIONS_TOMBSTONES).set(float(state.tombstones()));
}

fn store(disk: &Health) {
    let stats = disk.stats();
    gauge!(names::STORE_FREE_BYTES).set(float(disk.free_space()));
    counter!(names::STORE_SYNCS_TOTAL).absolute(Stats::get(&stats.syncs));
    counter!(names::STORE_SYNCED_ENTRIES_TOTAL).absolute(Stats::get(&stats.synced_entries));
    counter!(names::STORE_SYNCED_BYTES_TOTAL).absolute(Stats::get(&stats.synced_bytes));
    counter!(names::STORE_TABLE_BATCHES_TOTAL).absolute(Stats::get(&stats.table_batches));
    counter!(names::STORE_TABLE_ROWS_TOTAL).absolute(Stats::get(&stats.table_rows));
}
