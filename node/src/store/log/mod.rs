//! The replicated log on this disk.
//!
//! Entries are readable as soon as they are handed over, and acknowledged after a real sync. One thread writes, one reads what memory no
//! longer holds; an asynchronous caller never waits for the disk on its own thread.

mod layout;
mod memory;
mod recover;
mod writer;

pub use memory::LogBounds;
pub(super) use recover::Recovered;

use super::database::Database;
use super::directory::Directory;
use super::entry::{ENTRY_BYTES_MAX, LogEntry, LogPos, Vote};
use super::error::StoreError;
use super::health::{Health, Thread};
use super::keeper::Keeper;
use super::marker::Marker;
use memory::Memory;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use writer::{Answer, Job, Work, Writer};

/// What may wait for the log's disk at once, in KiB; whoever wants to append more waits.
const QUEUE_KIB_MAX: u32 = 64 << 10;
/// Ranges that may wait for the reader of the disk; whoever wants to read more waits.
const READS_MAX: usize = 64;

/// The log; all clones are the same one. The last one to go waits for what is queued.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    jobs: mpsc::UnboundedSender<Job>,
    reads: Option<mpsc::Sender<Read>>,
    threads: [Thread; 2],
    keeper: Option<Keeper>,
}

/// What the handle and the threads have in common.
pub(super) struct Shared {
    db: Database,
    marker: Marker,
    health: Health,
    memory: Arc<Mutex<Memory>>,
    synced: watch::Sender<Option<LogPos>>,
    tail_entries: usize,
    _directory: Directory,
}

struct Read {
    range: Range<u64>,
    answer: oneshot::Sender<Result<Vec<LogEntry>, StoreError>>,
}

/// The log as the tables see it.
pub(super) struct Watched {
    /// Where the durable log ends.
    pub(super) synced: watch::Receiver<Option<LogPos>>,
    memory: Arc<Mutex<Memory>>,
}

impl Watched {
    /// Where the log ends, with what is not yet durable.
    pub(super) fn end(&self) -> Option<LogPos> {
        lock(&self.memory).bounds.last
    }
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(db: Database, marker: Marker, health: Health, directory: Directory, recovered: Recovered, tail_entries: usize) -> Self {
        let synced = watch::Sender::new(recovered.bounds.last);
        let memory = Arc::new(Mutex::new(recovered.into_memory()));
        Self { db, marker, health, memory, synced, tail_entries, _directory: directory }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    pub(super) fn synced(&self) -> watch::Receiver<Option<LogPos>> {
        self.synced.subscribe()
    }

    /// What the tables follow.
    pub(super) fn watched(&self) -> Watched {
        Watched { synced: self.synced(), memory: Arc::clone(&self.memory) }
    }

    /// Writes the newest position that is both committed and durable here to the marker.
    pub(super) fn promise_committed(&self) -> Result<(), StoreError> {
        let committed = self.memory().committed;
        let synced = *self.synced.borrow();
        match (committed, synced) {
            (Some(committed), Some(synced)) => self.marker.promise_committed(if committed.index <= synced.index { committed } else { synced }),
            _ => Ok(()),
        }
    }

    /// Reads what is in memory at once, else the disk, until no purge or truncation came between.
    fn read(&self, range: &Range<u64>) -> Result<Vec<LogEntry>, StoreError> {
        loop {
            self.health.check()?;
            let plan = self.memory().plan(range.clone());
            let read = self.read_disk(&plan.on_disk);
            if self.memory().epoch == plan.epoch {
                let mut entries = self.health.watched(read)?;
                entries.extend(plan.tail);
                return Ok(entries);
            }
        }
    }

    fn read_disk(&self, range: &Range<u64>) -> Result<Vec<LogEntry>, StoreError> {
        let mut entries = Vec::new();
        if range.is_empty() {
            return Ok(entries);
        }
        layout::each_entry(&self.db, range.start, Some(range.end), |entry| {
            entries.push(entry);
            Ok(())
        })?;
        match range.clone().zip(entries.iter().map(|entry| Some(entry.at.index)).chain([None])).find(|(index, found)| *found != Some(*index)) {
            Some((missing, _)) => Err(self.db.damaged(format!("the entry {missing} is missing"))),
            None => Ok(entries),
        }
    }
}

impl Log {
    pub(super) fn start(shared: Arc<Shared>, tables_durable: watch::Receiver<Option<LogPos>>, keeper: Keeper) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (reads, mut asked) = mpsc::channel::<Read>(READS_MAX);
        let writer = Writer::new(Arc::clone(&shared), tables_durable);
        let reader = Arc::clone(&shared);
        let threads = [
            shared.health.spawn("log-writer", move || writer.run(queue))?,
            shared.health.spawn("log-reader", move || {
                while let Some(Read { range, answer }) = asked.blocking_recv() {
                    // Nobody waits any more when the caller has gone.
                    let _ = answer.send(reader.read(&range));
                }
            })?,
        ];
        let room = Arc::new(Semaphore::new(QUEUE_KIB_MAX as usize));
        Ok(Self(Arc::new(Inner { shared, room, jobs, reads: Some(reads), threads, keeper: Some(keeper) })))
    }

