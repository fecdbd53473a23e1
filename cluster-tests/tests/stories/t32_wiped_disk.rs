//! G1, G5: a disk that was wiped cannot vote away what was acknowledged.
//!
//! 1. Node 3 is down; revocations are acknowledged by 1 and 2.
//! 2. Node 2 loses its disk, node 1 goes down, and 2 (empty, under its old id) and 3 are started: together they would be a majority.
//! 3. They must not go on without what 1 knows: neither is ready, no write is done, no revoked session is accepted.
//! 4. Node 1 comes back: 1 and 3 go on, and every acknowledged revocation holds. Node 2 stays out.
//! 5. Node 2 is removed, and a node with a new id takes its place.

use cluster_tests::client::{Level, Started, Write};
use cluster_tests::cluster::{Cluster, Plan};
use cluster_tests::facts::{self, holds_for, wait_until};
use std::time::Duration;

/// Ten times the longest election time-out, and more than `max_staleness`.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

#[test]
fn t32_wiped_disk_cannot_take_part() {
    let cluster = Cluster::planned(Plan::new("t32", 3).spares(1));
    cluster.start_all();
    cluster.all_fresh();
    let client = cluster.client("t32").patience(Duration::from_millis(800));
    let sessions: Vec<Started> = (0..12).map(|at| client.start_surely(1 + at % 3, "ada")).collect();
    cluster.kill(3);
    cluster.fresh(&[1, 2]);
    for session in &sessions {
        client.revoke_surely(1, session);
    }

    cluster.kill(2);
    cluster.kill(1);
    cluster.wipe(2);
    cluster.start(2);
    cluster.start(3);
    wait_until("node 3 answers", Duration::from_secs(20), || cluster.readyz(3).ok_or_else(|| "not yet".to_owned()));
    holds_for("the wiped node and the one that slept do not go on", LONG_ENOUGH, || {
        let idle = [2, 3].iter().all(|node| cluster.readyz(*node).is_none_or(|it| it.status == 503));
        let refused = [2, 3].iter().all(|node| !client.authenticate(*node, &sessions[0], Level::Local).is_active());
        let undone = !matches!(client.start(3, "eve"), Write::Done(_));
        idle && refused && undone
    });

    cluster.start(1);
    cluster.fresh(&[1, 3]);
    for session in &sessions {
        for node in [1, 3] {
            let seen = client.authenticate(node, session, Level::Strict);
            assert!(seen.is_no("session_revoked"), "node {node}: {seen:?}");
        }
    }
    assert!(cluster.readyz(2).is_none_or(|it| it.status == 503), "the wiped node takes no part");

    cluster.kill(2);
    let leader = cluster.fresh(&[1, 3]);
    wait_until("node 2 is removed", Duration::from_secs(20), || match client.admin(leader, "DELETE", "/admin/v1/cluster/members/2", None) {
        Write::Done(_) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cluster.start(4);
    super::add_member(&cluster, leader, 4);
    cluster.fresh(&[1, 3, 4]);
    facts::happy_end(&cluster);
}
