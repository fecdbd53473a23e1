//! How a session's end gets into its record, and how an end before its time gets into the feed.

use super::Entry;
use crate::command::{Event, Refusal};
use crate::domain::{Cause, Deadline, Ending, Expired, Revocation, RevocationEntry, Session, SessionId, Standing};
use crate::state::{REVOCATIONS_MAX, State};
use std::sync::Arc;

impl State {
    /// The session, if it is there and active at the entry's time; else why nothing can be changed about it.
    pub(super) fn active(&self, entry: Entry, id: &SessionId) -> Result<Arc<Session>, Refusal> {
        let session = self.session(id).ok_or(Refusal::SessionNotFound(()))?;
        match self.ending_of(entry, session) {
            None => Ok(session.clone()),
            Some(ending) => Err(Refusal::SessionEnded(Arc::new(Session { ended: Some(ending), ..Session::clone(session) }))),
        }
    }

    /// How the session has ended by the entry's time, whether its record says so already or not.
    pub(super) fn ending_of(&self, entry: Entry, session: &Session) -> Option<Ending> {
        match self.standing(session, entry.at) {
            Standing::Active => None,
            Standing::Ended(ending) => Some(ending),
            Standing::PastDeadline(deadline) => Some(expiry(entry, deadline)),
        }
    }

    /// Replaces a session's record by a later one.
    pub(super) fn put_session(&mut self, old: &Session, new: Session) {
        let useless = self.indexes.changed(old, &new);
        self.tables.sessions.put(new, &mut self.ledger);
        if let Some(cutoff) = useless {
            self.tables.cutoffs.remove(cutoff, &mut self.ledger);
        }
    }

    /// Writes its ending into a session's record.
    pub(super) fn end(&mut self, session: &Session, ending: Ending) {
        self.put_session(session, Session { ended: Some(ending), ..session.clone() });
        self.ledger.tell(Event::Ended(session.rev));
    }

    /// Whether one more revocation entry can be retained.
    pub(super) fn has_room_for_a_revocation(&self) -> Result<(), Refusal> {
        if self.tables.revocations.len() < REVOCATIONS_MAX { Ok(()) } else { Err(Refusal::Overloaded("revocations_max".to_owned())) }
    }

    /// Tells the feed, in the same entry.
    pub(super) fn tell_revoked(&mut self, entry: Entry, revocations: Vec<Revocation>) {
        let until = entry.at.plus_ms(self.policy().revocation_retention_ms());
        let told = Arc::new(RevocationEntry { index: entry.index, at: entry.at, until, revocations });
        self.tables.revocations.put(told.clone(), &mut self.ledger);
        self.ledger.tell(Event::Revoked(told));
    }
}

/// The end is the moment of the deadline; the entry only writes it down.
fn expiry(entry: Entry, deadline: Deadline) -> Ending {
    Ending { at: deadline.at, index: entry.index, cause: Cause::Expired(Expired { idle: deadline.idle }) }
}
