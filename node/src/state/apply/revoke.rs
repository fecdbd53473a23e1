//! Ending sessions before their time.

use super::Entry;
use super::remember::Done;
use super::start::of_session;
use crate::command::{Refusal, Revoke, Selector, UserSelector};
use crate::domain::{Cause, Ending, LogIndex, Revocation, Revoked, Scope, Session, SessionId, Standing, UserScope};
use crate::state::State;
use crate::state::rows::{Answer, Cutoff};
use std::sync::Arc;

impl State {
    pub(super) fn revoke(&mut self, entry: Entry, revoke: Revoke) -> Result<Done, Refusal> {
        let Revoke { selector, reason, by } = revoke;
        let revoked = Revoked { by, reason };
        match selector {
            Selector::SessionId(id) => self.revoke_one(entry, self.session(&id).cloned(), revoked),
            Selector::Token(token) => self.revoke_one(entry, self.session_by_token(&token).cloned(), revoked),
            Selector::User(user) => self.revoke_user(entry, user, revoked),
        }
    }

    fn revoke_one(&mut self, entry: Entry, session: Option<Arc<Session>>, revoked: Revoked) -> Result<Done, Refusal> {
        let Some(session) = session.filter(|it| self.standing(it, entry.at) == Standing::Active) else {
            // What is unknown or has ended stays so, and needs no memory.
            return Ok(Done::nothing());
        };
        self.has_room_for_a_revocation()?;
        self.tell_revoked(entry, vec![of_session(&session, revoked.reason.clone())]);
        self.end(&session, Ending { at: entry.at, index: entry.index, cause: Cause::Revoked(revoked) });
        Ok(Done::once(Answer::Count(1)))
    }

    /// Walks no sessions: a cut-off stands for all of them, and the keeper has the endings written later.
    fn revoke_user(&mut self, entry: Entry, user: UserSelector, revoked: Revoked) -> Result<Done, Refusal> {
        let excepted = user.except_session_id.and_then(|id| self.excepted(entry, &user.user_id, &id));
        let count = self.count_revocable(&Selector::User(user.clone()), entry.at);
        if count == 0 {
            // Remembered all the same: a repetition must not end what starts in between.
            return Ok(Done::once(Answer::Count(0)));
        }
        self.has_room_for_a_revocation()?;
        let (except, except_session_id) = excepted.unzip();
        let scope = Scope::User(UserScope { user_id: user.user_id.clone(), rev_below: entry.index, except_session_id });
        self.tell_revoked(entry, vec![Revocation { scope, reason: revoked.reason.clone() }]);
        let Revoked { by, reason } = revoked;
        let cutoff = Arc::new(Cutoff { index: entry.index, at: entry.at, user_id: user.user_id, except, by, reason });
        self.indexes.users.cut_off(cutoff.clone());
        self.tables.cutoffs.put(cutoff, &mut self.ledger);
        Ok(Done::once(Answer::Count(count)))
    }

    /// Only a session of the user that is active is excepted; to name another is to name none.
    fn excepted(&self, entry: Entry, user_id: &str, id: &SessionId) -> Option<(LogIndex, SessionId)> {
        let session = self.session(id).filter(|it| it.user_id == user_id)?;
        (self.standing(session, entry.at) == Standing::Active).then_some((session.rev, session.id))
    }
}
