//! G3: a node without the majority goes stale, says so, and recovers.
//!
//! 1. A follower is cut off: it answers `node_stale`, its `/readyz` is 503, its feed keeps beating with `fresh:false`.
//! 2. The majority revokes a session: the cut-off node never accepts it later than `max_staleness` afterwards.
//! 3. The links heal: the node is fresh again, its subscriber is told the revocation.
//! 4. The same with the leader: the others elect one of them and go on.

use cluster_tests::client::{Level, Seen, Write};
use cluster_tests::cluster::Cluster;
use cluster_tests::facts::{self, wait_until};
use std::time::Duration;

#[test]
fn t42_minority_goes_stale_and_recovers() {
    let cluster = Cluster::formed("t42", 3);
    let follower = cluster.a_follower();
    cut_off_and_heal(&cluster, follower);
    let leader = cluster.wait_leader();
    cut_off_and_heal(&cluster, leader);
    facts::happy_end(&cluster);
}

fn cut_off_and_heal(cluster: &Cluster, lonely: u64) {
    let client = cluster.client("t42").patience(Duration::from_secs(11));
    let session = client.start_surely(lonely, "ada");
    let subscriber = cluster.follow_only(lonely, Some(&session.position));
    subscriber.wait_index(session.index);
    let majority: Vec<u64> = (1..=3).filter(|it| *it != lonely).collect();

    cluster.cut_off(lonely);
    cluster.fresh(&majority);
    let revoked = client.revoke_surely(majority[0], &session);
    wait_until("the lonely node is stale", Duration::from_secs(10), || match client.authenticate(lonely, &session, Level::Local) {
        Seen::NotNow(code) if code == "node_stale" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let readyz = cluster.readyz(lonely).expect("a node without a majority answers");
    assert_eq!(readyz.status, 503, "{readyz:?}");
    let seen = client.authenticate(lonely, &session, Level::Strict);
    assert!(matches!(seen, Seen::NotNow(_)), "strict without a majority: {seen:?}");
    assert!(!matches!(client.start(lonely, "eve"), Write::Done(_)), "a write without a majority");
    let beats = subscriber.told().len();
    subscriber.wait("heartbeats that are not fresh", Duration::from_secs(5), |told| {
        let unfresh = told[beats..].iter().filter(|it| it.event == "heartbeat" && it.json()["fresh"] == false).count();
        (unfresh >= 3).then_some(())
    });

    cluster.heal();
    cluster.all_fresh();
    assert!(client.authenticate(lonely, &session, Level::Local).is_no("session_revoked"));
    subscriber.wait("the revocation", Duration::from_secs(10), |told| {
        told.iter().any(|it| it.event == "revocation" && it.index() == Some(revoked.index)).then_some(())
    });
    subscriber.wait("that the node is fresh again", Duration::from_secs(10), |told| {
        told.iter().any(|it| it.event == "heartbeat" && it.index() >= Some(revoked.index) && it.json()["fresh"] == true).then_some(())
    });
}
