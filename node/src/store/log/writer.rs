//! The thread that writes the log: all that waits goes into one round, with one sync, and only then is anybody told.

use super::super::database::{Batch, Database};
use super::super::entry::{LogEntry, LogPos, Vote};
use super::super::error::StoreError;
use super::super::stats::Stats;
use super::{Shared, layout};
use futures::executor::block_on;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// The most entries removed in one step of a purge; between two steps, appends have their turn.
const PURGE_CHUNK: usize = 1_000;
/// The fewest, so that a purge ends under any load.
const PURGE_CHUNK_MIN: usize = 2;
/// Entries cut off the end of the log in one batch.
const TRUNCATE_CHUNK: usize = 1_000;
/// Changes after which a round goes to the database as a batch; the round's sync still is one.
const BATCH_CHANGES_MAX: usize = 4_096;

/// Who is told how a job ended.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What the writer is asked for. The permit is the job's share of what may wait.
pub(super) enum Job {
    Write { work: Work, answer: Answer, _room: OwnedSemaphorePermit },
    Close,
}

pub(super) enum Work {
    Append(Vec<LogEntry>),
    Vote(Vote),
    TruncateAfter(Option<LogPos>),
    Purge(LogPos),
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Up to where the tables are durable: the log is not purged beyond it.
    tables_durable: watch::Receiver<Option<LogPos>>,
    /// Where the log ends on the disk, with this round.
    last: Option<LogPos>,
    purge: Purge,
}

/// A purge in three stages: wanted until the tables are durable, granted when the position is written, over when the entries are gone.
#[derive(Default)]
struct Purge {
    wanted: Option<LogPos>,
    granted: Option<LogPos>,
    /// The index at which the next step begins.
    next: u64,
    /// How many entries the next step removes.
    chunk: usize,
}

impl Purge {
    fn is_removing(&self) -> bool {
        self.granted.is_some_and(|upto| self.next <= upto.index)
    }

    /// Keeps the next append's sync short. A step after a round removes at most twice what was appended, so that the purge still gains on a log
    /// that grows; from there, each step that follows on nothing new doubles, so that no append waits much longer than it had stayed away.
    fn pace(&mut self, appended: Option<usize>) {
        let chunk = appended.unwrap_or(self.chunk).saturating_mul(2);
        self.chunk = chunk.clamp(PURGE_CHUNK_MIN, PURGE_CHUNK);
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, tables_durable: watch::Receiver<Option<LogPos>>) -> Self {
        let bounds = shared.memory().bounds;
        // What an interrupted purge has left is removed first.
        let purge = Purge { granted: bounds.last_purged, ..Purge::default() };
        Self { shared, tables_durable, last: bounds.last, purge }
    }

    /// Works until it is told to close.
    pub(super) fn run(mut self, mut jobs: UnboundedReceiver<Job>) {
        loop {
            let first = if self.purge.is_removing() { None } else { block_on(self.next(&mut jobs)) };
            let waiting: Vec<Job> = first.into_iter().chain(std::iter::from_fn(|| jobs.try_recv().ok())).collect();
            let closing = waiting.iter().any(|job| matches!(job, Job::Close)) || jobs.is_closed();
            let appended = (!waiting.is_empty()).then(|| self.round(waiting));
            if closing {
                break;
            }
            self.purge.pace(appended);
            let step = self.shared.health.check().and_then(|()| self.purge_step());
            if self.shared.health.watched(step).is_err() {
                self.purge = Purge::default();
            }
        }
        self.round(Vec::new());
    }

    /// The next job, or `None` when a purge that was waited with can go on.
    async fn next(&mut self, jobs: &mut UnboundedReceiver<Job>) -> Option<Job> {
        let Some(wanted) = self.purge.wanted else { return jobs.recv().await };
        tokio::select! {
            biased;
            job = jobs.recv() => job,
            durable = self.tables_durable.wait_for(|durable| covers(*durable, wanted)) => {
                if durable.is_err() {
                    // The tables are closed, so they will never be durable up to there.
                    self.purge.wanted = None;
                }
                None
            }
        }
    }

    /// Writes and syncs all that is asked for, then tells everyone the same ending. Answers with the number of entries that it appended.
    fn round(&mut self, jobs: Vec<Job>) -> usize {
        let (mut works, mut told) = (Vec::new(), Vec::new());
        for job in jobs {
            if let Job::Write { work, answer, _room } = job {
                works.push(work);
                told.push((answer, _room));
            }
        }
        let written = self.shared.health.check().and_then(|()| self.write(works));
        let ending = self.shared.health.watched(written);
        for (answer, _room) in told {
            answer(ending.as_ref().map(|_| ()).map_err(Clone::clone));
        }
        ending.unwrap_or(0)
    }

    fn write(&mut self, works: Vec<Work>) -> Result<usize, StoreError> {
        let shared = Arc::clone(&self.shared);
        let mut page = Page::new(&shared.db);
        for work in works {
            self.write_one(work, &mut page)?;
        }
        if let Some(committed) = self.committed_to_write() {
            layout::put_committed(&mut page.batch, committed);
        }
        page.spill()?;
        if page.is_clean {
            return Ok(0);
        }
        shared.db.sync()?;
        if let Some(vote) = page.vote {
            shared.marker.promise_vote(vote)?;
            shared.memory().vote = Some(vote);
        }
        self.publish(&page);
        Ok(page.entries)
    }

