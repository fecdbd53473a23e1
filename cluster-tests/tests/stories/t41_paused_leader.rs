//! G2, G3: a leader that slept through its successor's election tells the truth, or that it is stale.
//!
//! 1. The leader is paused; the others elect one of them and revoke a session.
//! 2. For longer than `max_staleness` they refuse it; then clients ask the sleeper, `local` and `strict`, and one tries to write.
//! 3. It wakes: no answer is yes. It becomes a fresh follower.

use super::t40_paused_follower::honest;
use cluster_tests::client::Level;
use cluster_tests::cluster::Cluster;
use cluster_tests::facts::{self, MAX_STALENESS_MS, holds_for};
use std::time::Duration;

#[test]
fn t41_paused_leader_wakes_and_tells_the_truth() {
    let cluster = Cluster::formed("t41", 3);
    let client = cluster.client("t41");
    let sleeper = cluster.wait_leader();
    let session = client.start_surely(sleeper, "ada");
    assert!(client.authenticate(sleeper, &session, Level::Strict).is_active());

    cluster.pause(sleeper);
    let awake = cluster.all_fresh();
    client.revoke_surely(awake, &session);
    let longer = Duration::from_millis(MAX_STALENESS_MS + 200);
    holds_for("the others refuse it", longer, || client.authenticate(awake, &session, Level::Local).is_no("session_revoked"));

    let answers = super::ask_a_sleeper(&cluster, sleeper, &session);
    assert!(answers.iter().all(honest), "{answers:?}");
    cluster.all_fresh();
    assert!(client.authenticate(sleeper, &session, Level::Strict).is_no("session_revoked"));
    facts::happy_end(&cluster);
}
