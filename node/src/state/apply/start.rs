//! Starting a session.

use super::Entry;
use crate::command::{Refusal, Start};
use crate::domain::{Cause, Ending, Evicted, LimitMode, Revocation, Scope, Session, SessionScope};
use crate::state::bounds::TOMBSTONES_DROPPED_PER_START;
use crate::state::user_index::UserKey;
use crate::state::{EVICTIONS_MAX, State, TOMBSTONE_LIFE_MIN_MS};
use std::sync::Arc;

impl State {
    pub(super) fn start(&mut self, entry: Entry, start: Start) -> Result<Arc<Session>, Refusal> {
        if let Some(known) = self.session(&start.session_id) {
            return repeated(known, &start);
        }
        if self.session_by_token(&start.token).is_some() {
            return Err(Refusal::Taken(()));
        }
        self.check_lifetimes(&start)?;
        let evicted = self.over_the_limit(entry, &start.user_id)?;
        self.make_room(entry)?;
        self.evict(entry, &evicted, &start);
        let session = Arc::new(self.record(entry, start));
        self.indexes.started(&session);
        self.tables.sessions.put(session.clone(), &mut self.ledger);
        Ok(session)
    }

    fn check_lifetimes(&self, start: &Start) -> Result<(), Refusal> {
        let policy = self.policy();
        if start.ttl_ms > policy.session_ttl_max_ms {
            return Err(Refusal::AboveCap(policy.session_ttl_max_ms));
        }
        match (policy.idle_timeout_max_ms, start.idle_timeout_ms) {
            (Some(cap), Some(asked)) if asked > cap => Err(Refusal::AboveCap(cap)),
            _ => Ok(()),
        }
    }

    fn record(&self, entry: Entry, start: Start) -> Session {
        Session {
            id: start.session_id,
            rev: entry.index,
            user_id: start.user_id,
            token: start.token,
            client_id: start.client_id,
            started_at: entry.at,
            last_seen_at: entry.at,
            expires_at: entry.at.plus_ms(start.ttl_ms),
            // Where the policy caps the idle time-out, a session without one would be above the cap.
            idle_timeout_ms: start.idle_timeout_ms.or(self.policy().idle_timeout_max_ms),
            attributes: start.attributes,
            claims: start.claims,
            factors: start.factors,
            audience: start.audience,
            version: 1,
            ended: None,
        }
    }

    /// The user's oldest sessions that must go so that there is room for one more, or the refusal.
    fn over_the_limit(&self, entry: Entry, user_id: &str) -> Result<Vec<Arc<Session>>, Refusal> {
        let Some(limit) = self.policy().sessions_per_user else { return Ok(Vec::new()) };
        let (user, max) = (UserKey::of(user_id), limit.max.max(1));
        // The quick count is never too low.
        if self.indexes.users.active_of(user) < max {
            return Ok(Vec::new());
        }
        let excess = (self.count_active_of(user, entry.at) + 1).saturating_sub(max);
        match limit.mode {
            _ if excess == 0 => Ok(Vec::new()),
            LimitMode::Refuse(()) => Err(Refusal::SessionLimit(max)),
            LimitMode::EvictOldest(()) => {
                self.has_room_for_a_revocation()?;
                let excess = usize::try_from(excess).unwrap_or(EVICTIONS_MAX).min(EVICTIONS_MAX);
                Ok(self.active_sessions_of(user, 0, entry.at).take(excess).cloned().collect())
            }
        }
    }

    /// When the state is full, the oldest tombstones go.
    fn make_room(&mut self, entry: Entry) -> Result<(), Refusal> {
        for _ in 0..=TOMBSTONES_DROPPED_PER_START {
            if (self.tables.sessions.len() as u64) < self.policy().sessions_max {
                return Ok(());
            }
            match self.tombstone_older_than(TOMBSTONE_LIFE_MIN_MS, entry.at) {
                Some(rev) => self.forget_session(rev),
                None => break,
            }
        }
        Err(Refusal::Overloaded("sessions_max".to_owned()))
    }

    /// The evicted sessions end, and the feed says so, in the entry that starts the new one.
    fn evict(&mut self, entry: Entry, evicted: &[Arc<Session>], start: &Start) {
        if evicted.is_empty() {
            return;
        }
        self.tell_revoked(entry, evicted.iter().map(|session| of_session(session, None)).collect());
        for session in evicted {
            let cause = Cause::Evicted(Evicted { by: start.session_id });
            self.end(session, Ending { at: entry.at, index: entry.index, cause });
        }
    }
}

/// What the feed says of one session.
pub(super) fn of_session(session: &Session, reason: Option<String>) -> Revocation {
    Revocation { scope: Scope::Session(SessionScope { session_id: session.id, user_id: session.user_id.clone() }), reason }
}

/// A start that comes again answers its session; a changed record may have another token by now.
fn repeated(known: &Arc<Session>, start: &Start) -> Result<Arc<Session>, Refusal> {
    let same_token = known.token == start.token || known.version > 1;
    if same_token && known.user_id == start.user_id && known.client_id == start.client_id { Ok(known.clone()) } else { Err(Refusal::Taken(())) }
}