    fn write_one(&mut self, work: Work, page: &mut Page<'_>) -> Result<(), StoreError> {
        match work {
            Work::Append(entries) => {
                for entry in &entries {
                    page.append(entry)?;
                    self.last = Some(entry.at);
                }
            }
            Work::Vote(vote) => {
                layout::put_vote(&mut page.batch, vote);
                page.vote = Some(vote);
            }
            Work::TruncateAfter(after) => {
                page.truncate_after(after)?;
                self.last = after;
            }
            Work::Purge(upto) if index(self.last) < Some(upto.index) => {
                // A snapshot has overtaken the log: what is appended next follows it, so the position is written with that.
                self.shared.promise_committed()?;
                layout::put_purged(&mut page.batch, upto);
                self.last = Some(upto);
                self.grant(upto);
            }
            Work::Purge(upto) => self.purge.wanted = Some(upto),
        }
        Ok(())
    }

    /// The committed position, if it is news and what it names is written.
    #[allow(clippy::option_option)]
    fn committed_to_write(&self) -> Option<Option<LogPos>> {
        let mut memory = self.shared.memory();
        let due = memory.committed_unwritten && index(memory.committed) <= index(self.last);
        memory.committed_unwritten &= !due;
        due.then_some(memory.committed)
    }

    fn publish(&self, page: &Page<'_>) {
        let stats = self.shared.health.stats();
        Stats::add(&stats.syncs, 1);
        if page.entries > 0 {
            let entries = f64::from(u32::try_from(page.entries).unwrap_or(u32::MAX));
            metrics::histogram!(crate::telemetry::names::STORE_SYNC_ENTRIES).record(entries);
            Stats::add(&stats.synced_entries, page.entries);
            Stats::add(&stats.synced_bytes, page.bytes);
            stats.last_batch_entries.store(page.entries as u64, std::sync::atomic::Ordering::Relaxed);
        }
        self.shared.synced.send_replace(self.last);
        if let Some(last) = self.last {
            self.shared.memory().prune(last, self.shared.tail_entries);
        }
    }

    fn grant(&mut self, upto: LogPos) {
        self.purge.granted = Some(upto);
        self.purge.wanted = self.purge.wanted.filter(|wanted| wanted.index > upto.index);
    }

    /// Goes on with a purge: writes its position once the tables allow it, or removes a chunk. Nothing of it needs a sync of its own.
    fn purge_step(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let durable = *self.tables_durable.borrow();
        if let Some(upto) = self.purge.wanted.filter(|wanted| covers(durable, *wanted)) {
            shared.promise_committed()?;
            let mut batch = Batch::default();
            layout::put_purged(&mut batch, upto);
            shared.db.apply(batch)?;
            self.grant(upto);
        }
        if let Some(upto) = self.purge.granted.filter(|_| self.purge.is_removing()) {
            let (batch, next) = layout::remove_first(&shared.db, self.purge.next, upto.index, self.purge.chunk)?;
            Stats::add(&shared.health.stats().purged_entries, batch.len());
            if batch.len() > 0 {
                shared.db.apply(batch)?;
            }
            self.purge.next = next.unwrap_or_else(|| upto.index.saturating_add(1));
        }
        Ok(())
    }
}

/// What a round has put together so far.
struct Page<'a> {
    db: &'a Database,
    batch: Batch,
    /// Whether nothing has been written yet.
    is_clean: bool,
    vote: Option<Vote>,
    entries: usize,
    bytes: usize,
}

impl<'a> Page<'a> {
    fn new(db: &'a Database) -> Self {
        Self { db, batch: Batch::default(), is_clean: true, vote: None, entries: 0, bytes: 0 }
    }

    fn append(&mut self, entry: &LogEntry) -> Result<(), StoreError> {
        layout::put_entry(&mut self.batch, entry);
        self.entries += 1;
        self.bytes += entry.payload.len();
        if self.batch.len() >= BATCH_CHANGES_MAX { self.spill() } else { Ok(()) }
    }

    /// Removes from the end backwards, so that no crash leaves a gap.
    fn truncate_after(&mut self, after: Option<LogPos>) -> Result<(), StoreError> {
        self.spill()?;
        loop {
            let batch = layout::remove_last(self.db, after.map_or(0, |after| after.index.saturating_add(1)), TRUNCATE_CHUNK)?;
            if batch.len() == 0 {
                return Ok(());
            }
            self.batch = batch;
            self.spill()?;
        }
    }

    fn spill(&mut self) -> Result<(), StoreError> {
        if self.batch.len() > 0 {
            self.is_clean = false;
            self.db.apply(std::mem::take(&mut self.batch))?;
        }
        Ok(())
    }
}

fn index(pos: Option<LogPos>) -> Option<u64> {
    pos.map(|pos| pos.index)
}

fn covers(durable: Option<LogPos>, wanted: LogPos) -> bool {
    index(durable) >= Some(wanted.index)
}
