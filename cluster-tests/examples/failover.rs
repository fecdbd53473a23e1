//! Measures how long a cluster of three is without its leader: from SIGKILL to the next acknowledged write on another node, and to three
//! fresh nodes again, the killed one restarted at once.
//!
//! `cargo run --release -p cluster-tests --example failover -- 30`
//! The node is built in the same profile; with `CURFEW_TEST_BIN` another program is measured.

use cluster_tests::clock::now_us;
use cluster_tests::cluster::Cluster;

fn main() {
    let rounds: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(30).clamp(1, 1_000);
    let cluster = Cluster::formed("failover", 3);
    let client = cluster.client("failover");
    let (mut to_write, mut to_fresh) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let leader = cluster.all_fresh();
        let other = cluster.running().into_iter().find(|id| *id != leader).expect("three nodes run");
        let killed = now_us();
        cluster.kill(leader);
        client.start_surely(other, &format!("user-{round}"));
        to_write.push(now_us() - killed);
        cluster.start(leader);
        cluster.all_fresh();
        to_fresh.push(now_us() - killed);
    }
    println!("{rounds} leaders killed, milliseconds from SIGKILL (median, 90th, 99th percentile, maximum)");
    print("to the next acknowledged write", to_write);
    print("to three fresh nodes", to_fresh);
}

fn print(what: &str, mut us: Vec<u64>) {
    us.sort_unstable();
    let at = |percent: usize| us[(us.len() * percent / 100).min(us.len() - 1)] / 1_000;
    println!("{what:32} {:5} {:5} {:5} {:5}", at(50), at(90), at(99), at(100));
}
