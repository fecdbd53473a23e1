//! The rows of the state on this disk, written behind.
//!
//! The state lives in memory; what changed in it is queued here and written by a thread of its own, coalesced, each batch with the last entry
//! that it contains, and synced (writer.rs says why). After a crash the log is replayed from `last_applied`, and the log is not purged beyond
//! what is durable here.

mod layout;
mod rows;
mod writer;

pub(super) use rows::Rows;

use super::database::Database;
use super::entry::LogPos;
use super::error::StoreError;
use super::health::{Health, Thread};
use super::log::Watched;
use super::row::{MEMBERSHIP_BYTES_MAX, TablesMeta, check_sizes};
use super::snapshots::SnapshotFile;
use crate::state::Row;
use bytes::Bytes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, mpsc, oneshot};
use writer::{Job, Write, Writer};

/// The tables; all clones are the same ones. The last one to go waits for what may be written, and makes it durable.
#[derive(Clone)]
pub struct Tables(Arc<Inner>);

struct Inner {
    db: Arc<Database>,
    health: Health,
    room: Arc<Semaphore>,
    room_max: u32,
    /// The last entry whose rows were queued; held while a job is queued, so that jobs are queued in the order of the log.
    queued: Mutex<Option<LogPos>>,
    jobs: mpsc::UnboundedSender<Job>,
    thread: Thread,
}

impl Tables {
    pub(super) fn start(rows: Rows, health: Health, queued_rows_max: usize, log: Watched) -> Result<Self, StoreError> {
        let room_max = u32::try_from(queued_rows_max).unwrap_or(u32::MAX >> 4).clamp(1, u32::MAX >> 4);
        let (jobs, queue) = mpsc::unbounded_channel();
        let (db, queued) = (Arc::clone(&rows.db), Mutex::new(rows.written()));
        let writer = Writer::new(rows, health.clone(), log);
        let thread = health.spawn("table-writer", move || writer.run(queue))?;
        let room = Arc::new(Semaphore::new(room_max as usize));
        Ok(Self(Arc::new(Inner { db, health, room, room_max, queued, jobs, thread })))
    }

    /// Queues the changes that applying the log up to `applied` has made. Waits only while too many rows are queued.
    ///
    /// # Errors
    /// When the store has failed, `applied` does not go forward, or a key, a row or the membership is too large; then nothing is queued.
    pub async fn write(&self, applied: LogPos, membership: Option<(LogPos, Bytes)>, rows: Vec<Row>) -> Result<(), StoreError> {
        rows.iter().try_for_each(|row| check_sizes(&row.key, row.value.as_deref().unwrap_or_default()))?;
        if membership.as_ref().is_some_and(|(_, bytes)| bytes.len() > MEMBERSHIP_BYTES_MAX) {
            return Err(StoreError::Refused("a membership is larger than 16 KiB"));
        }
        let inner = &*self.0;
        let share = u32::try_from(rows.len()).unwrap_or(u32::MAX).clamp(1, inner.room_max);
        let room = Arc::clone(&inner.room).acquire_many_owned(share).await.map_err(|_| self.over())?;
        inner.health.check()?;
        let mut queued = self.queued();
        if queued.is_some_and(|queued| queued.index >= applied.index) {
            return Err(StoreError::Refused("the tables were told of entries that they already have"));
        }
        inner.jobs.send(Job::Write(Write { applied, membership, rows, _room: room })).map_err(|_| self.over())?;
        *queued = Some(applied);
        Ok(())
    }

    /// Makes durable all that was queued by `write` before the call, and answers with the last entry that the tables then contain. For entries
    /// that the log has not yet made durable it waits; but not for entries that the log does not even have, which stay queued.
    ///
    /// # Errors
    /// When the store fails, also while this waits.
    pub async fn sync(&self) -> Result<Option<LogPos>, StoreError> {
        self.0.health.check()?;
        let (answer, answered) = oneshot::channel();
        self.0.jobs.send(Job::Sync(answer)).map_err(|_| self.over())?;
        tokio::select! {
            answer = answered => answer.unwrap_or_else(|_| Err(self.over())),
            // A log that has failed does not go on, so the answer may never come.
            error = self.0.health.fatal() => Err(error),
        }
    }

    /// Shows every row in key order to `each`, and answers with what the tables say of themselves. Blocking; at the start, before any `write`.
    ///
    /// # Errors
    /// When a row came back damaged, or `each` refuses one with a reason; both end the store.
    #[allow(clippy::type_complexity)]
    pub fn load(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), String>) -> Result<TablesMeta, StoreError> {
        let db = &self.0.db;
        let loaded = layout::each_row(db, |key, value| each(key, value).map_err(|reason| db.damaged(reason)));
        self.0.health.watched(loaded.and_then(|()| layout::meta(db)))
    }

    /// Puts the rows of a verified snapshot in the place of all that is there; durable when this returns. A crash on the way is made good at the
    /// next start from the newest snapshot file, which must be this one or a later one.
    ///
    /// # Errors
    /// When the store fails; a row that cannot be read ends it too, because the old rows are gone by then. A snapshot older than what was
    /// queued is refused, and nothing changes.
    pub async fn replace(&self, snapshot: SnapshotFile) -> Result<(), StoreError> {
        self.0.health.check()?;
        let (answer, answered) = oneshot::channel();
        {
            let mut queued = self.queued();
            if queued.map(|queued| queued.index) > snapshot.meta().last.map(|last| last.index) {
                return Err(StoreError::Refused("the snapshot is older than the tables"));
            }
            let last = snapshot.meta().last;
            self.0.jobs.send(Job::Replace { snapshot, answer }).map_err(|_| self.over())?;
            *queued = last;
        }
        answered.await.unwrap_or_else(|_| Err(self.over()))
    }

    fn queued(&self) -> MutexGuard<'_, Option<LogPos>> {
        self.0.queued.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) -> StoreError {
        self.0.health.check().err().unwrap_or(StoreError::Closed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A writer that is gone has nothing left to close.
        let _ = self.jobs.send(Job::Close);
        self.thread.join();
    }
}
