//! SIGTERM drains: what runs is finished, leadership is handed on, the process ends with 0 within ten seconds.
//!
//! 1. Clients start, authenticate and revoke on all nodes.
//! 2. Each node in turn, the leader first, gets SIGTERM: it ends by itself, with 0, in time; the others go on; it comes back.
//! 3. Whatever was asked before the signal got its answer. (A connection that comes while the listener closes may be lost, which is honest.)

use cluster_tests::chance::Chance;
use cluster_tests::clock::now_us;
use cluster_tests::cluster::Cluster;
use cluster_tests::facts;
use cluster_tests::history::{Ending, Line};
use cluster_tests::load;
use std::time::Duration;

#[test]
fn t61_drain_ends_with_zero_in_time() {
    let chance = Chance::of_this_run("t61");
    let cluster = Cluster::formed("t61", 3);
    let mut ends = Vec::new();
    load::during(&cluster, &chance, 3, &[1, 2, 3], || {
        for _ in 0..2 {
            let leader = cluster.wait_leader();
            let asked = now_us();
            let status = cluster.terminate(leader, Duration::from_secs(10));
            assert_eq!(status.code(), Some(0), "node {leader}: {status}: {}", cluster.log(leader));
            ends.push((leader, asked, now_us()));
            cluster.all_fresh();
            cluster.start(leader);
            cluster.all_fresh();
        }
    });
    let lines = cluster.recorder().lines();
    let while_it_ended = |it: &Line| ends.iter().any(|(node, asked, ended)| it.node == *node && (*asked..=*ended).contains(&it.t0));
    let unknown: Vec<_> = lines.iter().filter(|it| it.ending == Ending::Unknown && !while_it_ended(it)).collect();
    assert!(unknown.is_empty(), "what was asked before a node was told to end gets its answer: {unknown:#?}");
    facts::happy_end(&cluster);
}
