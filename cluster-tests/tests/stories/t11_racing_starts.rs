//! G10: what was acknowledged anywhere is never `session_not_found` elsewhere.
//!
//! 1. On each of three nodes a client starts sessions as fast as it can.
//! 2. Each session is handed, the moment its start is acknowledged, to a client at each other node, which authenticates it `local`, by token and
//!    by JWT.
//! 3. No answer is `session_not_found` or `token_invalid`, and in a healthy cluster none is `node_stale`.

use cluster_tests::client::{Level, Seen, Started};
use cluster_tests::cluster::Cluster;
use cluster_tests::facts;
use std::sync::mpsc;

const STARTS_PER_NODE: usize = 40;

#[test]
fn t11_racing_starts_are_found_everywhere() {
    let cluster = Cluster::formed("t11", 3);
    let (mut doors, mut halls) = (Vec::new(), Vec::new());
    for node in 1..=3 {
        let (door, hall) = mpsc::channel::<Started>();
        doors.push((node, door));
        halls.push((node, hall));
    }
    std::thread::scope(|scope| {
        for from in 1..=3 {
            let others: Vec<_> = doors.iter().filter(|it| it.0 != from).map(|it| it.1.clone()).collect();
            let client = cluster.client(&format!("starter-{from}"));
            scope.spawn(move || {
                for _ in 0..STARTS_PER_NODE {
                    let session = client.start_surely(from, "ada");
                    others.iter().for_each(|it| it.send(session.clone()).expect("the reader listens"));
                }
            });
        }
        drop(doors);
        for (node, hall) in halls {
            let client = cluster.client(&format!("reader-{node}"));
            scope.spawn(move || {
                for session in hall {
                    found(&client.authenticate(node, &session, Level::Local), node);
                    found(&client.authenticate_jwt(node, &session, Level::Local), node);
                }
            });
        }
    });
    facts::happy_end(&cluster);
}

#[track_caller]
fn found(seen: &Seen, node: u64) {
    assert!(seen.is_active(), "node {node}: {seen:?}");
}
