//! G3: a follower that slept tells the truth, or that it is stale.
//!
//! 1. A follower is paused (SIGSTOP); a session is revoked on the others.
//! 2. For longer than `max_staleness` the others refuse it; then clients ask the sleeper, whose kernel keeps their requests.
//! 3. It wakes: each answer is `session_revoked` or `node_stale`, never yes; and what comes after, until it is fresh, as well.

use cluster_tests::client::{Level, Seen};
use cluster_tests::cluster::Cluster;
use cluster_tests::facts::{self, MAX_STALENESS_MS, holds_for};
use std::time::Duration;

#[test]
fn t40_paused_follower_wakes_and_tells_the_truth() {
    let cluster = Cluster::formed("t40", 3);
    let client = cluster.client("t40");
    let sleeper = cluster.a_follower();
    let session = client.start_surely(sleeper, "ada");
    assert!(client.authenticate(sleeper, &session, Level::Local).is_active());

    cluster.pause(sleeper);
    let awake = cluster.wait_leader();
    client.revoke(awake, &session).done("a revocation on the others");
    let longer = Duration::from_millis(MAX_STALENESS_MS + 200);
    holds_for("the others refuse it", longer, || client.authenticate(awake, &session, Level::Local).is_no("session_revoked"));

    let answers = super::ask_a_sleeper(&cluster, sleeper, &session);
    assert!(answers.iter().all(honest), "{answers:?}");
    cluster.all_fresh();
    assert!(client.authenticate(sleeper, &session, Level::Local).is_no("session_revoked"));
    facts::happy_end(&cluster);
}

pub(crate) fn honest(seen: &Seen) -> bool {
    matches!(seen, Seen::No(code) if code == "session_revoked") || matches!(seen, Seen::NotNow(_))
}
