//! One subscriber's stream: where it stands, and the frames that bring it on from there.

use super::frame;
use super::hub::{Hub, Look};
use super::ring::{Item, Place};
use super::roll::Subscriber;
use crate::domain::{ClusterId, LogIndex, Position, RevocationEntry};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// Entries that are read from the state at a time.
pub(super) const PAGE_ENTRIES: usize = 500;
/// Items that are taken from the ring at a time.
const LOOK_ITEMS: usize = 64;
/// How long a stream may stand ahead of this node before it is told to resync, milliseconds of heartbeats.
const AHEAD_MAX_MS: u64 = 5_000;

/// Where a stream stands, and where it goes next.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Course {
    cluster: ClusterId,
    /// The client has everything up to here.
    position: LogIndex,
    /// To be read from the state up to here, before the ring.
    backlog: Option<LogIndex>,
    /// The next item of the ring.
    place: Place,
    /// What the client asked for can no longer be told.
    lost: bool,
    /// Heartbeats that passed while the client stood ahead of this node.
    beats_ahead: u64,
}

impl Course {
    /// A course that begins when everything up to `told` has been told and the ring is at `place`.
    pub(super) fn new(after: Option<Position>, cluster: ClusterId, told: LogIndex, floor: LogIndex, place: Place) -> Self {
        let lost = after.is_some_and(|after| after.cluster != cluster || after.index < floor);
        let position = after.filter(|_| !lost).map_or(told, |after| after.index);
        Self { cluster, position, backlog: (position < told).then_some(told), place, lost, beats_ahead: 0 }
    }

    /// Whether nothing that has been told is missing, so that `hello` may say that the node is fresh.
    pub(super) fn is_live(&self) -> bool {
        self.backlog.is_none() && !self.lost
    }

    /// Up to where the client has everything that this node has told.
    pub(super) fn told_to_it(&self, told: LogIndex) -> LogIndex {
        self.position.min(told)
    }

    /// The position that `hello` gives the client; none when it must keep its own until it has read `resync`.
    pub(super) fn id_of_hello(&self) -> Option<LogIndex> {
        (!self.lost).then_some(self.position)
    }
}

/// The frames of one subscriber, in order. Dropping it unsubscribes.
pub struct Stream {
    hub: Hub,
    me: Arc<Subscriber>,
    woken: watch::Receiver<()>,
    course: Course,
    /// Ready to be handed over; at most a page and a few.
    ready: VecDeque<Bytes>,
}

impl Stream {
    pub(super) fn new(hub: Hub, me: Arc<Subscriber>, woken: watch::Receiver<()>, course: Course, hello: Bytes) -> Self {
        Self { hub, me, woken, course, ready: VecDeque::from([hello]) }
    }

    /// The subscriber's id, as `hello` tells it.
    #[must_use]
    pub fn subscriber(&self) -> &str {
        &self.me.id
    }

    /// The next frame: a complete Server-Sent Event. `None` when the node is about to stop. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            self.woken.mark_unchanged();
            match self.refill() {
                Refill::Again => {}
                Refill::Nothing => self.woken.changed().await.ok()?,
                Refill::Closed => return None,
            }
        }
    }

    fn refill(&mut self) -> Refill {
        if self.hub.is_closed() {
            return Refill::Closed;
        }
        if self.course.lost {
            self.resync();
        } else if let Some(upto) = self.course.backlog {
            self.read_state(upto);
        } else {
            return self.read_ring();
        }
        Refill::Again
    }

    /// Reads one page of what the state retains. The hub's lock is not held: what is trimmed meanwhile is noticed by the floor.
    fn read_state(&mut self, upto: LogIndex) {
        let after = self.course.position;
        let page = {
            let state = self.hub.view().read();
            if state.revocations_floor() > after { None } else { Some(state.revocations_after(after, upto, PAGE_ENTRIES)) }
        };
        let Some(page) = page else { return self.course.lost = true };
        for entry in &page {
            self.push_entry(entry);
        }
        if page.len() < PAGE_ENTRIES {
            self.course.position = upto;
            self.course.backlog = None;
        }
    }

    fn push_entry(&mut self, entry: &RevocationEntry) {
        self.course.position = entry.index;
        self.ready.push_back(frame::revocation(self.course.cluster, entry).with_id());
    }

    fn read_ring(&mut self) -> Refill {
        match self.hub.look(self.course.place, LOOK_ITEMS) {
            Look::Items(items) if items.is_empty() => return Refill::Nothing,
            Look::Items(items) => self.take(items),
            Look::Overtaken(told, head) => self.catch_up(told, head),
        }
        self.me.read_up_to(self.course.place);
        Refill::Again
    }

    /// Takes items until one changes the course.
    fn take(&mut self, items: Vec<Item>) {
        for item in items {
            self.course.place += 1;
            match item {
                Item::Revocation(index, frame) if index > self.course.position => {
                    self.course.position = index;
                    self.ready.push_back(frame.with_id());
                }
                Item::Revocation(..) => {}
                Item::Heartbeat(index, frame) if index >= self.course.position => {
                    self.course.position = index;
                    self.ready.push_back(frame.with_id());
                }
                Item::Heartbeat(_, frame) => {
                    self.ready.push_back(frame.without_id());
                    self.count_beat_ahead();
                }
                Item::Keys(frame) => self.ready.push_back(frame.with_id()),
                Item::Installed(upto) => self.course.backlog = (upto > self.course.position).then_some(upto),
            }
            if self.course.lost || self.course.backlog.is_some() {
                return;
            }
        }
    }

    fn count_beat_ahead(&mut self) {
        self.course.beats_ahead += 1;
        let waited_ms = self.course.beats_ahead.saturating_mul(self.hub.settings().heartbeat_ms);
        self.course.lost = waited_ms >= AHEAD_MAX_MS;
    }

    /// The ring has let go of what was to come next; the revocations among it are in the state.
    fn catch_up(&mut self, told: LogIndex, head: Place) {
        self.course.backlog = (told > self.course.position).then_some(told);
        self.course.place = head;
        self.ready.push_back(frame::keys().with_id());
    }

    fn resync(&mut self) {
        let (told, head) = self.hub.resync();
        let cluster = self.course.cluster;
        self.course = Course { cluster, position: told, backlog: None, place: head, lost: false, beats_ahead: 0 };
        self.me.read_up_to(head);
        self.ready.push_back(frame::resync(cluster, told));
        // The frames that are passed over may have held this.
        self.ready.push_back(frame::keys().with_id());
    }
}

enum Refill {
    /// Something has changed; look again.
    Again,
    /// There is nothing to tell.
    Nothing,
    /// The node is about to stop.
    Closed,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.hub.leave(&self.me);
    }
}
