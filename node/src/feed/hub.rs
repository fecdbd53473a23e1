//! The hub: what was applied goes in, in order, and every stream reads it from here.

use super::frame::{self, Hello};
use super::pulse::{HeartbeatFacts, Pulse};
use super::ring::{Item, Overtaken, Place, Ring};
use super::roll::{Roll, Subscriber};
use super::stream::{Course, Stream};
use super::subscription::{AckError, SubscribeError, Subscription};
use crate::clock::Clock;
use crate::command::Event;
use crate::dice;
use crate::domain::{ClusterId, LogIndex, NodeId, Position};
use crate::state::View;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use tokio::sync::watch;

/// The bounds of the feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The node; its number stands in the ids of its subscribers, so that an acknowledgement finds its way from anywhere.
    pub node_id: NodeId,
    /// How often [`Hub::beat`] is called, milliseconds; told to subscribers.
    pub heartbeat_ms: u64,
    /// How many frames are kept for those who have not read them; beyond, a stream reads on from the state.
    pub subscriber_queue_max: usize,
    /// Streams of this node.
    pub subscribers_max: usize,
    /// Streams of one API key on this node.
    pub streams_per_key_max: usize,
}

/// What the hub has seen so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HubStats {
    /// Open streams.
    pub subscribers: u64,
    /// Open streams of verifiers.
    pub verifiers: u64,
    /// Verifiers that accept while stale.
    pub unbounded: u64,
    /// Frames that the slowest stream has not read.
    pub lag_max: u64,
    /// Log indexes that the slowest verifier has not acknowledged.
    pub ack_lag_max: u64,
    /// Revocation entries told since the start of the process.
    pub events_total: u64,
    /// Frames of heartbeats since the start of the process.
    pub heartbeats_total: u64,
    /// How often a stream was overtaken and had to read on from the state.
    pub dropped_total: u64,
    /// How often a stream was told to resync.
    pub resyncs_total: u64,
}

/// The feed of this node; clones are the same. Its lock and the view's are never held together, so whoever calls it holds no guard of the
/// view.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    view: View,
    clock: Clock,
    settings: Settings,
    /// Random, one per process.
    boot: Arc<str>,
    /// Known from the moment on at which the cluster has formed.
    cluster: OnceLock<ClusterId>,
    inner: Mutex<Inner>,
    closed: AtomicBool,
    wake: watch::Sender<()>,
    counts: Counts,
}

struct Inner {
    /// Everything up to here has been told.
    told: LogIndex,
    facts: HeartbeatFacts,
    ring: Ring,
    roll: Roll,
}

#[derive(Default)]
struct Counts {
    events: AtomicU64,
    heartbeats: AtomicU64,
    dropped: AtomicU64,
    resyncs: AtomicU64,
}

/// What a stream finds when it looks into the ring.
pub(super) enum Look {
    /// These items, none if there is nothing new.
    Items(Vec<Item>),
    /// What it wanted is gone: the rest up to here is in the state, and the ring goes on at this place.
    Overtaken(LogIndex, Place),
}

impl Hub {
    /// A hub over a view; everything that the view shows now counts as told.
    #[must_use]
    pub fn new(view: View, clock: Clock, settings: Settings) -> Self {
        let reading = clock.reading();
        let state = view.read();
        let facts = HeartbeatFacts::unknown(reading, state.policy().max_staleness_ms, state.last_at());
        let told = state.last_applied();
        drop(state);
        let ring = Ring::new(settings.subscriber_queue_max);
        let roll = Roll::new(settings.subscribers_max, settings.streams_per_key_max);
        let inner = Mutex::new(Inner { told, facts, ring, roll });
        let (boot, wake) = (dice::nonce().into(), watch::Sender::new(()));
        Self(Arc::new(Shared {
            view,
            clock,
            settings,
            boot,
            cluster: OnceLock::new(),
            inner,
            closed: AtomicBool::new(false),
            wake,
            counts: Counts::default(),
        }))
    }

