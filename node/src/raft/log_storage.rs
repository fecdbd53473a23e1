//! The engine's log on the store's.

use super::types::{Engine, from_entry, from_vote, io_error, log_id, pos, to_entry, to_vote};
use crate::store::{Log, LogEntry, Payload};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};

/// The log of this node, as the engine sees it.
#[derive(Clone)]
pub(crate) struct LogStorage {
    log: Log,
}

impl LogStorage {
    /// Wraps the store's log.
    pub(crate) fn new(log: Log) -> Self {
        Self { log }
    }
}

/// Payload bytes of one append; well below what a frame may hold.
const APPEND_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many of the first entries stay within the bound; one in any case.
fn fitting(entries: &[LogEntry]) -> usize {
    let mut bytes = 0;
    let over = entries.iter().position(|entry| {
        bytes += match &entry.payload {
            Payload::Blank => 0,
            Payload::Command(payload) | Payload::Membership(payload) => payload.len(),
        };
        bytes > APPEND_BYTES_MAX
    });
    over.unwrap_or(entries.len()).max(1)
}

fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(index) => index.saturating_add(1),
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

impl RaftLogReader<Engine> for LogStorage {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(&mut self, range: RB) -> Result<Vec<EntryOf<Engine>>, io::Error> {
        let entries = self.log.read(half_open(&range)).await.map_err(io_error)?;
        entries.into_iter().map(|entry| from_entry(entry).map_err(io_error)).collect()
    }

    /// So many that their append fits into a frame; at least one.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<EntryOf<Engine>>, io::Error> {
        let mut entries = self.log.read(start..end).await.map_err(io_error)?;
        entries.truncate(fitting(&entries));
        entries.into_iter().map(|entry| from_entry(entry).map_err(io_error)).collect()
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Engine>>, io::Error> {
        Ok(self.log.vote().map(from_vote))
    }
}

impl RaftLogStorage<Engine> for LogStorage {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Engine>, io::Error> {
        let bounds = self.log.state();
        let last_purged_log_id = bounds.last_purged.map(log_id);
        Ok(LogState { last_purged_log_id, last_log_id: bounds.last.map(log_id).or(last_purged_log_id) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Engine>) -> Result<(), io::Error> {
        self.log.save_vote(to_vote(vote)).await.map_err(io_error)
    }

    async fn save_committed(&mut self, committed: Option<LogIdOf<Engine>>) -> Result<(), io::Error> {
        self.log.save_committed(committed.as_ref().map(pos));
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogIdOf<Engine>>, io::Error> {
        Ok(self.log.committed().map(log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Engine>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Engine>> + Send,
        I::IntoIter: Send,
    {
        let entries = entries.into_iter().map(to_entry).collect();
        self.log.append(entries, move |done| callback.io_completed(done.map_err(io_error))).await.map_err(io_error)
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Engine>>) -> Result<(), io::Error> {
        self.log.truncate_after(last.as_ref().map(pos)).await.map_err(io_error)
    }

    async fn purge(&mut self, upto: LogIdOf<Engine>) -> Result<(), io::Error> {
        self.log.purge(pos(&upto)).await.map_err(io_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LogPos;
    use bytes::Bytes;

    #[test]
    fn an_append_is_cut_to_what_a_frame_holds_but_is_never_empty() {
        let entry = |index: u64, bytes: usize| LogEntry { at: LogPos { term: 1, index }, payload: Payload::Command(Bytes::from(vec![0; bytes])) };
        let large = APPEND_BYTES_MAX / 3;
        let entries: Vec<_> = (0..5).map(|index| entry(index, large)).collect();
        assert_eq!(fitting(&entries), 3);
        assert_eq!(fitting(&entries[..2]), 2);
        assert_eq!(fitting(&[entry(0, APPEND_BYTES_MAX + 1), entry(1, 1)]), 1);
    }
}
