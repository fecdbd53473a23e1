//! The questions that readers ask.

use super::rows::ClusterFacts;
use super::user_index::UserKey;
use super::{COUNTED_EXACTLY_MAX, State, TOMBSTONE_LIFE_MIN_MS};
use crate::command::Selector;
use crate::domain::{KeyHash, Keyring, LogIndex, Moment, NodeId, Policy, RevocationEntry, Session, SessionId, Standing, StoreUuid, TokenHash};
use std::sync::Arc;

/// The cluster.
impl State {
    /// Who the cluster is; `None` before its first command.
    #[must_use]
    pub fn cluster(&self) -> Option<&ClusterFacts> {
        self.tables.cluster.only().map(|it| &**it)
    }

    /// The settings that all nodes share; the default ones before the first command.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        self.tables.policy.only().unwrap_or(&self.unformed.policy)
    }

    /// The signing keys; none before the first command.
    #[must_use]
    pub fn keyring(&self) -> &Arc<Keyring> {
        self.tables.keyring.only().unwrap_or(&self.unformed.keyring)
    }

    /// The hash of the root API key; `None` before the first command.
    #[must_use]
    pub fn root_key(&self) -> Option<&KeyHash> {
        self.tables.root_key.only().map(|it| &it.hash)
    }

    /// The store that sat on a node id which is out of use; `None` when the id was not retired.
    #[must_use]
    pub fn retired(&self, node_id: NodeId) -> Option<StoreUuid> {
        self.tables.retired.get(node_id).map(|it| it.store_uuid)
    }
}

/// Sessions.
impl State {
    /// The session of this id, active or ended.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&Arc<Session>> {
        self.session_by_rev(*self.indexes.by_id.get(id)?)
    }

    /// The session with this token at present, active or ended.
    #[must_use]
    pub fn session_by_token(&self, token: &TokenHash) -> Option<&Arc<Session>> {
        self.session_by_rev(*self.indexes.by_token.get(token)?)
    }

    /// The session that the entry of this index started, active or ended.
    #[must_use]
    pub fn session_by_rev(&self, rev: LogIndex) -> Option<&Arc<Session>> {
        self.tables.sessions.get(rev)
    }

    /// What a session is at `now`: by its record, by the wide revocations that cover it, and by its deadline.
    ///
    /// A deadline that had passed when a wide revocation came stays the reason of its end.
    #[must_use]
    pub fn standing(&self, session: &Session, now: Moment) -> Standing {
        if session.ended.is_none()
            && let Some(cutoff) = self.indexes.users.covering(session)
        {
            return match session.standing_by_record(cutoff.at) {
                Standing::Active => Standing::Ended(cutoff.ending()),
                expired => expired,
            };
        }
        session.standing_by_record(now)
    }

    /// A page of a user's sessions, oldest first: those with `rev` above `after`, at most `limit`.
    #[must_use]
    pub fn sessions_of_user(&self, user: &str, active_only: bool, now: Moment, after: Option<LogIndex>, limit: usize) -> Vec<Arc<Session>> {
        let user = UserKey::of(user);
        let Some(from) = after.map_or(Some(0), |rev| rev.checked_add(1)) else { return Vec::new() };
        if active_only {
            return self.active_sessions_of(user, from, now).take(limit).cloned().collect();
        }
        let users = &self.indexes.users;
        let mut revs: Vec<LogIndex> = users.live_revs(user, from).take(limit).chain(users.ended_revs(user, from).take(limit)).collect();
        revs.sort_unstable();
        revs.truncate(limit);
        revs.into_iter().filter_map(|rev| self.session_by_rev(rev).cloned()).collect()
    }

    /// The active sessions of a user, oldest first.
    pub(super) fn active_sessions_of(&self, user: UserKey, from: LogIndex, now: Moment) -> impl Iterator<Item = &Arc<Session>> {
        let uncovered = self.indexes.users.active_revs(user, from).filter_map(|rev| self.session_by_rev(rev));
        uncovered.filter(move |session| session.standing_by_record(now) == Standing::Active)
    }

    /// How many sessions a revocation would end now.
    #[must_use]
    pub fn count_revocable(&self, selector: &Selector, now: Moment) -> u64 {
        match selector {
            Selector::SessionId(id) => self.count_active(self.session(id), now),
            Selector::Token(token) => self.count_active(self.session_by_token(token), now),
            Selector::User(user) => {
                let excepted = user.except_session_id.and_then(|id| self.session(&id)).filter(|it| it.user_id == user.user_id);
                self.count_active_of(UserKey::of(&user.user_id), now) - self.count_active(excepted, now)
            }
        }
    }

    fn count_active(&self, session: Option<&Arc<Session>>, now: Moment) -> u64 {
        session.map_or(0, |it| u64::from(self.standing(it, now) == Standing::Active))
    }

    /// Exact up to [`COUNTED_EXACTLY_MAX`]; beyond, sessions past a deadline that no entry has recorded yet are counted too.
    pub(super) fn count_active_of(&self, user: UserKey, now: Moment) -> u64 {
        let at_most = self.indexes.users.active_of(user);
        if at_most > COUNTED_EXACTLY_MAX {
            return at_most;
        }
        self.active_sessions_of(user, 0, now).count() as u64
    }

    /// How many sessions are active, or past a deadline that no entry has recorded yet.
    #[must_use]
    pub fn active_sessions(&self) -> u64 {
        self.indexes.users.active_sessions()
    }

    /// How many sessions have their ending in their record.
    #[must_use]
    pub fn tombstones(&self) -> u64 {
        self.indexes.users.ended_sessions()
    }
}

