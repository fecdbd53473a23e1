//! G1: nodes find each other at their first start, in any order and however late; a wrong list stops them, and they say why.
//!
//! 1. Node 3 starts with a list that lacks node 2, then node 2, then node 1: nothing forms, and what is said names the peer that differs.
//! 2. Node 3 is started again with the right list: one cluster forms, of all three.
//! 3. Another cluster, started in the order 2, 3, 1, each when the one before waits: it forms when the last is there, not before.

use cluster_tests::client::Level;
use cluster_tests::cluster::{Cluster, Plan};
use cluster_tests::facts::{self, holds_for, wait_until};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn t60_first_start_in_any_order_with_a_wrong_list() {
    let cluster = Cluster::planned(Plan::new("t60a", 3).peers_seen_by(3, &[1, 3]));
    for node in [3, 2, 1] {
        cluster.start(node);
        waits(&cluster, node);
    }
    holds_for("no cluster forms on lists that differ", Duration::from_secs(2), || (1..=3).all(|node| unformed(&cluster, node)));
    wait_until("node 1 says that node 3's list differs", Duration::from_secs(10), || {
        let told = cluster.status(1).and_then(|it| it.waiting_for).unwrap_or_default();
        if told.contains("node 3") && told.contains("list") { Ok(()) } else { Err(told) }
    });
    assert!(cluster.log(1).contains("another list"), "the log says it too: {}", cluster.log(1));

    cluster.kill(3);
    cluster.correct_peers(3);
    cluster.start(3);
    one_cluster(&cluster);
}

#[test]
fn t60_first_start_minutes_apart() {
    let cluster = Cluster::planned(Plan::new("t60b", 3));
    for node in [2, 3] {
        cluster.start(node);
        waits(&cluster, node);
    }
    holds_for("two of three do not form a cluster", Duration::from_secs(1), || [2, 3].iter().all(|node| unformed(&cluster, *node)));
    cluster.start(1);
    one_cluster(&cluster);
}

/// It answers, and has not formed a cluster.
#[track_caller]
fn waits(cluster: &Cluster, node: u64) {
    wait_until(&format!("node {node} answers"), Duration::from_secs(20), || cluster.readyz(node).ok_or_else(|| cluster.log(node)));
    assert!(unformed(cluster, node));
}

fn unformed(cluster: &Cluster, node: u64) -> bool {
    cluster.readyz(node).is_some_and(|it| it.status == 503) && cluster.status(node).is_none_or(|it| it.cluster_id.is_none())
}

#[track_caller]
fn one_cluster(cluster: &Cluster) {
    cluster.all_fresh();
    let statuses = [1, 2, 3].map(|node| cluster.status(node).expect("a status"));
    let ids: BTreeSet<_> = statuses.iter().map(|it| it.cluster_id.clone()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(statuses.iter().all(|it| it.members.iter().filter(|it| it.voter).count() == 3), "{statuses:?}");
    let client = cluster.client("t60");
    let session = client.start_surely(3, "ada");
    assert!((1..=3).all(|node| client.authenticate(node, &session, Level::Strict).is_active()));
    facts::happy_end(cluster);
}
