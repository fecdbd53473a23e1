//! The stories, each in a file that opens with its steps. A story starts a fresh cluster, waits for facts, and ends with equal digests and a
//! judged history.

mod t10_start_anywhere;
mod t11_racing_starts;
mod t20_revoke_on_a_follower;
mod t21_leader_killed_mid_revocation;
mod t30_all_killed;
mod t31_join_by_snapshot;
mod t32_wiped_disk;
mod t33_damaged_directory;
mod t40_paused_follower;
mod t41_paused_leader;
mod t42_minority;
mod t50_feed_over_a_snapshot;
mod t51_feed_under_leader_kills;
mod t52_ack_on_any_node;
mod t60_first_start;
mod t61_drain;
mod t70_clock_steps;
mod t80_no_faults_in_a_release;
mod t81_the_sync_is_real;

use cluster_tests::client::{Level, Seen, Started, Write};
use cluster_tests::cluster::{Cluster, PATIENCE};
use cluster_tests::facts::wait_until;
use serde_json::json;

/// Settings under which a snapshot lets the log below it go.
const SHORT_LOG: &str = "[raft]\npurge_keep_entries = 0\n";

/// Each of these nodes takes a snapshot and gives its log below it up, so that whoever leads has nothing else to send; returns the lowest
/// snapshot's index.
#[track_caller]
fn snapshot_and_purge(cluster: &Cluster, nodes: &[u64]) -> u64 {
    let client = cluster.client("snapshot");
    let applied = |node| cluster.status(node).and_then(|it| it.node.applied_index);
    let reached = nodes.iter().filter_map(|node| applied(*node)).max().expect("something is applied");
    for node in nodes {
        cluster.applied(*node, reached);
        client.admin(*node, "POST", "/admin/v1/cluster/snapshots", Some(&json!({}))).done("a snapshot");
        wait_until(&format!("node {node} has given up its log up to {reached}"), PATIENCE, || {
            let purged = cluster.metric(*node, "curfew_raft_purged_index");
            #[allow(clippy::cast_precision_loss, reason = "a story's indexes are small")]
            if purged >= reached as f64 { Ok(()) } else { Err(format!("it is at {purged}")) }
        });
    }
    reached
}

/// Adds a started, empty node as a learner.
#[track_caller]
fn add_member(cluster: &Cluster, leader: u64, id: u64) {
    let client = cluster.client("members");
    wait_until(&format!("node {id} is added"), PATIENCE, || {
        let body = json!({"node_id": id, "peer": cluster.peer(id), "api": cluster.api(id)});
        match client.admin(leader, "POST", "/admin/v1/cluster/members", Some(&body)) {
            Write::Done(_) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

/// Asks a paused node by several requests, wakes it when its kernel has them all, and asks more while it comes to itself.
fn ask_a_sleeper(cluster: &Cluster, sleeper: u64, session: &Started) -> Vec<Seen> {
    let client = cluster.client("asks a sleeper");
    let level = |number| if number % 3 == 0 { Level::Strict } else { Level::Local };
    let held: Vec<_> = (0..6).map(|number| client.authenticate_held(sleeper, session, level(number))).collect();
    cluster.resume(sleeper);
    let mut seen: Vec<Seen> = (0..10).map(|number| client.authenticate(sleeper, session, level(number))).collect();
    seen.extend(held.into_iter().map(cluster_tests::client::Held::answer));
    seen
}
