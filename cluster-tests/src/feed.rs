//! A subscriber: follows the feed in a thread of its own, resumes by `Last-Event-ID`, and keeps everything that it was told.

use crate::client::Address;
use crate::clock::{now_us, park};
use crate::sse::{Event, Stream};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One event, and over which connection it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Counts the connections of this subscriber from 1.
    pub connection: u64,
    /// The node that told it.
    pub node: u64,
    /// When it was read, microseconds.
    pub at: u64,
    /// Its position, if it carries one.
    pub id: Option<String>,
    /// `hello`, `revocation`, `heartbeat`, `keys` or `resync`.
    pub event: String,
    /// The JSON text, byte for byte.
    pub data: String,
}

impl Told {
    /// The log index of its position.
    #[must_use]
    pub fn index(&self) -> Option<u64> {
        self.id.as_deref().and_then(crate::client::index_of)
    }

    /// The data as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).unwrap_or(serde_json::Value::Null)
    }
}

#[derive(Debug)]
struct Shared {
    told: Mutex<Vec<Told>>,
    /// The socket in use, so that the subscriber can be cut off from outside.
    socket: Mutex<Option<TcpStream>>,
    /// The node to try next.
    turn: std::sync::atomic::AtomicUsize,
    over: AtomicBool,
}

/// A subscriber that goes on until it is dropped.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
}

impl Follower {
    pub(crate) fn open(nodes: Vec<Address>, key: &str, after: Option<&str>, query: &str) -> Self {
        let shared = Arc::new(Shared {
            told: Mutex::default(),
            socket: Mutex::default(),
            turn: std::sync::atomic::AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        let (key, after, query) = (key.to_owned(), after.map(str::to_owned), query.to_owned());
        std::thread::spawn(move || follow(&theirs, &nodes, &key, after, &query));
        Self { shared }
    }

    /// All that was told so far.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        lock(&self.shared.told).clone()
    }

    /// The revocations that were told so far.
    #[must_use]
    pub fn revocations(&self) -> Vec<Told> {
        self.told().into_iter().filter(|it| it.event == "revocation").collect()
    }

    /// Waits until something was told that `wanted` finds, in all that was told so far.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, within: Duration, wanted: impl Fn(&[Told]) -> Option<T>) -> T {
        crate::facts::wait_for(&format!("the feed tells {what}"), within, || wanted(&lock(&self.shared.told)))
    }

    /// Waits until the stream has been told everything up to `index`: by an event or a heartbeat that stands there or later.
    #[track_caller]
    pub fn wait_index(&self, index: u64) {
        self.wait(&format!("index {index}"), crate::cluster::PATIENCE, |told| told.iter().any(|it| it.index() >= Some(index)).then_some(()));
    }

    /// Breaks the connection off; the subscriber resumes at its next node.
    pub fn break_off(&self) {
        if let Some(socket) = lock(&self.shared.socket).take() {
            // It may be gone already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.break_off();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn follow(shared: &Shared, nodes: &[Address], key: &str, after: Option<String>, query: &str) {
    let mut last = None;
    for connection in 1.. {
        let turn = shared.turn.fetch_add(1, Ordering::SeqCst);
        let node = &nodes[turn % nodes.len()];
        // The first request may name a position in its query; later ones resume by header, which wins.
        let after = after.as_deref().filter(|_| last.is_none()).map(|it| format!("after={it}"));
        let query: Vec<&str> = [after.as_deref(), Some(query)].into_iter().flatten().filter(|it| !it.is_empty()).collect();
        let target = format!("/v1/revocations/stream?{}", query.join("&"));
        if let Ok((mut stream, socket)) = Stream::open(node.api, target.trim_end_matches('?'), key, last.as_deref()) {
            *lock(&shared.socket) = Some(socket);
            while !shared.over.load(Ordering::SeqCst)
                && let Ok(Some(event)) = stream.next()
            {
                last = event.id.clone().or(last);
                note(shared, connection, node.id, event);
            }
        }
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        park(Duration::from_millis(50));
    }
}

fn note(shared: &Shared, connection: u64, node: u64, event: Event) {
    let Event { id, name, data } = event;
    lock(&shared.told).push(Told { connection, node, at: now_us(), id, event: name, data });
}
