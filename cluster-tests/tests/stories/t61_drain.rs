//! SIGTERM drains: what runs is finished, leadership is handed on, the process ends with 0 within ten seconds.
//!
//! 1. Clients start, authenticate and revoke on all nodes.
//! 2. Each node in turn, the leader first, gets SIGTERM: it ends by itself, with 0, in time; the others go on; it comes back.
//! 3. No write that was sent to it ended as unknown.

use cluster_tests::chance::Chance;
use cluster_tests::cluster::Cluster;
use cluster_tests::facts;
use cluster_tests::history::Ending;
use cluster_tests::load;
use std::time::Duration;

#[test]
fn t61_drain_ends_with_zero_in_time() {
    let chance = Chance::of_this_run("t61");
    let cluster = Cluster::formed("t61", 3);
    load::during(&cluster, &chance, 3, &[1, 2, 3], || {
        for _ in 0..2 {
            let leader = cluster.wait_leader();
            let status = cluster.terminate(leader, Duration::from_secs(10));
            assert_eq!(status.code(), Some(0), "node {leader}: {status}: {}", cluster.log(leader));
            cluster.all_fresh();
            cluster.start(leader);
            cluster.all_fresh();
        }
    });
    let unknown: Vec<_> = cluster.recorder().lines().into_iter().filter(|it| it.ending == Ending::Unknown).collect();
    assert!(unknown.is_empty(), "a drained node finishes what it took: {unknown:#?}");
    facts::happy_end(&cluster);
}
