//! G1: no acknowledgement leaves before a real sync.
//!
//! 1. Three nodes, one client: with each acknowledged write, the count of syncs has risen on a majority before the answer.
//! 2. One node under `strace`, which makes each sync take half a second: no acknowledgement comes sooner. (Skipped where strace is not.)

use cluster_tests::binary;
use cluster_tests::client::Write;
use cluster_tests::clock::now_us;
use cluster_tests::cluster::Cluster;
use cluster_tests::facts::{self, wait_for};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const SYNCS: &str = "curfew_store_syncs_total";
const SLOW_SYNC: Duration = Duration::from_millis(500);

#[test]
fn t81_each_acknowledged_write_was_synced_on_a_majority() {
    let cluster = Cluster::formed("t81a", 3);
    let client = cluster.client("t81");
    for _ in 0..10 {
        let before = [1, 2, 3].map(|node| cluster.metric(node, SYNCS));
        client.start_surely(1, "ada");
        let after = [1, 2, 3].map(|node| cluster.metric(node, SYNCS));
        let risen = before.iter().zip(after).filter(|(before, after)| after > before).count();
        assert!(risen >= 2, "syncs before {before:?}, after {after:?}");
    }
    facts::happy_end(&cluster);
}

#[test]
fn t81_an_acknowledgement_waits_for_the_disk() {
    if !strace_works() {
        println!("skipped: needs strace and the right to trace");
        return;
    }
    let cluster = Cluster::formed("t81b", 1);
    let client = cluster.client("t81");
    client.start_surely(1, "ada");
    let inject = format!("--inject=fdatasync,fsync:delay_enter={}", SLOW_SYNC.as_micros());
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-e", "trace=fdatasync,fsync", &inject, "-o", "/dev/null", "-p", &cluster.pid(1).to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let mut strace = binary::start(&mut strace).expect("strace can be run");
    let threads = format!("/proc/{}/task", cluster.pid(1));
    wait_for("the tracer is attached to every thread", Duration::from_secs(10), || {
        let mut threads = std::fs::read_dir(&threads).ok()?.filter_map(Result::ok);
        threads.all(|it| is_traced(&it.path().join("status"))).then_some(())
    });
    let mut done = 0;
    for _ in 0..3 {
        let before = now_us();
        if let Write::Done(_) = client.start(1, "ada") {
            let took = Duration::from_micros(now_us() - before);
            assert!(took >= SLOW_SYNC, "acknowledged after {took:?}, and a sync takes {SLOW_SYNC:?}");
            done += 1;
        }
    }
    assert!(done > 0, "no write was acknowledged: nothing is proven");
    strace.kill().and_then(|()| strace.wait()).expect("the tracer ends");
    facts::happy_end(&cluster);
}

fn is_traced(status: &Path) -> bool {
    // A thread that has just ended needs no tracer.
    std::fs::read_to_string(status).map_or(true, |it| it.lines().any(|it| it.starts_with("TracerPid:") && !it.ends_with("\t0")))
}

fn strace_works() -> bool {
    let mut trial = Command::new("strace");
    trial.args(["-o", "/dev/null", "true"]).stderr(Stdio::null());
    binary::start(&mut trial).and_then(|mut it| it.wait()).is_ok_and(|it| it.success())
}
