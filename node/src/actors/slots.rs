//! The slots that readers look into: the present JWT of each session that has an actor. Reading one is a look into a shard, no more.

use super::seen::{Counters, count};
use super::session::SessionActor;
use crate::domain::{LogIndex, Moment, Session};
use crate::tokens::Minted;
use actix::Addr;
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Shards of the map, so that readers on many threads seldom meet a writer.
const SHARDS: u64 = 64;

/// What a session actor shares with readers.
#[derive(Default)]
pub(super) struct Slot {
    minted: ArcSwapOption<Minted>,
    last_used: AtomicU64,
    /// When the session was last seen, as far as the keeper has been told.
    noted: AtomicU64,
    /// Turns that run or wait.
    pub(super) turns: AtomicUsize,
}

impl Slot {
    pub(super) fn new(now: Moment) -> Self {
        Self { last_used: AtomicU64::new(now.0), ..Self::default() }
    }

    /// The JWT in the slot, if it still serves: more than half of its life is left, the signer signed it, and it says no less than the
    /// record.
    pub(super) fn serving(&self, session: &Session, signing_kid: &str, now: Moment) -> Option<Minted> {
        let minted = self.minted.load();
        let minted = minted.as_ref()?;
        let life_ms = minted.expires_at.ms_since(minted.issued_at);
        let left_ms = minted.expires_at.ms_since(now);
        let serves = left_ms * 2 > life_ms && &*minted.kid == signing_kid && minted.version >= session.version;
        serves.then(|| (**minted).clone())
    }

    /// The JWT in the slot, whether it still serves or not.
    pub(super) fn minted(&self) -> Option<Minted> {
        self.minted.load().as_ref().map(|minted| (**minted).clone())
    }

    pub(super) fn fill(&self, minted: Minted) {
        self.minted.store(Some(Arc::new(minted)));
    }

    pub(super) fn empty(&self) {
        self.minted.store(None);
    }

    pub(super) fn used(&self, now: Moment) {
        self.last_used.fetch_max(now.0, Ordering::Relaxed);
    }

    fn last_used(&self) -> Moment {
        Moment(self.last_used.load(Ordering::Relaxed))
    }

    /// Whether the keeper is yet to hear that the session was seen; if so, it counts as told from now on.
    pub(super) fn to_note(&self, now: Moment, interval_ms: u64) -> bool {
        let noted = self.noted.load(Ordering::Relaxed);
        let due = now.ms_since(Moment(noted)) >= interval_ms;
        due && self.noted.compare_exchange(noted, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The keeper could not be told after all.
    pub(super) fn not_noted(&self) {
        self.noted.store(0, Ordering::Relaxed);
    }

    fn idle_since(&self) -> Option<Moment> {
        (self.turns.load(Ordering::SeqCst) == 0).then(|| self.last_used())
    }
}

/// A session that has an actor on this node.
pub(super) struct Live {
    pub(super) slot: Arc<Slot>,
    /// While somebody holds it, the actor lives.
    pub(super) addr: Addr<SessionActor>,
}

/// All of them, by the start index of their session.
pub(super) struct Slots {
    shards: Vec<RwLock<HashMap<LogIndex, Arc<Live>>>>,
    counters: Arc<Counters>,
}

impl Slots {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { shards: (0..SHARDS).map(|_| RwLock::default()).collect(), counters }
    }

    pub(super) fn get(&self, rev: LogIndex) -> Option<Arc<Live>> {
        self.read(self.shard(rev), |live| live.get(&rev).cloned())
    }

    pub(super) fn len(&self) -> usize {
        usize::try_from(self.counters.live.load(Ordering::SeqCst)).unwrap_or(usize::MAX)
    }

    pub(super) fn insert(&self, rev: LogIndex, live: Arc<Live>) {
        let before = self.write(self.shard(rev), |shard| shard.insert(rev, live));
        if before.is_none() {
            self.counters.live.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The record says more than the JWT.
    pub(super) fn empty(&self, rev: LogIndex) {
        if let Some(live) = self.get(rev) {
            live.slot.empty();
        }
    }

    /// The signer is another.
    pub(super) fn empty_all(&self) {
        for shard in &self.shards {
            self.read(shard, |live| live.values().for_each(|live| live.slot.empty()));
        }
    }

    /// Its session has ended, and the actor with it.
    pub(super) fn end(&self, rev: LogIndex) {
        if self.remove(rev, |_| true) {
            count(&self.counters.ended);
        }
    }

    /// Lets all actors end: the state that they knew was replaced.
    pub(super) fn end_all(&self) {
        for rev in self.revs() {
            self.end(rev);
        }
    }

    /// Puts an actor to sleep, unless it is used since `idle_since` or busy.
    pub(super) fn sleep(&self, rev: LogIndex, idle_since: Moment) -> bool {
        let slept = self.remove(rev, |slot| slot.idle_since() == Some(idle_since));
        if slept {
            count(&self.counters.slept);
        }
        slept
    }

    /// Those that are not in use, and since when.
    pub(super) fn idle(&self) -> Vec<(Moment, LogIndex)> {
        let mut idle = Vec::new();
        for shard in &self.shards {
            self.read(shard, |live| idle.extend(live.iter().filter_map(|(rev, live)| Some((live.slot.idle_since()?, *rev)))));
        }
        idle
    }

    pub(super) fn revs(&self) -> Vec<LogIndex> {
        self.shards.iter().flat_map(|shard| self.read(shard, |live| live.keys().copied().collect::<Vec<_>>())).collect()
    }

    fn remove(&self, rev: LogIndex, when: impl FnOnce(&Slot) -> bool) -> bool {
        // Dropped after the lock is let go: the last address wakes the actor's thread.
        let removed = self.write(self.shard(rev), |shard| {
            let found = shard.get(&rev).is_some_and(|live| when(&live.slot));
            if found { shard.remove(&rev) } else { None }
        });
        if removed.is_some() {
            self.counters.live.fetch_sub(1, Ordering::SeqCst);
        }
        removed.is_some()
    }

    fn shard(&self, rev: LogIndex) -> &RwLock<HashMap<LogIndex, Arc<Live>>> {
        let at = usize::try_from(rev % SHARDS).expect("the number of shards is small");
        &self.shards[at]
    }

    /// A map that somebody panicked over is still a map: slots can always be made again.
    fn read<T>(&self, shard: &RwLock<HashMap<LogIndex, Arc<Live>>>, look: impl FnOnce(&HashMap<LogIndex, Arc<Live>>) -> T) -> T {
        look(&shard.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, shard: &RwLock<HashMap<LogIndex, Arc<Live>>>, change: impl FnOnce(&mut HashMap<LogIndex, Arc<Live>>) -> T) -> T {
        change(&mut shard.write().unwrap_or_else(PoisonError::into_inner))
    }
}
