//! Clients that go on while a story hurts the cluster.

use crate::chance::Chance;
use crate::client::{Client, Level, Seen, Started, Write};
use crate::cluster::Cluster;
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `clients` clients on all `nodes` while `story` runs, and returns what it returned. Each starts sessions, authenticates and revokes its
/// own ones, a third of the reads strict; what they saw is in the cluster's history.
pub fn during<T>(cluster: &Cluster, seed: &Chance, clients: u64, nodes: &[u64], story: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    // The clients end even when the story fails: its panic is passed on only after they have.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    std::thread::scope(|scope| {
        let end = End(&over);
        for number in 0..clients {
            let client = cluster.client(&format!("load-{number}"));
            let mut chance = seed.branch(number);
            let over = &over;
            scope.spawn(move || go_on(&client, &mut chance, &format!("user-{number}"), nodes, over));
        }
        let told = story();
        drop(end);
        told
    })
}

fn go_on(client: &Client, chance: &mut Chance, user: &str, nodes: &[u64], over: &AtomicBool) {
    let mut mine: Vec<Started> = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let node = *chance.pick(nodes);
        if mine.is_empty() || chance.percent(20) {
            if let Write::Done(session) = client.start(node, user) {
                mine.push(session);
            }
        } else if chance.percent(20) {
            drop(client.revoke(node, chance.pick(&mine)));
        } else {
            let session = chance.pick(&mine);
            let level = if chance.percent(33) { Level::Strict } else { Level::Local };
            if let Seen::Silence(_) | Seen::NotNow(_) = client.authenticate(node, session, level) {
                crate::clock::park(std::time::Duration::from_millis(20));
            }
        }
        // What is long over teaches little: the newest sessions are asked about.
        if mine.len() > 8 {
            mine.remove(0);
        }
    }
}
