//! G1, G5: every node is killed at once, and restarted: nothing acknowledged is lost.
//!
//! 1. Twice: clients start, authenticate and revoke on all three nodes; when enough is done, all three are killed.
//! 2. All are restarted. The history, with a strict look at every session, is judged: what was done is there, in its order.

use cluster_tests::chance::Chance;
use cluster_tests::cluster::Cluster;
use cluster_tests::facts::{self, wait_for};
use cluster_tests::history::{Ending, Line};
use cluster_tests::load;
use std::time::Duration;

const WRITES: usize = 60;

#[test]
fn t30_all_killed_and_restarted() {
    let chance = Chance::of_this_run("t30");
    let cluster = Cluster::formed("t30", 3);
    for round in 1..=2 {
        load::during(&cluster, &chance.branch(round as u64), 4, &[1, 2, 3], || {
            wait_for("enough acknowledged writes", Duration::from_secs(30), || (done(&cluster.recorder().lines()) >= WRITES * round).then_some(()));
            (1..=3).for_each(|node| cluster.kill(node));
        });
        cluster.start_all();
        cluster.all_fresh();
    }
    facts::happy_end(&cluster);
}

fn done(lines: &[Line]) -> usize {
    lines.iter().filter(|it| matches!(it.ending, Ending::Done { .. })).count()
}
