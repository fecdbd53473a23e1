//! The digest: an order-free sum of row hashes, so that one changed row costs two hashes, whatever the state's size.
//!
//! It finds nodes that have drifted apart; it is no proof against somebody who crafts rows.

use aws_lc_rs::digest::{Context, SHA256};

/// A running sum over rows: four lanes of 64 bits, wrapping.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest([u64; 4]);

impl Digest {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        for (lane, part) in self.0.iter_mut().zip(row_hash(key, value)) {
            *lane = lane.wrapping_add(part);
        }
    }

    pub(super) fn remove(&mut self, key: &[u8], value: &[u8]) {
        for (lane, part) in self.0.iter_mut().zip(row_hash(key, value)) {
            *lane = lane.wrapping_sub(part);
        }
    }

    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, lane) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&lane.to_be_bytes());
        }
        bytes
    }
}

/// The digest of these rows, computed afresh: equal to [`super::State::digest`] of the state that holds them.
pub fn digest_of<K: AsRef<[u8]>, V: AsRef<[u8]>>(rows: impl IntoIterator<Item = (K, V)>) -> [u8; 32] {
    let mut digest = Digest::default();
    for (key, value) in rows {
        digest.add(key.as_ref(), value.as_ref());
    }
    digest.to_bytes()
}

/// The length of the key keeps key and value apart.
fn row_hash(key: &[u8], value: &[u8]) -> [u64; 4] {
    let mut context = Context::new(&SHA256);
    context.update(&(key.len() as u64).to_be_bytes());
    context.update(key);
    context.update(value);
    let hash = context.finish();
    let mut lanes = [0; 4];
    for (lane, bytes) in lanes.iter_mut().zip(hash.as_ref().chunks_exact(8)) {
        *lane = u64::from_be_bytes(bytes.try_into().expect("a chunk has eight bytes"));
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_rows_means_nothing_and_where_a_key_ends_does() {
        let forth = digest_of([("a", "1"), ("b", "2")]);
        assert_eq!(forth, digest_of([("b", "2"), ("a", "1")]));
        assert_ne!(forth, digest_of([("a", "2"), ("b", "1")]));
        assert_ne!(digest_of([("ab", "c")]), digest_of([("a", "bc")]));
    }

    #[test]
    fn what_was_added_and_removed_leaves_no_trace() {
        let mut digest = Digest::default();
        digest.add(b"a", b"1");
        digest.add(b"b", b"2");
        digest.remove(b"a", b"1");
        assert_eq!(digest.to_bytes(), digest_of([("b", "2")]));
    }
}
