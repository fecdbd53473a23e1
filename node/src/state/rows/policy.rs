//! Key space 2: the policy. Key: none, there is one row. Written by the first command.

use crate::domain::Policy;
use crate::state::table::Record;

impl Record for Policy {
    const TAG: u8 = 2;
    type Key = ();

    fn key(&self) {}
}
