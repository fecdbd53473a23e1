//! Key space 8: remembered outcomes, so that a command that comes twice is done once. Key: the index of the first entry. Written with what
//! the command changed, removed once its id is too old to be tried again.

use crate::domain::tagged::tagged;
use crate::domain::{CommandId, LogIndex, Moment};
use crate::state::table::Record;
use serde::{Deserialize, Serialize};

/// What a command came to when it came first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::state) struct Remembered {
    /// The index of the first entry.
    pub(in crate::state) index: LogIndex,
    /// The command's id.
    pub(in crate::state) id: CommandId,
    /// From when nobody may ask.
    pub(in crate::state) until: Moment,
    /// What to answer.
    pub(in crate::state) answer: Answer,
}

tagged! {
    /// An outcome in few bytes: of a session only its name, since its record stands elsewhere.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Answer {
        /// Done.
        1 => Done(()),
        /// The session that started with this index, as it is when asked.
        2 => Session(LogIndex),
        /// So many.
        3 => Count(u64),
    }
}

impl Record for Remembered {
    const TAG: u8 = 8;
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
        fn outcomes_sort_by_their_entry(one: u64, other: u64) {
            assert_order::<Remembered>(one, other);
        }
    }
}