    /// Appends entries that follow the last one. They can be read before this returns; `done` is called after the sync that makes them durable,
    /// or when that fails, on the writer's thread, in the order of the appends. Waits only while too much waits for the disk.
    ///
    /// # Errors
    /// When the store has failed, an entry is too large, or the entries do not follow the last one; then nothing is appended and `done` is
    /// dropped without a call.
    pub async fn append(&self, entries: Vec<LogEntry>, done: impl FnOnce(Result<(), StoreError>) + Send + 'static) -> Result<(), StoreError> {
        if entries.iter().any(|entry| entry.payload.len() > ENTRY_BYTES_MAX) {
            return Err(StoreError::Refused("an entry of the log is larger than 16 MiB"));
        }
        let bytes: usize = entries.iter().map(LogEntry::weight).sum();
        self.ask(bytes, Box::new(done), |memory| {
            memory.push(&entries)?;
            Ok(Some(Work::Append(entries)))
        })
        .await
    }

    /// Saves a vote; it is durable, in the database and in the marker, when this returns.
    ///
    /// # Errors
    /// When the store fails; then the vote must not be answered.
    pub async fn save_vote(&self, vote: Vote) -> Result<(), StoreError> {
        self.ask_and_wait(|_| Ok(Some(Work::Vote(vote)))).await
    }

    /// The last vote that is durable.
    #[must_use]
    pub fn vote(&self) -> Option<Vote> {
        self.0.shared.memory().vote
    }

    /// Remembers what is committed. It is written with the next batch and has no sync of its own; the marker follows within a second.
    pub fn save_committed(&self, committed: Option<LogPos>) {
        let mut memory = self.0.shared.memory();
        memory.committed_unwritten |= memory.committed != committed;
        memory.committed = committed;
    }

    /// The last committed position that was saved.
    #[must_use]
    pub fn committed(&self) -> Option<LogPos> {
        self.0.shared.memory().committed
    }

    /// Removes every entry after `after`, all of them for `None`; durable when this returns. A log that ends before stays as it is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn truncate_after(&self, after: Option<LogPos>) -> Result<(), StoreError> {
        self.ask_and_wait(|memory| {
            let cut = memory.truncate_after(after);
            Ok(cut.then_some(Work::TruncateAfter(memory.bounds.last)))
        })
        .await
    }

    /// Gives up every entry up to `upto`: for readers at once, on the disk later, in chunks, and not before the tables are durable up to there
    /// (which this asks for) unless the log ends before `upto`.
    ///
    /// # Errors
    /// When the store has failed.
    pub async fn purge(&self, upto: LogPos) -> Result<(), StoreError> {
        self.ask(0, Box::new(|_| ()), |memory| Ok(memory.purge(upto).then_some(Work::Purge(upto)))).await
    }

    /// The last entry that was purged.
    #[must_use]
    pub fn last_purged(&self) -> Option<LogPos> {
        self.state().last_purged
    }

    /// Where the log begins and ends, with what is not yet durable.
    #[must_use]
    pub fn state(&self) -> LogBounds {
        self.0.shared.memory().bounds
    }

    /// The entries in `range` that are there: without a gap, and shorter than the range only where the log begins or ends.
    ///
    /// # Errors
    /// When the store has failed, or an entry came back damaged, which ends the store.
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<LogEntry>, StoreError> {
        if let Some(entries) = self.read_memory(range.clone())? {
            return Ok(entries);
        }
        let (answer, answered) = oneshot::channel();
        let reads = self.0.reads.as_ref().ok_or(StoreError::Closed)?;
        reads.send(Read { range, answer }).await.map_err(|_| self.over())?;
        answered.await.map_err(|_| self.over())?
    }

    /// The same without waiting, when no entry of `range` has to be read from the disk; else `None`.
    ///
    /// # Errors
    /// When the store has failed.
    pub fn read_memory(&self, range: Range<u64>) -> Result<Option<Vec<LogEntry>>, StoreError> {
        self.0.shared.health.check()?;
        let plan = self.0.shared.memory().plan(range);
        Ok(plan.on_disk.is_empty().then_some(plan.tail))
    }

    /// Where the durable log ends, as it goes on.
    #[must_use]
    pub fn synced(&self) -> watch::Receiver<Option<LogPos>> {
        self.0.shared.synced()
    }

    async fn ask_and_wait(&self, change: impl FnOnce(&mut Memory) -> Result<Option<Work>, StoreError>) -> Result<(), StoreError> {
        let (told, ending) = oneshot::channel();
        let answer = Box::new(move |result| {
            // Nobody waits any more when the caller has gone.
            let _ = told.send(result);
        });
        self.ask(0, answer, change).await?;
        ending.await.unwrap_or_else(|_| Err(self.over()))
    }

    /// Changes memory and queues the same change for the disk, in one order for both. No work: the answer is yes, at once.
    async fn ask(
        &self,
        bytes: usize,
        answer: Answer,
        change: impl FnOnce(&mut Memory) -> Result<Option<Work>, StoreError>,
    ) -> Result<(), StoreError> {
        let inner = &*self.0;
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(QUEUE_KIB_MAX).min(QUEUE_KIB_MAX);
        let room = Arc::clone(&inner.room).acquire_many_owned(kib).await.map_err(|_| self.over())?;
        inner.shared.health.check()?;
        let mut memory = inner.shared.memory();
        let Some(work) = change(&mut memory)? else {
            drop(memory);
            answer(Ok(()));
            return Ok(());
        };
        inner.jobs.send(Job::Write { work, answer, _room: room }).map_err(|_| self.over())
    }

    fn over(&self) -> StoreError {
        self.0.shared.health.check().err().unwrap_or(StoreError::Closed)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.reads = None;
        // A writer that is gone has nothing left to close.
        let _ = self.jobs.send(Job::Close);
        self.threads.iter_mut().for_each(Thread::join);
        self.keeper = None;
        let promised = self.shared.health.check().and_then(|()| self.shared.promise_committed());
        if let Err(error) = self.shared.health.watched(promised) {
            tracing::error!(%error, "cannot write the marker at the end");
        }
    }
}
