//! A table: all rows of one kind, in key order. What a kind is, its record says.

use super::digest::Digest;
use super::ledger::Ledger;
use super::load::LoadError;
use crate::codec;
use crate::domain::LogIndex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::sync::Arc;

/// One kind of row.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// The first byte of its keys; never reused for another kind.
    const TAG: u8;
    /// What orders its rows.
    type Key: RowKey;

    fn key(&self) -> Self::Key;
}

/// What orders rows: its bytes sort as it does.
pub(super) trait RowKey: Ord + Copy + Debug {
    fn append_to(self, bytes: &mut Vec<u8>);
}

/// The key of a kind that has one row.
impl RowKey for () {
    fn append_to(self, _: &mut Vec<u8>) {}
}

/// A log index, or the id of a node.
impl RowKey for LogIndex {
    fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
}

/// All rows of one kind.
pub(super) struct Table<R: Record>(BTreeMap<R::Key, Arc<R>>);

impl<R: Record> Table<R> {
    pub(super) fn get(&self, key: R::Key) -> Option<&Arc<R>> {
        self.0.get(&key)
    }

    pub(super) fn first(&self) -> Option<&Arc<R>> {
        self.0.values().next()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &Arc<R>> {
        self.0.values()
    }

    pub(super) fn range(&self, range: impl RangeBounds<R::Key>) -> impl Iterator<Item = &Arc<R>> {
        self.0.range(range).map(|(_, record)| record)
    }

    pub(super) fn put(&mut self, record: impl Into<Arc<R>>, ledger: &mut Ledger) {
        let record = record.into();
        let (key, new) = (record.key(), codec::encode(&*record));
        let old = self.0.insert(key, record).map(|old| codec::encode(&*old));
        ledger.write(key_bytes::<R>(key), old.as_deref(), Some(new));
    }

    pub(super) fn remove(&mut self, key: R::Key, ledger: &mut Ledger) -> Option<Arc<R>> {
        let old = self.0.remove(&key)?;
        ledger.write(key_bytes::<R>(key), Some(&codec::encode(&*old)), None);
        Some(old)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        self.0.iter().map(|(key, record)| (key_bytes::<R>(*key), codec::encode(&**record)))
    }

    /// Takes a row as [`Table::rows`] gave it; anything that would not be given back byte for byte is refused.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8], digest: &mut Digest) -> Result<(), LoadError> {
        let record: R = codec::decode(value).map_err(|source| LoadError::Unreadable { tag: R::TAG, source })?;
        if codec::encode(&record) != value {
            return Err(LoadError::NotCanonical(R::TAG));
        }
        if key_bytes::<R>(record.key()) != key {
            return Err(LoadError::WrongKey(R::TAG));
        }
        if self.0.insert(record.key(), Arc::new(record)).is_some() {
            return Err(LoadError::Twice(R::TAG));
        }
        digest.add(key, value);
        Ok(())
    }
}

impl<R: Record<Key = ()>> Table<R> {
    /// The one row of this kind, if there is one yet.
    pub(super) fn only(&self) -> Option<&Arc<R>> {
        self.get(())
    }
}

impl<R: Record> Clone for Table<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Record> Default for Table<R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// The key under which a row is stored.
pub(super) fn key_bytes<R: Record>(key: R::Key) -> Vec<u8> {
    let mut bytes = vec![R::TAG];
    key.append_to(&mut bytes);
    bytes
}

/// The law of key spaces: keys sort as their bytes do, and stay within their tag.
#[cfg(test)]
pub(super) fn assert_order<R: Record>(one: R::Key, other: R::Key) {
    let (a, b) = (key_bytes::<R>(one), key_bytes::<R>(other));
    assert_eq!(one.cmp(&other), a.cmp(&b), "{one:?} and {other:?} do not sort as their bytes");
    assert!(a.starts_with(&[R::TAG]) && b.starts_with(&[R::TAG]));
}
