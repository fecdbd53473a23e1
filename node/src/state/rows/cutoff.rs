//! Key space 7: cut-offs, the endings of wide revocations that the sessions' own records do not say yet. Key: the index of the entry.
//! Written by a revocation of a user, removed when the last session that it covers has its ending in its record.

use crate::domain::{Cause, Ending, LogIndex, Moment, Revoked, Session};
use crate::state::table::Record;
use serde::{Deserialize, Serialize};

/// All sessions of a user that started before `index` ended at `at`, but one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::state) struct Cutoff {
    /// The index of the entry; covers sessions whose `rev` is lower.
    pub(in crate::state) index: LogIndex,
    /// The cluster time of the entry.
    pub(in crate::state) at: Moment,
    /// Whose.
    pub(in crate::state) user_id: String,
    /// But not the session with this `rev`; it was active at `at`.
    pub(in crate::state) except: Option<LogIndex>,
    /// The name of the API key.
    pub(in crate::state) by: String,
    /// What the caller gave as reason.
    pub(in crate::state) reason: Option<String>,
}

impl Cutoff {
    /// Whether it ended this session of its user.
    pub(in crate::state) fn covers(&self, session: &Session) -> bool {
        session.rev < self.index && self.except != Some(session.rev)
    }

    /// How it ended the sessions that it covers.
    pub(in crate::state) fn ending(&self) -> Ending {
        let cause = Cause::Revoked(Revoked { by: self.by.clone(), reason: self.reason.clone() });
        Ending { at: self.at, index: self.index, cause }
    }
}

impl Record for Cutoff {
    const TAG: u8 = 7;
    type Key = LogIndex;

    fn key(&self) -> LogIndex {
        self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::table::assert_order;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cutoffs_sort_by_their_entry(one: u64, other: u64) {
            assert_order::<Cutoff>(one, other);
        }
    }
}
