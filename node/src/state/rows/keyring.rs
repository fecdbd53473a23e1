//! Key space 3: the signing keys, private parts wrapped. Key: none, there is one row. Written by the first command.

use crate::domain::Keyring;
use crate::state::table::Record;

impl Record for Keyring {
    const TAG: u8 = 3;
    type Key = ();

    fn key(&self) {}
}
