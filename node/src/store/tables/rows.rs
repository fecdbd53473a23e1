//! The rows on the disk: written in batches that each carry their `last_applied`, or replaced as a whole.

use super::super::database::{Batch, Database};
use super::super::directory::Directory;
use super::super::entry::LogPos;
use super::super::error::StoreError;
use super::super::health::Health;
use super::super::row::SnapshotMeta;
use super::super::snapshots::SnapshotFile;
use super::super::stats::Stats;
use super::layout::{self, Wide};
use super::writer::Write;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Rows written or removed in one batch while a snapshot replaces the tables.
const REPLACE_CHUNK: usize = 1_000;

pub(in crate::store) struct Rows {
    pub(super) db: Arc<Database>,
    wide: Wide,
    /// The last entry whose rows are written.
    pub(super) written: Option<LogPos>,
    durable: watch::Sender<Option<LogPos>>,
    health: Health,
    _directory: Directory,
}

impl Rows {
    pub(in crate::store) fn open(db: Database, health: Health, directory: Directory) -> Result<Self, StoreError> {
        let (wide, written) = (layout::wide(&db)?, layout::meta(&db)?.last_applied);
        Ok(Self { db: Arc::new(db), wide, written, durable: watch::Sender::new(written), health, _directory: directory })
    }

    pub(in crate::store) fn written(&self) -> Option<LogPos> {
        self.written
    }

    /// Up to where the rows are durable.
    pub(in crate::store) fn durable(&self) -> watch::Receiver<Option<LogPos>> {
        self.durable.subscribe()
    }

    /// The last snapshot that replaced the rows.
    pub(in crate::store) fn installed(&self) -> Result<Option<LogPos>, StoreError> {
        layout::installed(&self.db)
    }

    /// The snapshot that was replacing the rows when the process ended.
    pub(in crate::store) fn loading(&self) -> Result<Option<SnapshotMeta>, StoreError> {
        layout::loading(&self.db)
    }

    pub(in crate::store) fn db(&self) -> &Database {
        &self.db
    }

    pub(super) fn is_durable(&self) -> bool {
        *self.durable.borrow() == self.written
    }

    /// Writes what was queued, in one batch: of two values for one key, the later.
    pub(super) fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let Some(last) = writes.last() else { return Ok(()) };
        let mut newest = BTreeMap::new();
        for row in writes.iter().flat_map(|write| &write.rows) {
            newest.insert(&row.key[..], row.value.as_deref());
        }
        let mut batch = Batch::default();
        let mut bytes = 0;
        for (key, value) in &newest {
            layout::put_row(&mut batch, &mut self.wide, key, *value);
            bytes += key.len() + value.map_or(0, <[u8]>::len);
        }
        if let Some((at, membership)) = writes.iter().rev().find_map(|write| write.membership.as_ref()) {
            layout::put_membership(&mut batch, Some(*at), membership);
        }
        layout::put_applied(&mut batch, last.applied);
        self.db.apply(batch)?;
        self.written = Some(last.applied);
        let stats = self.health.stats();
        Stats::add(&stats.table_batches, 1);
        Stats::add(&stats.table_rows, newest.len());
        Stats::add(&stats.table_bytes, bytes);
        Ok(())
    }

    /// Makes durable what is written.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        if !self.is_durable() {
            self.db.sync()?;
            Stats::add(&self.health.stats().table_syncs, 1);
            self.durable.send_replace(self.written);
        }
        Ok(())
    }

    /// Puts the rows of a snapshot in the place of all that is there. Interrupted, it leaves a flag that makes the next start do it again.
    pub(in crate::store) fn replace(&mut self, file: &SnapshotFile) -> Result<(), StoreError> {
        let snapshot = file.meta();
        let mut flag = Batch::default();
        layout::put_loading(&mut flag, snapshot);
        self.db.apply(flag)?;
        self.db.sync()?;
        self.clear()?;
        self.fill(file)?;
        self.db.sync()?;
        let mut done = Batch::default();
        layout::put_installed(&mut done, snapshot);
        self.db.apply(done)?;
        self.db.sync()?;
        self.written = snapshot.last;
        self.durable.send_replace(self.written);
        Ok(())
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        self.wide.clear();
        loop {
            let batch = layout::remove_some(&self.db, REPLACE_CHUNK)?;
            if batch.len() == 0 {
                return Ok(());
            }
            self.db.apply(batch)?;
        }
    }

    fn fill(&mut self, file: &SnapshotFile) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for pair in file.rows() {
            let (key, value) = pair?;
            layout::put_row(&mut batch, &mut self.wide, &key, Some(&value));
            if batch.len() >= REPLACE_CHUNK {
                self.db.apply(std::mem::take(&mut batch))?;
            }
        }
        self.db.apply(batch)
    }
}
