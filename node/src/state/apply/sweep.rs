//! What the keeper has done in chunks: endings that time or a wide revocation brought are written, and what is of no more use is forgotten.

use super::Entry;
use crate::command::{Expire, Outcome, REAP_MAX, Reap, Trim};
use crate::domain::{LogIndex, Moment};
use crate::state::State;
use crate::state::rows::Floor;

const SWEEP_MAX: usize = REAP_MAX as usize;

impl State {
    pub(super) fn expire(&mut self, entry: Entry, expire: &Expire) -> Outcome {
        let due = expire.due.iter().take(SWEEP_MAX);
        Outcome::Count(due.map(|(rev, deadline)| u64::from(self.expire_one(entry, *rev, *deadline))).sum())
    }

    /// A deadline that has moved since it was seen is left alone.
    fn expire_one(&mut self, entry: Entry, rev: LogIndex, deadline: Moment) -> bool {
        let unended = self.session_by_rev(rev).filter(|it| it.ended.is_none() && it.deadline().at == deadline).cloned();
        let Some(session) = unended else { return false };
        let Some(ending) = self.ending_of(entry, &session) else { return false };
        self.end(&session, ending);
        true
    }

    /// The oldest cut-off first, and under it the oldest session.
    pub(super) fn reap(&mut self, entry: Entry, reap: &Reap) -> Outcome {
        let mut left = bounded(reap.max);
        let mut reaped = 0;
        while left > 0
            && let Some(cutoff) = self.tables.cutoffs.first().cloned()
        {
            let revs = self.indexes.users.waiting_under(&cutoff, left);
            debug_assert!(!revs.is_empty(), "a cut-off without sessions is gone");
            for rev in &revs {
                reaped += u64::from(self.reap_one(entry, *rev));
            }
            left -= revs.len().clamp(1, left);
        }
        Outcome::Count(reaped)
    }

    fn reap_one(&mut self, entry: Entry, rev: LogIndex) -> bool {
        let Some(session) = self.session_by_rev(rev).cloned() else { return false };
        let Some(ending) = self.ending_of(entry, &session) else { return false };
        self.end(&session, ending);
        true
    }

    pub(super) fn trim(&mut self, entry: Entry, trim: &Trim) -> Outcome {
        let max = bounded(trim.max);
        let outcomes = self.forget_outcomes(entry.at, max);
        Outcome::Count(outcomes + self.forget_tombstones(entry.at, max) + self.forget_revocations(entry.at, max))
    }

    fn forget_tombstones(&mut self, now: Moment, max: usize) -> u64 {
        let mut forgotten = 0;
        while forgotten < max as u64
            && let Some(rev) = self.old_tombstone(now)
        {
            self.forget_session(rev);
            forgotten += 1;
        }
        forgotten
    }

    pub(super) fn forget_session(&mut self, rev: LogIndex) {
        if let Some(session) = self.tables.sessions.remove(rev, &mut self.ledger) {
            self.indexes.forgotten(&session);
        }
    }

    /// From the oldest on without a gap, so that one number says what is missing.
    fn forget_revocations(&mut self, now: Moment, max: usize) -> u64 {
        let mut forgotten = 0;
        let mut floor = self.revocations_floor();
        while forgotten < max as u64
            && let Some(index) = self.old_revocation(now)
        {
            self.tables.revocations.remove(index, &mut self.ledger);
            floor = index;
            forgotten += 1;
        }
        if forgotten > 0 {
            self.tables.floor.put(Floor { revocations: floor }, &mut self.ledger);
        }
        forgotten
    }
}

fn bounded(max: u64) -> usize {
    usize::try_from(max).unwrap_or(SWEEP_MAX).min(SWEEP_MAX)
}
