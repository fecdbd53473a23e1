//! G2, G3: a revocation that a follower took holds everywhere.
//!
//! 1. Three nodes, a user with sessions, one of them revoked through a follower: at once every node refuses it `strict`, and `local` every node
//!    refuses it within `max_staleness` of the acknowledgement, counted from the start of the request.
//! 2. Its other credential is refused too. Revoking again ends nothing, and says so.
//! 3. All of the user's sessions but one are revoked through the other follower: they are refused everywhere, the one goes on.

use cluster_tests::client::{Level, Started};
use cluster_tests::cluster::Cluster;
use cluster_tests::facts::{self, MAX_STALENESS_MS, wait_until};
use std::time::Duration;

#[test]
fn t20_revoke_on_a_follower_is_refused_everywhere() {
    let cluster = Cluster::formed("t20", 3);
    let client = cluster.client("t20");
    let leader = cluster.wait_leader();
    let followers: Vec<u64> = (1..=3).filter(|it| *it != leader).collect();
    let sessions: Vec<Started> = (0..4).map(|at| client.start_surely(1 + at % 3, "ada")).collect();
    for session in &sessions {
        (1..=3).for_each(|node| assert!(client.authenticate(node, session, Level::Local).is_active()));
    }

    let revoked = client.revoke(followers[0], &sessions[0]).done("a revocation through a follower");
    assert_eq!(revoked.count, 1);
    refused_everywhere(&cluster, &sessions[0]);
    assert_eq!(client.revoke(followers[1], &sessions[0]).done("the same again").count, 0);

    let revoked = client.revoke_user(followers[1], "ada", Some(&sessions[3])).done("a wide revocation");
    assert_eq!(revoked.count, 2, "two of four are active and not excepted");
    refused_everywhere(&cluster, &sessions[1]);
    refused_everywhere(&cluster, &sessions[2]);
    for node in 1..=3 {
        assert!(client.authenticate(node, &sessions[3], Level::Strict).is_active());
        assert!(client.authenticate(node, &sessions[3], Level::Local).is_active());
    }
    facts::happy_end(&cluster);
}

/// Right after the acknowledgement. That no `local` accept begins later than `max_staleness` is judged from the history, too.
#[track_caller]
fn refused_everywhere(cluster: &Cluster, session: &Started) {
    let client = cluster.client("t20-refused");
    for node in 1..=3 {
        let seen = client.authenticate(node, session, Level::Strict);
        assert!(seen.is_no("session_revoked"), "strict at node {node}: {seen:?}");
        let seen = client.authenticate_jwt(node, session, Level::Strict);
        assert!(seen.is_no("session_revoked"), "strict by JWT at node {node}: {seen:?}");
    }
    for node in 1..=3 {
        wait_until(&format!("node {node} refuses locally"), Duration::from_millis(MAX_STALENESS_MS), || {
            let seen = client.authenticate(node, session, Level::Local);
            if seen.is_no("session_revoked") { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    }
}
