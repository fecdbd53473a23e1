//! How the tables lie in their database.
//!
//! `r` + key: a row (row.rs); `x` + key + part u32: the rest of a long one. `mapplied`, `minstalled`, `mloading`: sealed positions;
//! `mmembership`: the last membership. `mloading` stands while a snapshot replaces the rows, and names it; `minstalled` names the last
//! snapshot that did.

use super::super::database::{Batch, Database};
use super::super::entry::LogPos;
use super::super::error::StoreError;
use super::super::parts::{self, PART_BYTES};
use super::super::row::{self, SnapshotMeta, TablesMeta};
use bytes::Bytes;
use std::collections::HashMap;

const APPLIED: &[u8] = b"mapplied";
const INSTALLED: &[u8] = b"minstalled";
const LOADING: &[u8] = b"mloading";
const MEMBERSHIP: &[u8] = b"mmembership";
const ROWS: (&[u8], &[u8]) = (b"r", b"s");
const CONTINUATIONS: (&[u8], &[u8]) = (b"x", b"y");

/// How many continuations each long row has. Most rows are short and not in it.
pub(super) type Wide = HashMap<Vec<u8>, u32>;

/// Puts a change of a row into the batch, and what is left of its former length out of the database.
pub(super) fn put_row(batch: &mut Batch, wide: &mut Wide, key: &[u8], value: Option<&[u8]>) {
    let before = if wide.is_empty() { 0 } else { wide.remove(key).unwrap_or(0) };
    let Some(value) = value else {
        batch.remove(&row_key(key));
        (1..=before).for_each(|part| batch.remove(&rest_key(key, part)));
        return;
    };
    let record = row::encode_row(key, value);
    let (head, rest) = parts::split(&record);
    batch.insert(&row_key(key), head);
    for (part, piece) in rest {
        batch.insert(&rest_key(key, part), piece);
    }
    let now = parts::continuations(record.len());
    (now + 1..=before).for_each(|part| batch.remove(&rest_key(key, part)));
    if now > 0 {
        wide.insert(key.to_vec(), now);
    }
}

/// The continuations that are there.
pub(super) fn wide(db: &Database) -> Result<Wide, StoreError> {
    let mut wide = Wide::new();
    for pair in db.range(CONTINUATIONS.0, CONTINUATIONS.1) {
        let (key, _) = pair?;
        let (key, part) = key[1..].split_last_chunk::<4>().ok_or_else(|| db.damaged("it holds a key that is no row's"))?;
        let parts = wide.entry(key.to_vec()).or_default();
        *parts = u32::from_be_bytes(*part).max(*parts);
    }
    Ok(wide)
}

/// Shows every row in key order, each checked against its CRC.
pub(super) fn each_row(db: &Database, mut each: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>) -> Result<(), StoreError> {
    for pair in db.range(ROWS.0, ROWS.1) {
        let (key, head) = pair?;
        let key = &key[1..];
        if head.len() < PART_BYTES {
            each(key, checked(db, key, &head)?)?;
        } else {
            let record = whole(db, key, &head)?;
            each(key, checked(db, key, &record)?)?;
        }
    }
    Ok(())
}

fn whole(db: &Database, key: &[u8], head: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut record = head.to_vec();
    for part in 1.. {
        let Some(piece) = db.get(&rest_key(key, part))? else { break };
        record.extend_from_slice(&piece);
    }
    Ok(record)
}

fn checked<'a>(db: &Database, key: &[u8], record: &'a [u8]) -> Result<&'a [u8], StoreError> {
    row::decode_row(key, record).ok_or_else(|| {
        let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        db.damaged(format!("the row {key} has a wrong checksum"))
    })
}

/// The removal of about `max` rows or continuations; an empty batch when there is none left.
pub(super) fn remove_some(db: &Database, max: usize) -> Result<Batch, StoreError> {
    let mut batch = Batch::default();
    for pair in db.range(ROWS.0, ROWS.1).chain(db.range(CONTINUATIONS.0, CONTINUATIONS.1)).take(max) {
        batch.remove(&pair?.0);
    }
    Ok(batch)
}

pub(super) fn put_applied(batch: &mut Batch, applied: LogPos) {
    batch.seal(APPLIED, &applied.to_bytes());
}

pub(super) fn put_membership(batch: &mut Batch, at: Option<LogPos>, membership: &[u8]) {
    batch.seal(MEMBERSHIP, &row::encode_membership(at, membership));
}

/// Says that the rows are being replaced by a snapshot.
pub(super) fn put_loading(batch: &mut Batch, snapshot: &SnapshotMeta) {
    batch.seal(LOADING, &snapshot.encode());
}

/// Says that the rows are those of a snapshot, all of them.
pub(super) fn put_installed(batch: &mut Batch, snapshot: &SnapshotMeta) {
    batch.remove(LOADING);
    match snapshot.last {
        Some(last) => {
            put_applied(batch, last);
            batch.seal(INSTALLED, &last.to_bytes());
        }
        None => {
            batch.remove(APPLIED);
            batch.remove(INSTALLED);
        }
    }
    if snapshot.membership.is_empty() && snapshot.membership_at.is_none() {
        batch.remove(MEMBERSHIP);
    } else {
        put_membership(batch, snapshot.membership_at, &snapshot.membership);
    }
}

pub(super) fn meta(db: &Database) -> Result<TablesMeta, StoreError> {
    Ok(TablesMeta { last_applied: position(db, APPLIED)?, membership: membership(db)? })
}

pub(super) fn installed(db: &Database) -> Result<Option<LogPos>, StoreError> {
    position(db, INSTALLED)
}

/// The snapshot that was replacing the rows when the process ended, if one was.
pub(super) fn loading(db: &Database) -> Result<Option<SnapshotMeta>, StoreError> {
    db.record(LOADING, SnapshotMeta::decode)
}

fn membership(db: &Database) -> Result<Option<(Option<LogPos>, Bytes)>, StoreError> {
    db.record(MEMBERSHIP, row::decode_membership)
}

fn position(db: &Database, key: &[u8]) -> Result<Option<LogPos>, StoreError> {
    db.record(key, LogPos::from_bytes)
}

fn row_key(key: &[u8]) -> Vec<u8> {
    [ROWS.0, key].concat()
}

fn rest_key(key: &[u8], part: u32) -> Vec<u8> {
    parts::continuation_key([CONTINUATIONS.0, key].concat(), part)
}
