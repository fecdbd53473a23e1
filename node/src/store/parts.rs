//! Long values in short pieces.
//!
//! sled moves a page of over 128 KiB into a file of its own, which it never syncs (0.34.7, `pagecache/blob_io.rs`), and a leaf page holds up to
//! 17 records. So no value here is longer than `PART_BYTES`: what is longer goes on under continuation keys, and the record's CRC tells
//! whether all of it came back.

/// The longest value that is given to sled: 17 of them, with their keys, stay well below the 128 KiB at which it leaves its synced file.
pub(super) const PART_BYTES: usize = 6 * 1024;

/// The pieces of a record: the head first, then the continuations, numbered from 1.
pub(super) fn split(record: &[u8]) -> (&[u8], impl Iterator<Item = (u32, &[u8])>) {
    let (head, rest) = record.split_at(record.len().min(PART_BYTES));
    (head, (1..).zip(rest.chunks(PART_BYTES)))
}

/// How many continuations a record of this length has.
pub(super) fn continuations(len: usize) -> u32 {
    let parts = len.div_ceil(PART_BYTES).saturating_sub(1);
    u32::try_from(parts).unwrap_or(u32::MAX)
}

/// The key of a continuation.
pub(super) fn continuation_key(mut key: Vec<u8>, part: u32) -> Vec<u8> {
    key.extend_from_slice(&part.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_are_short_and_make_up_the_whole() {
        for len in [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 3 * PART_BYTES + 5] {
            let record: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let (head, rest) = split(&record);
            let rest: Vec<_> = rest.collect();
            assert_eq!(rest.len(), continuations(len) as usize);
            assert!(rest.iter().map(|(part, _)| *part).eq(1..=continuations(len)));
            let whole: Vec<u8> = head.iter().chain(rest.iter().flat_map(|(_, piece)| *piece)).copied().collect();
            assert_eq!(whole, record);
        }
    }
}
