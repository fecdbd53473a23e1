//! Key space 4: the hash of the root API key. Key: none, there is one row. Written by the first command, replaced by a reset.

use crate::domain::KeyHash;
use crate::state::table::Record;
use serde::{Deserialize, Serialize};

/// The root API key as the state knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::state) struct RootKey {
    pub(in crate::state) hash: KeyHash,
}

impl Record for RootKey {
    const TAG: u8 = 4;
    type Key = ();

    fn key(&self) {}
}
