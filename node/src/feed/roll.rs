//! Who subscribes: the roll of this node's streams, bounded in all and per API key.

use super::ring::Place;
use super::subscription::{StaleMode, SubscribeError, Subscription};
use crate::domain::LogIndex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One stream, as the hub sees it.
#[derive(Debug)]
pub(super) struct Subscriber {
    /// Random; known to the subscriber only.
    pub(super) id: String,
    pub(super) key_name: String,
    pub(super) verifier: Option<StaleMode>,
    acked: AtomicU64,
    place: AtomicU64,
}

impl Subscriber {
    pub(super) fn new(id: String, subscription: &Subscription, place: Place) -> Self {
        let Subscription { key_name, verifier, .. } = subscription;
        Self { id, key_name: key_name.clone(), verifier: *verifier, acked: AtomicU64::new(0), place: AtomicU64::new(place) }
    }

    /// Notes what it says it has applied; an older word changes nothing.
    pub(super) fn ack(&self, index: LogIndex) {
        self.acked.fetch_max(index, Ordering::Relaxed);
    }

    /// What it said it has applied; 0 before its first word.
    pub(super) fn acked(&self) -> LogIndex {
        self.acked.load(Ordering::Relaxed)
    }

    /// Notes how far it has read.
    pub(super) fn read_up_to(&self, place: Place) {
        self.place.store(place, Ordering::Relaxed);
    }

    /// How far it has read.
    pub(super) fn place(&self) -> Place {
        self.place.load(Ordering::Relaxed)
    }

    /// Whether it accepts while stale, so that nothing bounds it.
    pub(super) fn unbounded(&self) -> bool {
        matches!(self.verifier, Some(StaleMode::Accept { .. }))
    }
}

/// All streams of this node.
#[derive(Debug)]
pub(super) struct Roll {
    subscribers: HashMap<String, Arc<Subscriber>>,
    of_key: HashMap<String, usize>,
    subscribers_max: usize,
    streams_per_key_max: usize,
}

impl Roll {
    pub(super) fn new(subscribers_max: usize, streams_per_key_max: usize) -> Self {
        Self { subscribers: HashMap::new(), of_key: HashMap::new(), subscribers_max, streams_per_key_max }
    }

    /// Whether one more stream of this key fits.
    pub(super) fn room_for(&self, key_name: &str) -> Result<(), SubscribeError> {
        if self.subscribers.len() >= self.subscribers_max {
            return Err(SubscribeError::TooMany(self.subscribers_max));
        }
        if self.of_key.get(key_name).is_some_and(|streams| *streams >= self.streams_per_key_max) {
            return Err(SubscribeError::TooManyOfKey(self.streams_per_key_max));
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, subscriber: Arc<Subscriber>) {
        *self.of_key.entry(subscriber.key_name.clone()).or_default() += 1;
        self.subscribers.insert(subscriber.id.clone(), subscriber);
    }

    pub(super) fn leave(&mut self, subscriber: &Subscriber) {
        if self.subscribers.remove(&subscriber.id).is_none() {
            return;
        }
        if let Some(streams) = self.of_key.get_mut(&subscriber.key_name) {
            *streams -= 1;
            if *streams == 0 {
                self.of_key.remove(&subscriber.key_name);
            }
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<Subscriber>> {
        self.subscribers.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Subscriber>> {
        self.subscribers.values()
    }

    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }
}
