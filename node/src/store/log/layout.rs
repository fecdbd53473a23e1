//! How the log lies in its database.
//!
//! `e` + index: an entry (entry.rs); `e` + index + part u32: the rest of a long one (parts.rs). `mvote`, `mcommitted`, `mpurged`: sealed records
//! of a vote and of two positions. Entries at or below the purged position may still be there, until they are removed in chunks.

use super::super::database::{Batch, Database};
use super::super::entry::{LogEntry, LogPos, Vote};
use super::super::error::StoreError;
use super::super::parts;

const VOTE: &[u8] = b"mvote";
const COMMITTED: &[u8] = b"mcommitted";
const PURGED: &[u8] = b"mpurged";
/// The first key after all entries.
const END: &[u8] = b"f";
const HEAD_LEN: usize = 9;

pub(super) fn put_entry(batch: &mut Batch, entry: &LogEntry) {
    let key = entry_key(entry.at.index);
    let record = entry.encode();
    let (head, rest) = parts::split(&record);
    batch.insert(&key, head);
    for (part, piece) in rest {
        batch.insert(&parts::continuation_key(key.to_vec(), part), piece);
    }
}

pub(super) fn put_vote(batch: &mut Batch, vote: Vote) {
    batch.seal(VOTE, &vote.to_bytes());
}

pub(super) fn put_purged(batch: &mut Batch, purged: LogPos) {
    batch.seal(PURGED, &purged.to_bytes());
}

pub(super) fn put_committed(batch: &mut Batch, committed: Option<LogPos>) {
    match committed {
        Some(committed) => batch.seal(COMMITTED, &committed.to_bytes()),
        None => batch.remove(COMMITTED),
    }
}

pub(super) fn vote(db: &Database) -> Result<Option<Vote>, StoreError> {
    db.record(VOTE, Vote::from_bytes)
}

pub(super) fn committed(db: &Database) -> Result<Option<LogPos>, StoreError> {
    db.record(COMMITTED, LogPos::from_bytes)
}

pub(super) fn purged(db: &Database) -> Result<Option<LogPos>, StoreError> {
    db.record(PURGED, LogPos::from_bytes)
}

/// Shows every entry from the index `from` on, and below `to` where one is given, in order, each checked against its CRC.
pub(super) fn each_entry(
    db: &Database,
    from: u64,
    to: Option<u64>,
    mut each: impl FnMut(LogEntry) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let end = to.map_or(END.to_vec(), |to| entry_key(to).to_vec());
    let mut open: Option<(u64, Vec<u8>)> = None;
    let mut close = |open: Option<(u64, Vec<u8>)>| match open {
        Some((index, record)) => each(decode(db, index, &record)?),
        None => Ok(()),
    };
    for pair in db.range(&entry_key(from), &end) {
        let (key, value) = pair?;
        let index = index_of(&key).ok_or_else(|| db.damaged("it holds a key that is no entry's"))?;
        match &mut open {
            Some((current, record)) if *current == index && key.len() > HEAD_LEN => record.extend_from_slice(&value),
            _ => close(open.replace((index, value.to_vec())))?,
        }
    }
    close(open)
}

fn decode(db: &Database, index: u64, record: &[u8]) -> Result<LogEntry, StoreError> {
    LogEntry::decode(index, record).ok_or_else(|| db.damaged(format!("the entry {index} has a wrong checksum")))
}

/// The removal of the first entries up to `upto`, at least one and about `max` of them; with it the index at which to go on, `None` at the end.
pub(super) fn remove_first(db: &Database, from: u64, upto: u64, max: usize) -> Result<(Batch, Option<u64>), StoreError> {
    let end = upto.checked_add(1).map_or(END.to_vec(), |end| entry_key(end).to_vec());
    let mut batch = Batch::default();
    for pair in db.range(&entry_key(from), &end) {
        let (key, _) = pair?;
        if batch.len() >= max && key.len() == HEAD_LEN {
            return Ok((batch, index_of(&key)));
        }
        batch.remove(&key);
    }
    Ok((batch, None))
}

/// The removal of the last entries from the index `from` on, whole entries and about `max` of them; an empty batch when there is none left.
pub(super) fn remove_last(db: &Database, from: u64, max: usize) -> Result<Batch, StoreError> {
    let mut batch = Batch::default();
    for pair in db.range(&entry_key(from), END).rev() {
        let (key, _) = pair?;
        batch.remove(&key);
        if batch.len() >= max && key.len() == HEAD_LEN {
            break;
        }
    }
    Ok(batch)
}

fn entry_key(index: u64) -> [u8; HEAD_LEN] {
    let mut key = [b'e'; HEAD_LEN];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

fn index_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..HEAD_LEN)?.try_into().ok()?))
}
