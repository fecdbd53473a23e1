//! G5: no step of a wall clock brings a session back, or ends one before its time.
//!
//! 1. Sessions: one revoked, one expired by its short life, one with weeks to go.
//! 2. The leader's wall clock jumps an hour back, then ten years ahead, then every clock jumps back: the first two stay ended, the third active.
//! 3. The node with the wrong clock is restarted, and leadership moves: still so. Writes go on all the while.

use cluster_tests::client::{Level, Started};
use cluster_tests::cluster::Cluster;
use cluster_tests::facts::{self, holds_for, wait_until};
use serde_json::json;
use std::time::Duration;

const HOUR_MS: i64 = 3_600_000;
const DECADE_MS: i64 = 10 * 365 * 24 * HOUR_MS;

#[test]
fn t70_clock_steps_never_resurrect() {
    let cluster = Cluster::formed("t70", 3);
    let client = cluster.client("t70");
    let (revoked, active) = (client.start_surely(1, "ada"), client.start_surely(2, "ada"));
    let expired = client.start_with(3, "ada", json!({"ttl_seconds": 2})).done("a start with a short life");
    client.revoke_surely(1, &revoked);
    wait_until("the short life is over", Duration::from_secs(15), || {
        let seen = client.authenticate(1, &expired, Level::Strict);
        if seen.is_no("session_expired") { Ok(()) } else { Err(format!("{seen:?}")) }
    });

    let leader = cluster.wait_leader();
    for offset in [-HOUR_MS, DECADE_MS] {
        cluster.step_wall_clock(leader, offset);
        still_so(&cluster, &revoked, &expired, &active);
    }
    (1..=3).for_each(|node| cluster.step_wall_clock(node, -HOUR_MS));
    still_so(&cluster, &revoked, &expired, &active);

    cluster.kill(leader);
    cluster.all_fresh();
    still_so(&cluster, &revoked, &expired, &active);
    cluster.start(leader);
    cluster.all_fresh();
    still_so(&cluster, &revoked, &expired, &active);
    facts::happy_end(&cluster);
}

/// Writes make the leader stamp entries with its clock; what is asked then must not have changed.
#[track_caller]
fn still_so(cluster: &Cluster, revoked: &Started, expired: &Started, active: &Started) {
    let client = cluster.client("t70-still");
    holds_for("what ended is ended, what lives, lives", Duration::from_millis(800), || {
        let nodes = cluster.running();
        let passing = client.start_surely(nodes[0], "eve");
        client.revoke_surely(nodes[0], &passing);
        nodes.iter().all(|node| {
            let seen = [revoked, expired, active].map(|it| client.authenticate(*node, it, Level::Strict));
            let good = seen[0].is_no("session_revoked") && seen[1].is_no("session_expired") && seen[2].is_active();
            if !good {
                println!("t70: node {node}: {seen:?}");
            }
            good
        })
    });
}