    /// Tells what the entries up to `applied` have made true. Called in the order of the log, after the view shows it and before the node
    /// counts `applied` towards its freshness. Waits for nobody but the other callers of the hub.
    pub fn publish(&self, applied: LogIndex, events: &[Event]) {
        let items: Vec<Item> = self.cluster().map_or_else(Vec::new, |cluster| events.iter().filter_map(|event| item(cluster, event)).collect());
        let silent = items.is_empty();
        let mut inner = self.lock();
        for item in items {
            // After a restart the log is replayed: what the view held when the hub was made has been told.
            if matches!(item, Item::Revocation(index, _) if index <= inner.told) {
                continue;
            }
            self.0.counts.events.fetch_add(u64::from(matches!(item, Item::Revocation(..))), Ordering::Relaxed);
            inner.ring.push(item);
        }
        inner.told = inner.told.max(applied);
        drop(inner);
        if !silent {
            self.0.wake.send_replace(());
        }
    }

    /// Tells that a snapshot has replaced everything up to `applied`: each stream gets every retained revocation that it has not seen, or
    /// `resync`, before any heartbeat with the new index. Called after the view shows it and before the node counts it as applied.
    pub fn installed(&self, applied: LogIndex) {
        let mut inner = self.lock();
        if applied <= inner.told {
            return;
        }
        inner.ring.push(Item::Installed(applied));
        inner.ring.push(Item::Keys(frame::keys()));
        inner.told = applied;
        drop(inner);
        self.0.wake.send_replace(());
    }

    /// The regular sign of life; also what `hello`, the list and acks say until the next one.
    pub fn beat(&self, facts: HeartbeatFacts) {
        let cluster = self.cluster();
        let mut inner = self.lock();
        inner.facts = facts;
        let Some(cluster) = cluster else { return };
        let told = inner.told;
        inner.ring.push(Item::Heartbeat(told, frame::heartbeat(cluster, &facts.heartbeat(told, &self.0.boot))));
        drop(inner);
        self.0.counts.heartbeats.fetch_add(1, Ordering::Relaxed);
        self.0.wake.send_replace(());
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub fn subscribe(&self, subscription: Subscription) -> Result<Stream, SubscribeError> {
        let cluster = self.cluster().ok_or(SubscribeError::NotFormed)?;
        let reading = self.0.clock.reading();
        // What is trimmed after this look is noticed when the backlog is read.
        let floor = self.0.view.read().revocations_floor();
        // Marked as seen before the ring is looked at, so that nothing between the two is missed.
        let woken = self.0.wake.subscribe();
        let mut inner = self.lock();
        if self.is_closed() {
            return Err(SubscribeError::Draining);
        }
        inner.roll.room_for(&subscription.key_name)?;
        let place = inner.ring.head();
        let course = Course::new(subscription.after, cluster, inner.told, floor, place);
        let me = Arc::new(Subscriber::new(subscriber_id(self.0.settings.node_id), &subscription, place));
        inner.roll.enter(me.clone());
        let mut pulse = inner.facts.at(reading, course.told_to_it(inner.told), &self.0.boot);
        drop(inner);
        pulse.fresh &= course.is_live();
        let nonce = subscription.nonce.as_deref();
        let hello = Hello { subscriber: &me.id, cluster, nonce, heartbeat_ms: self.0.settings.heartbeat_ms, pulse };
        let hello = frame::hello(course.id_of_hello(), &hello);
        Ok(Stream::new(self.clone(), me, woken, course, hello))
    }

    /// Notes that a subscriber has applied everything up to `index`.
    ///
    /// # Errors
    /// When there is no such stream here, or `index` was never told.
    pub fn ack(&self, subscriber: &str, key_name: &str, index: LogIndex) -> Result<(), AckError> {
        let inner = self.lock();
        let subscriber = inner.roll.get(subscriber).filter(|found| found.key_name == key_name).ok_or(AckError::NotHere)?;
        if index > inner.told {
            return Err(AckError::Ahead { acked: index, told: inner.told });
        }
        subscriber.ack(index);
        Ok(())
    }

    /// The heartbeat's members as of now, for an answer that echoes a nonce. To be called after the request came.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        let reading = self.0.clock.reading();
        let inner = self.lock();
        inner.facts.at(reading, inner.told, &self.0.boot)
    }

