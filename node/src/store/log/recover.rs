//! What a log says of itself when it is opened, held against the marker.

use super::super::database::{Batch, Database};
use super::super::entry::{LogPos, Vote};
use super::super::error::{OpenError, StoreError};
use super::super::marker::Marker;
use super::layout;
use super::memory::{LogBounds, Memory};

/// The log as it was found on the disk.
pub(in crate::store) struct Recovered {
    pub(in crate::store) bounds: LogBounds,
    first: u64,
    vote: Option<Vote>,
    committed: Option<LogPos>,
}

impl Recovered {
    /// Reads the whole log: every CRC, no gap, also not at its head, and the entry that the marker names is the one that it names.
    pub(in crate::store) fn read(db: &Database, marker: &Marker) -> Result<Self, OpenError> {
        let purged = layout::purged(db)?;
        let promised = marker.promise().committed;
        let first = after(purged);
        let mut last = purged;
        layout::each_entry(db, first, None, |entry| {
            let expected = after(last);
            if entry.at.index != expected {
                return Err(db.damaged(format!("the entry {expected} is missing")));
            }
            if promised.is_some_and(|promised| promised.index == entry.at.index && promised != entry.at) {
                return Err(db.damaged(format!("the entry {expected} is not the committed one that the marker names")));
            }
            last = Some(entry.at);
            Ok(())
        })?;
        let bounds = LogBounds { last_purged: purged, last };
        Ok(Self { bounds, first, vote: layout::vote(db)?, committed: layout::committed(db)? })
    }

    /// Refuses a log that has lost what the disk promised. `applied` is where the tables end: what they hold needs no log.
    pub(in crate::store) fn keeps(&self, db: &Database, marker: &Marker, applied: Option<LogPos>) -> Result<(), OpenError> {
        let promise = marker.promise();
        let end = index(self.bounds.last).max(index(applied));
        for committed in [promise.committed, self.committed].into_iter().flatten() {
            if end < Some(committed.index) {
                let end = end.map_or("nowhere".to_owned(), |end| format!("at {end}"));
                return Err(OpenError::forgot(db.dir(), format!("the log ends {end}, and {committed} was committed here")));
            }
        }
        match promise.vote {
            Some(voted) if !self.vote.is_some_and(|vote| vote.is_not_before(&voted)) => {
                Err(OpenError::forgot(db.dir(), format!("its vote is older than that of term {} in {}", voted.term, marker.path().display())))
            }
            _ => Ok(()),
        }
    }

    /// The entry that the log has at an index, as far as it still knows: the last purged one, or a later one.
    pub(in crate::store) fn at(&self, db: &Database, index: u64) -> Result<Option<LogPos>, StoreError> {
        let mut found = self.bounds.last_purged.filter(|purged| purged.index == index);
        if index >= self.first {
            layout::each_entry(db, index, index.checked_add(1), |entry| {
                found = Some(entry.at);
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// Begins the log anew after `upto`, which a snapshot in the tables has made superfluous.
    pub(in crate::store) fn continue_after(&mut self, db: &Database, upto: LogPos) -> Result<(), OpenError> {
        let mut batch = Batch::default();
        layout::put_purged(&mut batch, upto);
        db.apply(batch)?;
        db.sync()?;
        self.bounds = LogBounds { last_purged: Some(upto), last: Some(upto) };
        self.first = after(Some(upto));
        Ok(())
    }

    pub(super) fn into_memory(self) -> Memory {
        Memory::new(self.bounds, self.first, self.vote, self.committed)
    }
}

/// The index that follows a position; the log begins at 0.
fn after(pos: Option<LogPos>) -> u64 {
    pos.map_or(0, |pos| pos.index.saturating_add(1))
}

fn index(pos: Option<LogPos>) -> Option<u64> {
    pos.map(|pos| pos.index)
}
