//! What the log knows without asking the disk: its bounds, and its newest entries.

use super::super::entry::{LogEntry, LogPos, Vote};
use super::super::error::StoreError;
use std::collections::VecDeque;
use std::ops::Range;

/// The most bytes of durable entries that are kept for readers: 32 MiB.
const TAIL_BYTES_MAX: usize = 32 << 20;

/// Where the log begins and ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogBounds {
    /// The last entry that was purged; everything up to it is gone.
    pub last_purged: Option<LogPos>,
    /// The last entry, or `last_purged` when there is none.
    pub last: Option<LogPos>,
}

/// The log as its readers see it: always a little ahead of the disk, never behind.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) bounds: LogBounds,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogPos>,
    /// Whether `committed` is yet to be written.
    pub(super) committed_unwritten: bool,
    /// Rises whenever entries cease to be there, so that a reader of the disk knows that it must look again.
    pub(super) epoch: u64,
    /// The lowest index that can be there.
    first: u64,
    tail: Tail,
}

/// How a range is to be read: `on_disk` first, then `tail`.
pub(super) struct Plan {
    pub(super) on_disk: Range<u64>,
    pub(super) tail: Vec<LogEntry>,
    pub(super) epoch: u64,
}

impl Memory {
    pub(super) fn new(bounds: LogBounds, first: u64, vote: Option<Vote>, committed: Option<LogPos>) -> Self {
        Self { bounds, first, vote, committed, ..Self::default() }
    }

    /// Takes entries that follow the last one.
    pub(super) fn push(&mut self, entries: &[LogEntry]) -> Result<(), StoreError> {
        let Some(front) = entries.first() else { return Ok(()) };
        let next = self.bounds.last.map_or(front.at.index, |last| last.index.saturating_add(1));
        if !entries.iter().zip(next..).all(|(entry, index)| entry.at.index == index) {
            return Err(StoreError::Refused("the entries do not follow the last one of the log"));
        }
        if self.bounds.last.is_none() {
            self.first = front.at.index;
        }
        self.bounds.last = entries.last().map(|entry| entry.at);
        entries.iter().for_each(|entry| self.tail.push(entry.clone()));
        Ok(())
    }

    /// Forgets every entry after `after`; answers whether there was one.
    pub(super) fn truncate_after(&mut self, after: Option<LogPos>) -> bool {
        let floor = self.bounds.last_purged;
        let after = if after.map(|pos| pos.index) < floor.map(|pos| pos.index) { floor } else { after };
        if after.map(|pos| pos.index) >= self.bounds.last.map(|pos| pos.index) {
            return false;
        }
        self.epoch += 1;
        self.bounds.last = after;
        self.tail.truncate(after.map_or(0, |pos| pos.index.saturating_add(1)));
        true
    }

    /// Forgets every entry up to `upto`; answers whether that is news.
    pub(super) fn purge(&mut self, upto: LogPos) -> bool {
        if self.bounds.last_purged.is_some_and(|purged| purged.index >= upto.index) {
            return false;
        }
        self.epoch += 1;
        self.bounds.last_purged = Some(upto);
        if self.bounds.last.is_none_or(|last| last.index < upto.index) {
            self.bounds.last = Some(upto);
        }
        self.first = self.first.max(upto.index.saturating_add(1));
        self.tail.purge(self.first);
        true
    }

    /// Lets go of entries that are on the disk, down to the newest `keep`.
    pub(super) fn prune(&mut self, synced: LogPos, keep: usize) {
        self.tail.prune(synced.index, keep);
    }

    /// What of `range` is there, and where.
    pub(super) fn plan(&self, range: Range<u64>) -> Plan {
        let end = range.end.min(self.bounds.last.map_or(0, |last| last.index.saturating_add(1)));
        let start = range.start.max(self.first).min(end);
        let middle = self.tail.first_index().map_or(end, |first| first.clamp(start, end));
        Plan { on_disk: start..middle, tail: self.tail.get(middle..end), epoch: self.epoch }
    }
}

/// The newest entries, without gaps.
#[derive(Default)]
struct Tail {
    entries: VecDeque<LogEntry>,
    bytes: usize,
}

impl Tail {
    fn first_index(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.at.index)
    }

    fn push(&mut self, entry: LogEntry) {
        self.bytes += entry.weight();
        self.entries.push_back(entry);
    }

    fn truncate(&mut self, from: u64) {
        while let Some(entry) = self.entries.pop_back_if(|entry| entry.at.index >= from) {
            self.bytes -= entry.weight();
        }
    }

    fn purge(&mut self, below: u64) {
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.at.index < below) {
            self.bytes -= entry.weight();
        }
    }

    fn prune(&mut self, synced: u64, keep: usize) {
        while self.entries.len() > keep || self.bytes > TAIL_BYTES_MAX {
            let Some(entry) = self.entries.pop_front_if(|entry| entry.at.index <= synced) else { break };
            self.bytes -= entry.weight();
        }
    }

    fn get(&self, range: Range<u64>) -> Vec<LogEntry> {
        let Some(first) = self.first_index() else { return Vec::new() };
        let skip = usize::try_from(range.start.saturating_sub(first)).unwrap_or(usize::MAX);
        let take = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take(take).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::Payload;
    use super::*;

    fn at(index: u64) -> LogPos {
        LogPos { term: 1, index }
    }

    fn memory(indexes: Range<u64>) -> Memory {
        let mut memory = Memory::default();
        let entries: Vec<_> = indexes.map(|index| LogEntry { at: at(index), payload: Payload::Blank }).collect();
        memory.push(&entries).unwrap();
        memory
    }

    fn tail(plan: &Plan) -> Vec<u64> {
        plan.tail.iter().map(|entry| entry.at.index).collect()
    }

    #[test]
    fn a_log_that_ends_before_the_cut_keeps_its_end() {
        let mut memory = memory(0..11);
        assert!(!memory.truncate_after(Some(at(11))));
        assert_eq!(memory.bounds.last, Some(at(10)));
        assert!(memory.truncate_after(Some(at(5))));
        assert_eq!(tail(&memory.plan(0..100)), [0, 1, 2, 3, 4, 5]);
        assert!(memory.truncate_after(None));
        assert_eq!(memory.bounds, LogBounds::default());
    }

    #[test]
    fn what_was_pruned_is_read_from_the_disk() {
        let mut memory = memory(1..11);
        memory.prune(at(4), 3);
        let plan = memory.plan(2..8);
        assert_eq!(plan.on_disk, 2..5, "more was pruned than is durable");
        assert_eq!(tail(&plan), [5, 6, 7]);
        assert_eq!(memory.plan(3..4).on_disk, 3..4);
        assert!(memory.plan(11..20).on_disk.is_empty());
    }

    #[test]
    fn a_purge_moves_the_beginning_also_beyond_the_end() {
        let mut memory = memory(1..11);
        assert!(memory.purge(at(4)));
        assert!(!memory.purge(at(3)));
        assert_eq!(tail(&memory.plan(0..7)), [5, 6]);
        memory.purge(at(50));
        assert_eq!(memory.bounds, LogBounds { last_purged: Some(at(50)), last: Some(at(50)) });
        assert!(memory.plan(0..100).on_disk.is_empty());
        assert!(memory.push(&[LogEntry { at: at(60), payload: Payload::Blank }]).is_err(), "a gap was taken");
        memory.push(&[LogEntry { at: at(51), payload: Payload::Blank }]).unwrap();
        assert_eq!(tail(&memory.plan(0..100)), [51]);
        memory.truncate_after(None);
        assert_eq!(memory.bounds.last, Some(at(50)), "a purged entry was cut off");
    }
}