/// What the keeper has to do.
impl State {
    /// Sessions whose deadline has passed and whose ending no record says yet: `rev` and deadline, earliest first, at most `max`.
    #[must_use]
    pub fn due(&self, now: Moment, max: usize) -> Vec<(LogIndex, Moment)> {
        self.indexes.deadlines.range(..=(now, LogIndex::MAX)).take(max).map(|(deadline, rev)| (*rev, *deadline)).collect()
    }

    /// How many sessions wait for a reap.
    #[must_use]
    pub fn reapable(&self) -> u64 {
        self.indexes.users.waiting_sessions()
    }

    /// Whether a trim at `now` would forget anything.
    #[must_use]
    pub fn trimmable(&self, now: Moment) -> bool {
        self.old_tombstone(now).is_some() || self.old_revocation(now).is_some() || self.old_outcome(now).is_some()
    }

    pub(super) fn old_tombstone(&self, now: Moment) -> Option<LogIndex> {
        self.tombstone_older_than(self.policy().tombstone_retention_ms.max(TOMBSTONE_LIFE_MIN_MS), now)
    }

    /// The oldest tombstone, if its session ended more than `ms` before `now`.
    pub(super) fn tombstone_older_than(&self, ms: u64, now: Moment) -> Option<LogIndex> {
        self.indexes.ends.first().filter(|(at, _)| now.ms_since(*at) > ms).map(|(_, rev)| *rev)
    }

    /// The oldest revocation, if it is of no more use; nodes that learned of it late get another `max_staleness`.
    pub(super) fn old_revocation(&self, now: Moment) -> Option<LogIndex> {
        let margin_ms = self.policy().max_staleness_ms;
        self.tables.revocations.first().filter(|it| now.ms_since(it.until) > margin_ms).map(|it| it.index)
    }

    /// The oldest remembered outcome, if nobody may ask for it any more.
    pub(super) fn old_outcome(&self, now: Moment) -> Option<LogIndex> {
        self.tables.outcomes.first().filter(|it| now > it.until).map(|it| it.index)
    }
}

/// Revocations.
impl State {
    /// The retained revocation entries with `after < index <= upto`, in order, at most `max`.
    #[must_use]
    pub fn revocations_after(&self, after: LogIndex, upto: LogIndex, max: usize) -> Vec<Arc<RevocationEntry>> {
        match after.checked_add(1) {
            Some(from) if from <= upto => self.tables.revocations.range(from..=upto).take(max).cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The highest index of a revocation that is no longer retained; whoever stands below it has missed something. 0: none was trimmed.
    #[must_use]
    pub fn revocations_floor(&self) -> LogIndex {
        self.tables.floor.only().map_or(0, |floor| floor.revocations)
    }
}
