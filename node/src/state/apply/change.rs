//! Changing a session that goes on: its texts, its factors, its expiry, when it was last seen.

use super::Entry;
use super::remember::Done;
use crate::command::{Event, Extend, Outcome, Patch, Refusal, Touch};
use crate::domain::{LogIndex, Moment, Session};
use crate::state::rows::Answer;
use crate::state::{FACTORS_MAX, State, TOUCHES_MAX};

impl State {
    pub(super) fn patch(&mut self, entry: Entry, patch: Patch) -> Result<Done, Refusal> {
        let old = self.active(entry, &patch.session_id)?;
        if old.version != patch.expected_version {
            return Err(Refusal::VersionConflict(old.version));
        }
        if patch.add_factor.is_some() && old.factors.len() >= FACTORS_MAX {
            return Err(Refusal::AboveCap(FACTORS_MAX as u64));
        }
        let is_anothers = |rev: &LogIndex| *rev != old.rev;
        if patch.token.and_then(|token| self.indexes.by_token.get(&token)).is_some_and(is_anothers) {
            return Err(Refusal::Taken(()));
        }
        let new = patched(&old, patch);
        self.put_changed(&old, new);
        Ok(Done::once(Answer::Session(old.rev)))
    }

    pub(super) fn extend(&mut self, entry: Entry, extend: &Extend) -> Result<Done, Refusal> {
        let old = self.active(entry, &extend.session_id)?;
        let cap = self.policy().session_ttl_max_ms;
        if extend.ttl_ms > cap {
            return Err(Refusal::AboveCap(cap));
        }
        let expires_at = old.expires_at.max(entry.at.plus_ms(extend.ttl_ms));
        // Who extends a session has just seen it.
        self.put_changed(&old, Session { expires_at, last_seen_at: entry.at, ..Session::clone(&old) });
        Ok(Done::once(Answer::Session(old.rev)))
    }

    fn put_changed(&mut self, old: &Session, new: Session) {
        self.put_session(old, new);
        self.ledger.tell(Event::Changed(old.rev));
    }

    pub(super) fn touch(&mut self, entry: Entry, touch: &Touch) -> Outcome {
        let seen = touch.seen.iter().take(TOUCHES_MAX);
        Outcome::Count(seen.map(|(rev, at)| u64::from(self.touch_one(entry, *rev, *at))).sum())
    }

    /// An ended session stays ended, also when it ended only by its deadline: others have been told so by now.
    fn touch_one(&mut self, entry: Entry, rev: LogIndex, seen: Moment) -> bool {
        let Some(old) = self.session_by_rev(rev).cloned() else { return false };
        let last_seen_at = seen.min(entry.at);
        let too_young = last_seen_at < old.last_seen_at.plus_ms(old.touch_interval_ms());
        if too_young || self.ending_of(entry, &old).is_some() {
            return false;
        }
        self.put_session(&old, Session { last_seen_at, ..Session::clone(&old) });
        true
    }
}

fn patched(old: &Session, patch: Patch) -> Session {
    let mut new = old.clone();
    new.version = old.version.saturating_add(1);
    new.attributes = patch.attributes.unwrap_or(new.attributes);
    new.claims = patch.claims.unwrap_or(new.claims);
    new.factors.extend(patch.add_factor);
    new.token = patch.token.unwrap_or(new.token);
    new
}
