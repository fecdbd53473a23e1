//! Key space 5: sessions, active ones and tombstones. Key: the index of the start entry. Written by a start, rewritten by what changes or
//! ends the session, removed when a tombstone has been kept long enough.

use crate::domain::{LogIndex, Session};
use crate::state::table::Record;

impl Record for Session {
    const TAG: u8 = 5;
    type Key = LogIndex;

    fn key(&self) -> LogIndex {
        self.rev
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::table::assert_order;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sessions_sort_by_their_start(one: u64, other: u64) {
            assert_order::<Session>(one, other);
        }
    }
}
