//! The marker: a small file outside the databases that says what this disk has promised.
//!
//! It holds the vote, and an index that is both durable here and committed. It is rewritten after the database's sync, so a log that ends
//! before it, or a vote older than its own, means that the disk forgot. 65 bytes, big-endian:
//! `"CURFMARK"`, version u16, store uuid (16), vote present u8, term u64, node u64, committed u8, index present u8, log position (16),
//! crc32c u32 of all before.

use super::disk;
use super::entry::{LogPos, Vote};
use super::error::{OpenError, StoreError};
use super::fields::Fields;
use crate::domain::StoreUuid;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const MAGIC: &[u8; 8] = b"CURFMARK";
const VERSION: u16 = 1;

/// What the disk has promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Promise {
    /// The last vote that was answered.
    pub(super) vote: Option<Vote>,
    /// A position that was durable here and committed.
    pub(super) committed: Option<LogPos>,
}

/// The file that keeps the promise.
pub(super) struct Marker {
    path: PathBuf,
    store: StoreUuid,
    promise: Mutex<Promise>,
}

impl Marker {
    /// Writes the marker of a new store.
    pub(super) fn create(path: PathBuf, store: StoreUuid) -> io::Result<()> {
        disk::replace(&path, &encode(store, &Promise::default()))
    }

    /// Reads the marker of a store that was made before.
    pub(super) fn open(path: PathBuf, store: StoreUuid) -> Result<Self, OpenError> {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(OpenError::forgot(&path, "the file is missing")),
            Err(error) => return Err(OpenError::failed("read", &path, error)),
        };
        let (owner, promise) = decode(&bytes).ok_or_else(|| OpenError::damaged(&path, "its checksum or layout is wrong"))?;
        if owner != store {
            return Err(OpenError::damaged(&path, format!("it belongs to the store {owner}, not to {store}")));
        }
        Ok(Self { path, store, promise: Mutex::new(promise) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn promise(&self) -> Promise {
        *self.lock()
    }

    /// Makes a vote durable, unless it already is.
    pub(super) fn promise_vote(&self, vote: Vote) -> Result<(), StoreError> {
        self.update(|promise| promise.vote = Some(vote))
    }

    /// Makes a committed position durable, unless a later one already is.
    pub(super) fn promise_committed(&self, committed: LogPos) -> Result<(), StoreError> {
        self.update(|promise| {
            if promise.committed.is_none_or(|known| known.index < committed.index) {
                promise.committed = Some(committed);
            }
        })
    }

    fn update(&self, change: impl FnOnce(&mut Promise)) -> Result<(), StoreError> {
        let mut kept = self.lock();
        let mut promise = *kept;
        change(&mut promise);
        if promise == *kept {
            return Ok(());
        }
        disk::replace(&self.path, &encode(self.store, &promise)).map_err(|error| StoreError::failed("write", &self.path, error))?;
        *kept = promise;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Promise> {
        self.promise.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode(store: StoreUuid, promise: &Promise) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(65);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&store.0);
    bytes.push(u8::from(promise.vote.is_some()));
    bytes.extend_from_slice(&promise.vote.unwrap_or_default().to_bytes());
    bytes.push(u8::from(promise.committed.is_some()));
    bytes.extend_from_slice(&promise.committed.unwrap_or_default().to_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<(StoreUuid, Promise)> {
    let (guarded, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if Fields(crc).u32()? != crc32c::crc32c(guarded) {
        return None;
    }
    let mut fields = Fields(guarded);
    if fields.bytes(MAGIC.len())? != MAGIC || fields.u16()? != VERSION {
        return None;
    }
    let store = StoreUuid(fields.array()?);
    let (voted, vote) = (fields.flag()?, Vote::take(&mut fields)?);
    let (promised, committed) = (fields.flag()?, LogPos::take(&mut fields)?);
    fields.end()?;
    Some((store, Promise { vote: voted.then_some(vote), committed: promised.then_some(committed) }))
}

#[cfg(test)]
mod tests {
    use super::super::fields::hex;
    use super::*;
    use proptest::prelude::*;

    const STORE: StoreUuid = StoreUuid([7; 16]);

    #[test]
    fn the_bytes_of_a_marker_are_a_promise() {
        let promise = Promise { vote: Some(Vote { term: 4, node: 2, committed: false }), committed: Some(LogPos { term: 3, index: 99 }) };
        assert_eq!(
            hex(&encode(STORE, &promise)),
            "435552464d41524b00010707070707070707070707070707070701000000000000000400000000000000020001000000000000000300000000000000633ee975b7"
        );
    }

    #[test]
    fn a_promise_only_grows_and_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marker");
        Marker::create(path.clone(), STORE).unwrap();
        let marker = Marker::open(path.clone(), STORE).unwrap();
        let vote = Vote { term: 2, node: 3, committed: true };
        let at = |index| LogPos { term: 1, index };
        marker.promise_vote(vote).unwrap();
        marker.promise_committed(at(9)).unwrap();
        marker.promise_committed(at(5)).unwrap();
        assert_eq!(Marker::open(path.clone(), STORE).unwrap().promise(), Promise { vote: Some(vote), committed: Some(at(9)) });
        assert!(matches!(Marker::open(path, StoreUuid([8; 16])), Err(OpenError::Damaged { .. })), "the marker of another store was taken");
    }

    proptest! {
        #[test]
        fn a_marker_comes_back_or_not_at_all(term: u64, node: u64, committed: bool, index: Option<u64>, bit: prop::sample::Index) {
            let promise = Promise { vote: Some(Vote { term, node, committed }), committed: index.map(|index| LogPos { term, index }) };
            let mut bytes = encode(STORE, &promise);
            prop_assert_eq!(decode(&bytes), Some((STORE, promise)));
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(decode(&bytes), None);
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
