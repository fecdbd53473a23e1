//! Key space 11: how far the feed's backlog has been trimmed. Key: none, there is one row. It cannot be rebuilt from what is left.

use crate::domain::LogIndex;
use crate::state::table::Record;
use serde::{Deserialize, Serialize};

/// The highest index of a revocation that is no longer retained.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::state) struct Floor {
    pub(in crate::state) revocations: LogIndex,
}

impl Record for Floor {
    const TAG: u8 = 11;
    type Key = ();

    fn key(&self) {}
}
