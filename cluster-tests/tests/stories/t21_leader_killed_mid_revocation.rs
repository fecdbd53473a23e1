//! G1, G2, G7: a leader dies among revocations, and every answer stays honest.
//!
//! 1. Three times: sessions are started, and clients revoke one each through all three nodes.
//! 2. When some are acknowledged, the leader is killed.
//! 3. What was acknowledged is refused everywhere, what was refused is active, what is unknown is the same on every node.
//! 4. The killed node comes back, and knows the same.

use cluster_tests::client::{Level, Started, Write};
use cluster_tests::cluster::Cluster;
use cluster_tests::facts::{self, wait_for};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SESSIONS: u64 = 36;
const BEFORE_THE_KILL: usize = 6;

#[test]
fn t21_leader_killed_mid_revocation_loses_nothing_acknowledged() {
    let cluster = Cluster::formed("t21", 3);
    for round in 0..3 {
        let client = cluster.client("t21");
        let sessions: Vec<Started> = (0..SESSIONS).map(|at| client.start_surely(1 + at % 3, &format!("user-{round}"))).collect();
        let leader = cluster.wait_leader();
        let endings = revoke_all_and_kill(&cluster, &sessions, leader);

        let survivors: Vec<u64> = (1..=3).filter(|it| *it != leader).collect();
        cluster.fresh(&survivors);
        agree(&cluster, &survivors, &sessions, &endings);
        cluster.start(leader);
        cluster.all_fresh();
        agree(&cluster, &[leader], &sessions, &endings);
    }
    facts::happy_end(&cluster);
}

/// Each session is revoked once, and the leader killed when some revocations are acknowledged.
fn revoke_all_and_kill(cluster: &Cluster, sessions: &[Started], leader: u64) -> Vec<Write<()>> {
    let acknowledged = AtomicUsize::new(0);
    let endings: Vec<Mutex<Option<Write<()>>>> = sessions.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for node in 1..=3 {
            let (acknowledged, endings) = (&acknowledged, &endings);
            let client = cluster.client(&format!("revoker-{node}"));
            scope.spawn(move || {
                for (session, ending) in sessions.iter().zip(endings).skip(usize::try_from(node - 1).expect("small")).step_by(3) {
                    let write = match client.revoke(node, session) {
                        Write::Done(_) => Write::Done(()),
                        Write::Refused(code) => Write::Refused(code),
                        Write::Unknown(why) => Write::Unknown(why),
                    };
                    if matches!(write, Write::Done(())) {
                        acknowledged.fetch_add(1, Ordering::SeqCst);
                    }
                    *ending.lock().expect("nobody fails with this lock") = Some(write);
                }
            });
        }
        wait_for("some acknowledged revocations", Duration::from_secs(20), || (acknowledged.load(Ordering::SeqCst) >= BEFORE_THE_KILL).then_some(()));
        cluster.kill(leader);
    });
    endings.into_iter().map(|it| it.into_inner().expect("nobody failed").expect("every session was revoked once")).collect()
}

#[track_caller]
fn agree(cluster: &Cluster, nodes: &[u64], sessions: &[Started], endings: &[Write<()>]) {
    let client = cluster.client("t21-after");
    for (session, ending) in sessions.iter().zip(endings) {
        let seen: Vec<_> = nodes.iter().map(|node| client.authenticate(*node, session, Level::Strict)).collect();
        let (active, revoked) = (seen.iter().all(cluster_tests::client::Seen::is_active), seen.iter().all(|it| it.is_no("session_revoked")));
        match ending {
            Write::Done(()) => assert!(revoked, "acknowledged, but {seen:?}"),
            Write::Refused(code) => assert!(active, "refused with {code}, but {seen:?}"),
            Write::Unknown(why) => assert!(active || revoked, "unknown ({why}), and the nodes differ: {seen:?}"),
        }
    }
}
