//! G1, G9: a node joins from nothing, by snapshot, and can then take another's place.
//!
//! 1. Three nodes, sessions and revocations; the leader takes a snapshot and forgets the log below it.
//! 2. A fourth, empty node is added as a learner: it gets the snapshot and holds the same state.
//! 3. It is promoted; one of the first three is killed for good: the rest goes on, and the fourth tells the truth.

use cluster_tests::client::{Level, Started};
use cluster_tests::cluster::{Cluster, Plan};
use cluster_tests::facts::{self, wait_until};
use serde_json::json;
use std::time::Duration;

#[test]
fn t31_join_from_nothing_by_snapshot() {
    let cluster = Cluster::planned(Plan::new("t31", 3).spares(1).settings(super::SHORT_LOG));
    cluster.start_all();
    let leader = cluster.all_fresh();
    let client = cluster.client("t31");
    let sessions: Vec<Started> = (0..30).map(|at| client.start_surely(1 + at % 3, "ada")).collect();
    for session in sessions.iter().step_by(2) {
        client.revoke_surely(leader, session);
    }
    let snapshot = super::snapshot_and_purge(&cluster, &[1, 2, 3]);

    cluster.start(4);
    super::add_member(&cluster, leader, 4);
    cluster.applied(4, snapshot);
    let status = cluster.status(4).expect("a status");
    assert!(status.node.snapshot_index >= Some(snapshot), "it came by snapshot: {status:?}");
    cluster.fresh(&[1, 2, 3, 4]);
    facts::equal_digests(&cluster);

    wait_until("node 4 is promoted", Duration::from_secs(20), || {
        client.admin(leader, "POST", "/admin/v1/cluster/members/4/promote", Some(&json!({}))).ok().ok_or_else(|| "not yet".to_owned())
    });
    let victim = (1..=3).find(|it| *it != leader).expect("a follower");
    cluster.kill(victim);
    cluster.all_fresh();
    for (at, session) in sessions.iter().enumerate() {
        let seen = client.authenticate(4, session, Level::Strict);
        assert!(if at % 2 == 0 { seen.is_no("session_revoked") } else { seen.is_active() }, "session {at}: {seen:?}");
    }
    let late = client.start_surely(4, "ada");
    client.revoke_surely(4, &late);
    facts::happy_end(&cluster);
}
