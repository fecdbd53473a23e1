//! What the actors observe of themselves.

use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A look at the actors of this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct ActorsSeen {
    /// Session actors that live now.
    pub live: u64,
    /// The most that may live.
    pub live_max: u64,
    /// Session actors started.
    pub woken: u64,
    /// Session actors that went to sleep because their session was not in use, or to make room.
    pub slept: u64,
    /// Session actors that ended with their session.
    pub ended: u64,
    /// Verbs that ran without an actor because none could be woken.
    pub alone: u64,
    /// Messages that wait in mailboxes now.
    pub mailbox_depth: u64,
    /// The most that have waited at once.
    pub mailbox_depth_max: u64,
    /// JWTs minted.
    pub minted: u64,
    /// JWTs that somebody who waited for a mint got from somebody else's.
    pub shared: u64,
    /// Sessions reported as seen, in committed entries.
    pub touches_sent: u64,
    /// Sessions that were seen and not reported yet.
    pub touches_pending: u64,
    /// Sessions that were seen and could not be noted; the next time they are seen is noted instead.
    pub touches_dropped: u64,
}

/// The counters behind it.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) live: AtomicU64,
    pub(super) woken: AtomicU64,
    pub(super) slept: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) alone: AtomicU64,
    depth: AtomicU64,
    depth_max: AtomicU64,
    pub(super) minted: AtomicU64,
    pub(super) shared: AtomicU64,
    pub(super) touches_sent: AtomicU64,
    pub(super) touches_pending: AtomicU64,
    pub(super) touches_dropped: AtomicU64,
}

impl Counters {
    pub(super) fn seen(&self, live_max: usize) -> ActorsSeen {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ActorsSeen {
            live: of(&self.live),
            live_max: live_max as u64,
            woken: of(&self.woken),
            slept: of(&self.slept),
            ended: of(&self.ended),
            alone: of(&self.alone),
            mailbox_depth: of(&self.depth),
            mailbox_depth_max: of(&self.depth_max),
            minted: of(&self.minted),
            shared: of(&self.shared),
            touches_sent: of(&self.touches_sent),
            touches_pending: of(&self.touches_pending),
            touches_dropped: of(&self.touches_dropped),
        }
    }
}

/// One more of something.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// A message in the post: counted from its sending until it is taken out of the mailbox, or dropped with it.
#[derive(Debug)]
pub(super) struct Posted(Arc<Counters>);

impl Posted {
    pub(super) fn new(counters: &Arc<Counters>) -> Self {
        let depth = counters.depth.fetch_add(1, Ordering::Relaxed) + 1;
        counters.depth_max.fetch_max(depth, Ordering::Relaxed);
        Self(counters.clone())
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.0.depth.fetch_sub(1, Ordering::Relaxed);
    }
}
