//! The thread that writes the tables, behind the log: it never passes what the log has synced, and takes much of what may be written as one
//! batch, which it syncs before it begins the next.
//!
//! The sync is not for the rows, which the log could bring back, but for the database. sled gives the room of a page to another one as soon as it
//! has written the first elsewhere; a power cut keeps what was overwritten and forgets what made the file grow, and sled then panics at
//! open. So the unsynced part stays smaller than one of its segments.

use super::super::entry::LogPos;
use super::super::error::StoreError;
use super::super::health::Health;
use super::super::log::Watched;
use super::super::snapshots::SnapshotFile;
use super::rows::Rows;
use crate::state::Row;
use bytes::Bytes;
use futures::executor::block_on;
use std::collections::VecDeque;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Rows after which a batch is full; the rest goes into the next.
const BATCH_ROWS_MAX: usize = 10_000;
/// Bytes of keys and values after which a batch is full: half a segment of sled.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// The changes of some entries that were applied together.
pub(super) struct Write {
    pub(super) applied: LogPos,
    pub(super) membership: Option<(LogPos, Bytes)>,
    pub(super) rows: Vec<Row>,
    pub(super) _room: OwnedSemaphorePermit,
}

/// Who is told up to where the tables are durable.
type Synced = oneshot::Sender<Result<Option<LogPos>, StoreError>>;

/// What the writer is asked for.
pub(super) enum Job {
    Write(Write),
    Sync(Synced),
    Replace { snapshot: SnapshotFile, answer: oneshot::Sender<Result<(), StoreError>> },
    Close,
}

pub(super) struct Writer {
    rows: Rows,
    health: Health,
    pending: VecDeque<Write>,
    /// Each with the last entry that was queued before it.
    syncs: Vec<(Option<u64>, Synced)>,
    log: Watched,
    log_is_open: bool,
}

impl Writer {
    pub(super) fn new(rows: Rows, health: Health, log: Watched) -> Self {
        Self { rows, health, pending: VecDeque::new(), syncs: Vec::new(), log, log_is_open: true }
    }

    /// Works until it is told to close; then all that may be written is written and durable.
    pub(super) fn run(mut self, mut jobs: UnboundedReceiver<Job>) {
        let mut open = true;
        while open {
            let first = block_on(self.next(&mut jobs));
            let waiting: Vec<Job> = first.into_iter().chain(std::iter::from_fn(|| jobs.try_recv().ok())).collect();
            for job in waiting {
                open &= self.take(job);
            }
            self.work(!open);
        }
    }

    /// The next job, or `None` when the log has gone on so that there may be something to do.
    async fn next(&mut self, jobs: &mut UnboundedReceiver<Job>) -> Option<Job> {
        let waiting = self.log_is_open && !self.pending.is_empty();
        tokio::select! {
            biased;
            job = jobs.recv() => Some(job.unwrap_or(Job::Close)),
            change = self.log.synced.changed(), if waiting => {
                self.log_is_open = change.is_ok();
                None
            }
        }
    }

    /// Takes a job in; `false` to close.
    fn take(&mut self, job: Job) -> bool {
        match job {
            Job::Write(write) => self.pending.push_back(write),
            Job::Sync(answer) => self.syncs.push((self.pending.back().map(|write| write.applied.index), answer)),
            Job::Replace { snapshot, answer } => {
                // The snapshot holds all that still waits.
                self.pending.clear();
                let replaced = self.health.check().and_then(|()| self.rows.replace(&snapshot));
                // Nobody waits any more when the caller has gone.
                let _ = answer.send(self.health.watched(replaced));
            }
            Job::Close => return false,
        }
        true
    }

    fn work(&mut self, closing: bool) {
        let worked = self.health.check().and_then(|()| self.write_and_sync());
        let ending = self.health.watched(worked);
        if ending.is_err() {
            self.pending.clear();
        }
        let awaited = if closing { None } else { self.awaited() };
        for (_, answer) in self.syncs.extract_if(.., |(upto, _)| !waits(awaited, *upto)) {
            // Nobody waits any more when the caller has gone.
            let _ = answer.send(ending.clone().map(|()| self.rows.written));
        }
    }

    /// The first write that the log has, but has not yet made durable.
    fn awaited(&self) -> Option<u64> {
        let first = self.pending.front().map(|write| write.applied.index)?;
        (self.log_is_open && Some(first) <= index(self.log.end())).then_some(first)
    }

    fn write_and_sync(&mut self) -> Result<(), StoreError> {
        let synced = index(*self.log.synced.borrow_and_update());
        loop {
            let batch = self.next_batch(synced);
            if batch.is_empty() {
                return self.rows.sync();
            }
            self.rows.write(&batch)?;
            self.rows.sync()?;
        }
    }

    /// The next writes that the log has already made durable, up to a full batch.
    fn next_batch(&mut self, synced: Option<u64>) -> Vec<Write> {
        let mut batch = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH_ROWS_MAX
            && bytes < BATCH_BYTES_MAX
            && let Some(write) = self.pending.pop_front_if(|write| Some(write.applied.index) <= synced)
        {
            rows += write.rows.len();
            bytes += write.rows.iter().map(|row| row.key.len() + row.value.as_ref().map_or(0, Vec::len)).sum::<usize>();
            batch.push(write);
        }
        batch
    }
}

/// Whether a sync of all up to `upto` has to wait for the write `awaited`.
fn waits(awaited: Option<u64>, upto: Option<u64>) -> bool {
    awaited.is_some() && awaited <= upto
}

fn index(pos: Option<LogPos>) -> Option<u64> {
    pos.map(|pos| pos.index)
}
