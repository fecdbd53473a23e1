//! Waiting for facts: a story says what must become true and by when, never how long to sleep.

use crate::client::Level;
use crate::cluster::{Cluster, PATIENCE};
use crate::history::Operation;
use crate::{check, clock};
use std::collections::BTreeSet;
use std::time::Duration;

/// How often a fact is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Looks until `fact` has something to show.
///
/// # Panics
/// When `within` has passed; the message names `what`.
#[track_caller]
pub fn wait_for<T>(what: &str, within: Duration, mut fact: impl FnMut() -> Option<T>) -> T {
    let mut last = String::new();
    try_for(within, || fact().ok_or_else(String::new), &mut last).unwrap_or_else(|| panic!("waited {within:?} in vain for: {what}"))
}

/// Looks until `fact` answers `Ok`; in the other case it says what is still missing.
///
/// # Panics
/// When `within` has passed; the message names `what` and the last thing that was missing.
#[track_caller]
pub fn wait_until<T>(what: &str, within: Duration, fact: impl FnMut() -> Result<T, String>) -> T {
    let mut missing = String::new();
    let found = try_for(within, fact, &mut missing);
    found.unwrap_or_else(|| panic!("waited {within:?} in vain for: {what}; the last look said: {missing}"))
}

/// Watches that `fact` stays true for `time`: for what must not happen.
///
/// # Panics
/// At the first look at which it is not.
#[track_caller]
pub fn holds_for(what: &str, time: Duration, mut fact: impl FnMut() -> bool) {
    let until = deadline(time);
    while clock::now_us() < until {
        assert!(fact(), "did not stay true: {what}");
        clock::park(LOOK_EVERY);
    }
}

fn try_for<T>(within: Duration, mut fact: impl FnMut() -> Result<T, String>, missing: &mut String) -> Option<T> {
    let until = deadline(within);
    loop {
        match fact() {
            Ok(found) => return Some(found),
            Err(what) => *missing = what,
        }
        if clock::now_us() >= until {
            return None;
        }
        clock::park(LOOK_EVERY);
    }
}

fn deadline(within: Duration) -> u64 {
    clock::now_us() + u64::try_from(within.as_micros()).expect("a deadline within reason")
}

/// How every story ends: all running nodes are fresh, every session of the history is looked at once more, the history is judged, and the digests
/// are equal.
#[track_caller]
pub fn happy_end(cluster: &Cluster) {
    cluster.all_fresh();
    look_again(cluster);
    check::none_of(&check::history(&cluster.recorder().lines(), MAX_STALENESS_MS));
    equal_digests(cluster);
}

/// The policy's default, which no story changes.
pub const MAX_STALENESS_MS: u64 = 2_000;

/// A strict look at every session of the history, at one node after the other: what was acknowledged must still be so.
#[track_caller]
fn look_again(cluster: &Cluster) {
    let client = cluster.client("last look");
    let nodes = cluster.running();
    let sessions: BTreeSet<String> = cluster.recorder().lines().into_iter().filter_map(|it| session_of(it.operation)).collect();
    for (session, node) in sessions.iter().zip(nodes.iter().cycle()) {
        wait_until(&format!("a last look at {session} at node {node}"), PATIENCE, || client.look(*node, session, Level::Strict));
    }
}

fn session_of(operation: Operation) -> Option<String> {
    match operation {
        Operation::Start { session, .. } => session,
        Operation::Read { session, .. } | Operation::RevokeSession { session } => Some(session),
        Operation::RevokeUser { .. } => None,
    }
}

/// All running nodes come to the same applied index, and there their digests are equal.
///
/// # Panics
/// When two nodes hold another state at the same index, or do not come to the same index in time.
#[track_caller]
pub fn equal_digests(cluster: &Cluster) {
    let compared = wait_until("all nodes at the same applied index", PATIENCE, || {
        let mut seen = Vec::new();
        for node in cluster.running() {
            let status = cluster.status(node).ok_or_else(|| format!("node {node} gives no status"))?;
            seen.push((node, status.node.digest.index, status.node.digest.sha256));
        }
        let (_, index, _) = seen.first().cloned().ok_or("no node is running")?;
        if seen.iter().all(|it| it.1 == index) { Ok(seen) } else { Err(format!("{seen:?}")) }
    });
    let (_, index, digest) = &compared[0];
    assert!(compared.iter().all(|it| it.2 == *digest), "the nodes differ at index {index}: {compared:?}");
}
