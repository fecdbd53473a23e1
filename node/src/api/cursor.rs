//! Cursors of lists: where the next page begins, opaque to clients.

use super::error::Problem;
use crate::domain::{LogIndex, decode_exact};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Which list a cursor belongs to; one of another list is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum List {
    /// The sessions of a user, after a start index.
    Sessions = 1,
    /// Revocations, after a log index.
    Revocations = 2,
}

/// Writes the cursor of the page after `index`.
pub(crate) fn write(list: List, index: LogIndex) -> String {
    let mut bytes = [list as u8; 9];
    bytes[1..].copy_from_slice(&index.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a cursor of this list.
///
/// # Errors
/// A field error that names `cursor`.
pub(crate) fn read(list: List, text: &str) -> Result<LogIndex, Problem> {
    let wrong = || Problem::field("cursor must be the next_cursor of an earlier answer of this list");
    let bytes: [u8; 9] = decode_exact(text).ok_or_else(wrong)?;
    let (kind, index) = bytes.split_first_chunk::<1>().ok_or_else(wrong)?;
    if kind != &[list as u8] {
        return Err(wrong());
    }
    index.try_into().map(LogIndex::from_be_bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_to_its_own_list_only(index: u64, text in ".*") {
            prop_assert_eq!(read(List::Sessions, &write(List::Sessions, index)).ok(), Some(index));
            prop_assert!(read(List::Revocations, &write(List::Sessions, index)).is_err());
            let _ = read(List::Sessions, &text);
        }
    }
}
