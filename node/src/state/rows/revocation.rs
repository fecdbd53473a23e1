//! Key space 6: retained revocations, the backlog of the feed. Key: the index of the entry. Written once, removed in order when the last
//! JWT that it concerns can no longer be accepted anywhere.

use crate::domain::{LogIndex, RevocationEntry};
use crate::state::table::Record;

impl Record for RevocationEntry {
    const TAG: u8 = 6;
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
        fn revocations_sort_by_their_entry(one: u64, other: u64) {
            assert_order::<RevocationEntry>(one, other);
        }
    }
}
