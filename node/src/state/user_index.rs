//! The sessions of each user: which are live, how many, and which cut-offs stand over them.
//!
//! A wide revocation must not walk the sessions it ends, so the number of active sessions is kept per user, and so is the number of
//! sessions that wait under each cut-off for their ending to be written.

use super::rows::Cutoff;
use crate::domain::{LogIndex, Session};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Stands for a user id at a fixed size: 192 bits of its SHA-256, so that nobody can find two users that share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct UserKey([u8; 24]);

impl UserKey {
    pub(super) fn of(user_id: &str) -> Self {
        let hash = digest(&SHA256, user_id.as_bytes());
        let mut key = [0; 24];
        key.copy_from_slice(&hash.as_ref()[..24]);
        Self(key)
    }
}

/// A cut-off, and how many sessions wait under it for their ending to be written. When none waits, it goes.
#[derive(Clone)]
struct Waiting {
    cutoff: Arc<Cutoff>,
    sessions: u64,
}

/// All users.
#[derive(Clone, Default)]
pub(super) struct UserIndex {
    /// Sessions whose record says no ending.
    live: BTreeSet<(UserKey, LogIndex)>,
    /// Sessions whose record says how they ended.
    ended: BTreeSet<(UserKey, LogIndex)>,
    /// How many of the live ones no cut-off covers; never zero.
    active: HashMap<UserKey, u64>,
    cutoffs: BTreeMap<(UserKey, LogIndex), Waiting>,
    /// All that wait, under all cut-offs.
    waiting: u64,
}

impl UserIndex {
    /// How many sessions have no ending in their record and are covered by no cut-off.
    pub(super) fn active_sessions(&self) -> u64 {
        self.live.len() as u64 - self.waiting
    }

    /// How many sessions have their ending in their record.
    pub(super) fn ended_sessions(&self) -> u64 {
        self.ended.len() as u64
    }

    /// How many sessions wait for the ending that a cut-off has given them.
    pub(super) fn waiting_sessions(&self) -> u64 {
        self.waiting
    }

    /// How many sessions of the user have no ending in their record and are covered by no cut-off.
    pub(super) fn active_of(&self, user: UserKey) -> u64 {
        self.active.get(&user).copied().unwrap_or(0)
    }

    /// The same sessions, oldest first, from `from` on.
    pub(super) fn active_revs(&self, user: UserKey, from: LogIndex) -> impl Iterator<Item = LogIndex> {
        let newest = self.newest_cutoff(user);
        // Of the sessions below the newest cut-off, only the one that it excepts can be uncovered.
        let excepted = newest.and_then(|cutoff| cutoff.except).filter(|rev| *rev >= from && self.live.contains(&(user, *rev)));
        let floor = newest.map_or(0, |cutoff| cutoff.index);
        excepted.into_iter().chain(self.live_revs(user, from.max(floor)))
    }

    /// The sessions of the user without an ending in their record, oldest first, from `from` on.
    pub(super) fn live_revs(&self, user: UserKey, from: LogIndex) -> impl Iterator<Item = LogIndex> {
        self.live.range((user, from)..=(user, LogIndex::MAX)).map(|(_, rev)| *rev)
    }

    /// The sessions of the user with an ending in their record, oldest first, from `from` on.
    pub(super) fn ended_revs(&self, user: UserKey, from: LogIndex) -> impl Iterator<Item = LogIndex> {
        self.ended.range((user, from)..=(user, LogIndex::MAX)).map(|(_, rev)| *rev)
    }

    /// The earliest cut-off that covers a session, whatever its record says.
    pub(super) fn covering(&self, session: &Session) -> Option<&Arc<Cutoff>> {
        // Usually there is none at all, and no hash is needed.
        if self.cutoffs.is_empty() {
            return None;
        }
        self.covering_key(UserKey::of(&session.user_id), session).map(|key| &self.cutoffs[&key].cutoff)
    }

