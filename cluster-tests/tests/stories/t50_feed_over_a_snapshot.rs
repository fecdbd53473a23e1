//! G8: a node that catches up by snapshot still tells its subscribers everything.
//!
//! 1. Two subscribers follow the feed at one follower: one from now, one from a position before some revocations.
//! 2. That node is cut off; sessions are revoked on the others, one by one and all of a user, and the log with them is purged.
//! 3. The links heal: the node catches up by snapshot. Each subscriber is told every revocation, or `resync`, and the list then has the rest.

use cluster_tests::check;
use cluster_tests::client::Started;
use cluster_tests::cluster::{Cluster, PATIENCE, Plan};
use cluster_tests::facts;
use std::collections::BTreeSet;

#[test]
fn t50_feed_tells_all_over_a_snapshot_install() {
    let cluster = Cluster::planned(Plan::new("t50", 3).settings(super::SHORT_LOG));
    cluster.start_all();
    cluster.all_fresh();
    let client = cluster.client("t50");
    let lonely = cluster.a_follower();
    let sessions: Vec<Started> = (0..40).map(|at| client.start_surely(1 + at % 3, if at < 30 { "ada" } else { "eve" })).collect();
    let mut acknowledged: BTreeSet<u64> = sessions[..5].iter().map(|it| client.revoke_surely(lonely, it).index).collect();
    let from_before = cluster.follow_only(lonely, Some(&sessions[39].position));
    let from_now = cluster.follow_only(lonely, None);
    from_before.wait_index(*acknowledged.last().expect("five"));
    from_now.wait("a first heartbeat", PATIENCE, |told| told.iter().any(|it| it.event == "heartbeat").then_some(()));

    cluster.cut_off(lonely);
    let others: Vec<u64> = (1..=3).filter(|it| *it != lonely).collect();
    let leader = cluster.fresh(&others);
    acknowledged.extend(sessions[5..30].iter().map(|it| client.revoke_surely(leader, it).index));
    let wide = client.revoke_user(leader, "eve", None).done("a wide revocation");
    acknowledged.insert(wide.index);
    let snapshot = super::snapshot_and_purge(&cluster, &others);
    assert!(snapshot >= wide.index);

    cluster.heal();
    cluster.all_fresh();
    let status = cluster.status(lonely).expect("a status");
    assert!(status.node.snapshot_index >= Some(snapshot), "it caught up by snapshot: {status:?}");
    let told = [from_before, from_now].map(|subscriber| {
        subscriber.wait_index(wide.index);
        subscriber.told()
    });
    check::none_of(&check::feeds(&told, &acknowledged));
    let list = client.ask(lonely, "GET", &format!("/v1/revocations?after={}&limit=1000", sessions[39].position), None).expect("an answer");
    let listed: BTreeSet<u64> = list.body["revocations"].as_array().expect("a list").iter().filter_map(|it| it["index"].as_u64()).collect();
    assert_eq!(listed, acknowledged, "the list has every revocation");
    facts::happy_end(&cluster);
}
