//! G8: the feed is resumed on another node without a gap and without a repetition, while leaders die.
//!
//! 1. A subscriber at each node; clients start and revoke on all nodes.
//! 2. Twice the leader is killed, and started again when the others have gone on; in between every subscriber is broken off and resumes elsewhere.
//! 3. Each was told exactly the committed revocations since it began, in order, byte for byte the same.

use cluster_tests::chance::Chance;
use cluster_tests::check;
use cluster_tests::cluster::Cluster;
use cluster_tests::facts::{self, wait_for};
use cluster_tests::history::{Ending, Operation};
use cluster_tests::load;
use std::collections::BTreeSet;
use std::time::Duration;

const REVOCATIONS_A_ROUND: usize = 12;

#[test]
fn t51_feed_resumes_elsewhere_under_leader_kills() {
    let chance = Chance::of_this_run("t51");
    let cluster = Cluster::formed("t51", 3);
    let first = cluster.client("t51").start_surely(1, "ada");
    let subscribers = [1, 2, 3].map(|node| cluster.follow(node, Some(&first.position), ""));
    load::during(&cluster, &chance, 3, &[1, 2, 3], || {
        for round in 1..=2 {
            more_revocations(&cluster);
            let leader = cluster.wait_leader();
            cluster.kill(leader);
            cluster.all_fresh();
            more_revocations(&cluster);
            subscribers.iter().for_each(|it| it.break_off());
            cluster.start(leader);
            cluster.all_fresh();
            println!("t51: round {round}: node {leader} led, died and came back");
        }
        more_revocations(&cluster);
    });
    cluster.all_fresh();
    let last = cluster.client("t51").start_surely(1, "ada");
    let last = cluster.client("t51").revoke_surely(1, &last);
    let told = subscribers.map(|subscriber| {
        subscriber.wait_index(last.index);
        subscriber.told()
    });
    assert!(told.iter().all(|it| it.last().is_some_and(|it| it.connection >= 3)), "every subscriber has resumed");
    assert!(told.iter().flatten().all(|it| it.event != "resync"), "the backlog reached back far enough");
    check::none_of(&check::feeds(&told, &acknowledged(&cluster)));
    facts::happy_end(&cluster);
}

/// The indexes of what was acknowledged; a revocation that ended nothing makes no entry in the feed.
fn acknowledged(cluster: &Cluster) -> BTreeSet<u64> {
    let mut ended: BTreeSet<String> = BTreeSet::new();
    let mut lines = cluster.recorder().lines();
    lines.sort_by_key(|it| match it.ending {
        Ending::Done { index } => index,
        _ => u64::MAX,
    });
    let mut perhaps: BTreeSet<String> = BTreeSet::new();
    for line in &lines {
        if let (Operation::RevokeSession { session }, Ending::Unknown) = (&line.operation, &line.ending) {
            perhaps.insert(session.clone());
        }
    }
    let mut indexes = BTreeSet::new();
    for line in lines {
        if let (Operation::RevokeSession { session }, Ending::Done { index }) = (line.operation, line.ending)
            && !perhaps.contains(&session)
            && ended.insert(session)
        {
            indexes.insert(index);
        }
    }
    indexes
}

#[track_caller]
fn more_revocations(cluster: &Cluster) {
    let wanted = acknowledged(cluster).len() + REVOCATIONS_A_ROUND;
    wait_for("more acknowledged revocations", Duration::from_secs(30), || (acknowledged(cluster).len() >= wanted).then_some(()));
}