    fn covering_key(&self, user: UserKey, session: &Session) -> Option<(UserKey, LogIndex)> {
        // A cut-off excepts only what is active, so what the newest does not cover none covers.
        self.newest_cutoff(user).filter(|newest| newest.covers(session))?;
        let later = self.cutoffs.range((user, session.rev)..=(user, LogIndex::MAX));
        later.filter(|(_, waiting)| waiting.cutoff.covers(session)).map(|(key, _)| *key).next()
    }

    fn newest_cutoff(&self, user: UserKey) -> Option<&Arc<Cutoff>> {
        self.cutoffs.range((user, 0)..=(user, LogIndex::MAX)).next_back().map(|(_, waiting)| &waiting.cutoff)
    }

    /// A session started.
    pub(super) fn started(&mut self, session: &Session) {
        let user = UserKey::of(&session.user_id);
        self.live.insert((user, session.rev));
        *self.active.entry(user).or_insert(0) += 1;
    }

    /// A session got an ending into its record. Answers the cut-off under which it was the last to wait, which is of no more use.
    pub(super) fn ended(&mut self, session: &Session) -> Option<LogIndex> {
        let user = UserKey::of(&session.user_id);
        self.live.remove(&(user, session.rev));
        self.ended.insert((user, session.rev));
        match self.covering_key(user, session) {
            Some(key) => self.waits_no_more(key),
            None => {
                self.forget_active(user);
                None
            }
        }
    }

    fn waits_no_more(&mut self, key: (UserKey, LogIndex)) -> Option<LogIndex> {
        let waiting = self.cutoffs.get_mut(&key).expect("the cut-off was found under this key");
        self.waiting -= 1;
        waiting.sessions -= 1;
        if waiting.sessions > 0 {
            return None;
        }
        self.cutoffs.remove(&key);
        Some(key.1)
    }

    fn forget_active(&mut self, user: UserKey) {
        let active = self.active.get_mut(&user).expect("a live session that no cut-off covers is counted");
        *active -= 1;
        if *active == 0 {
            self.active.remove(&user);
        }
    }

    /// A tombstone was forgotten.
    pub(super) fn forgotten(&mut self, session: &Session) {
        self.ended.remove(&(UserKey::of(&session.user_id), session.rev));
    }

    /// A wide revocation covers all active sessions of its user but the one that it excepts, which is one of them.
    pub(super) fn cut_off(&mut self, cutoff: Arc<Cutoff>) {
        let user = UserKey::of(&cutoff.user_id);
        let kept = u64::from(cutoff.except.is_some());
        let sessions = self.active.remove(&user).unwrap_or(0) - kept;
        if kept > 0 {
            self.active.insert(user, kept);
        }
        self.waiting += sessions;
        self.cutoffs.insert((user, cutoff.index), Waiting { cutoff, sessions });
    }

    /// The oldest sessions that wait under a cut-off, at most `max`.
    pub(super) fn waiting_under(&self, cutoff: &Cutoff, max: usize) -> Vec<LogIndex> {
        let user = UserKey::of(&cutoff.user_id);
        let below = self.live.range((user, 0)..(user, cutoff.index)).map(|(_, rev)| *rev);
        below.filter(|rev| cutoff.except != Some(*rev)).take(max).collect()
    }

    /// For a rebuild: a cut-off is there, its sessions come with [`UserIndex::found`].
    pub(super) fn expect(&mut self, cutoff: Arc<Cutoff>) {
        self.cutoffs.insert((UserKey::of(&cutoff.user_id), cutoff.index), Waiting { cutoff, sessions: 0 });
    }

    /// For a rebuild, after all cut-offs: a session is there.
    pub(super) fn found(&mut self, session: &Session) {
        if session.ended.is_some() {
            self.ended.insert((UserKey::of(&session.user_id), session.rev));
            return;
        }
        let user = UserKey::of(&session.user_id);
        match self.covering_key(user, session) {
            Some(key) => {
                self.live.insert((user, session.rev));
                self.waiting += 1;
                self.cutoffs.get_mut(&key).expect("the cut-off was found under this key").sessions += 1;
            }
            None => self.started(session),
        }
    }

    /// For a rebuild, at its end: whether sessions wait under every cut-off.
    pub(super) fn is_coherent(&self) -> bool {
        self.cutoffs.values().all(|waiting| waiting.sessions > 0)
    }
}