    /// Everything up to here has been told.
    #[must_use]
    pub fn told(&self) -> LogIndex {
        self.lock().told
    }

    /// What the hub has seen so far.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let inner = self.lock();
        let count = |which: fn(&Subscriber) -> bool| inner.roll.iter().filter(|subscriber| which(subscriber)).count() as u64;
        let head = inner.ring.head();
        let verifiers = || inner.roll.iter().filter(|subscriber| subscriber.verifier.is_some());
        let total = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.0.counts;
        HubStats {
            subscribers: inner.roll.len() as u64,
            verifiers: count(|subscriber| subscriber.verifier.is_some()),
            unbounded: count(Subscriber::unbounded),
            lag_max: inner.roll.iter().map(|subscriber| head.saturating_sub(subscriber.place())).max().unwrap_or(0),
            ack_lag_max: verifiers().map(|verifier| inner.told.saturating_sub(verifier.acked())).max().unwrap_or(0),
            events_total: total(&counts.events),
            heartbeats_total: total(&counts.heartbeats),
            dropped_total: total(&counts.dropped),
            resyncs_total: total(&counts.resyncs),
        }
    }

    /// Ends every stream, and opens no more: the node is about to stop. Clients resume on another node by their position.
    pub fn close_all(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.wake.send_replace(());
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    pub(super) fn view(&self) -> &View {
        &self.0.view
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn leave(&self, subscriber: &Subscriber) {
        self.lock().roll.leave(subscriber);
    }

    /// At most `max` items from a stream's place on.
    pub(super) fn look(&self, place: Place, max: usize) -> Look {
        let inner = self.lock();
        match inner.ring.read(place, max) {
            Ok(items) => Look::Items(items.cloned().collect()),
            Err(Overtaken) => {
                self.0.counts.dropped.fetch_add(1, Ordering::Relaxed);
                Look::Overtaken(inner.told, inner.ring.head())
            }
        }
    }

    /// Where a stream goes on that is told to resync.
    pub(super) fn resync(&self) -> (LogIndex, Place) {
        self.0.counts.resyncs.fetch_add(1, Ordering::Relaxed);
        let inner = self.lock();
        (inner.told, inner.ring.head())
    }

    pub(super) fn position(&self, index: LogIndex) -> Option<Position> {
        self.cluster().map(|cluster| Position { cluster, index })
    }

    fn cluster(&self) -> Option<ClusterId> {
        if let Some(cluster) = self.0.cluster.get() {
            return Some(*cluster);
        }
        let cluster = self.0.view.read().cluster()?.cluster_id;
        Some(*self.0.cluster.get_or_init(|| cluster))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().expect("nothing panics while it holds the hub")
    }
}

fn item(cluster: ClusterId, event: &Event) -> Option<Item> {
    match event {
        Event::Revoked(entry) => Some(Item::Revocation(entry.index, frame::revocation(cluster, entry))),
        Event::Keys => Some(Item::Keys(frame::keys())),
        Event::Changed(_) | Event::Ended(_) => None,
    }
}

fn subscriber_id(node: NodeId) -> String {
    format!("{node}-{}", dice::nonce())
}

/// The node on which the stream of a subscriber is open, by its id; none when it is no such id.
#[must_use]
pub fn node_of_subscriber(subscriber: &str) -> Option<NodeId> {
    subscriber.split_once('-')?.0.parse().ok()
}
