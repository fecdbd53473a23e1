//! The list: the revocations that must still be known, in pages; what a verifier begins with.

use super::body::ListedRevocation;
use super::hub::Hub;
use super::pulse::Pulse;
use super::stream::PAGE_ENTRIES;
use crate::domain::{LogIndex, Moment, Position, RevocationEntry};
use std::sync::Arc;

/// A page of the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListPage {
    /// In the order of the log; all of one entry are on one page.
    pub revocations: Vec<ListedRevocation>,
    /// With the last page: everything up to here is in the list; a stream after it goes on without a gap.
    pub position: Position,
    /// How fresh the node was when it began to look; an anchor when the answer echoes a nonce.
    pub pulse: Pulse,
    /// `after` for the next page, if there is one.
    pub next_after: Option<LogIndex>,
}

impl Hub {
    /// The revocations after an index that are not past their `until` by cluster time: about `limit` of them, at least one whole entry.
    /// `None`: the cluster has not formed.
    #[must_use]
    pub fn list(&self, after: Option<LogIndex>, limit: usize) -> Option<ListPage> {
        let pulse = self.pulse();
        let position = self.position(pulse.index)?;
        let mut page = Page { revocations: Vec::new(), limit, now: pulse.now };
        let next_after = self.fill(&mut page, after.unwrap_or(0), pulse.index);
        Some(ListPage { revocations: page.revocations, position, pulse, next_after })
    }

    /// Reads on until the page is full (then it answers where the next begins) or everything up to `told` has been read.
    fn fill(&self, page: &mut Page, mut after: LogIndex, told: LogIndex) -> Option<LogIndex> {
        loop {
            let entries = self.view().read().revocations_after(after, told, PAGE_ENTRIES);
            for entry in &entries {
                if !page.take(entry) {
                    return Some(after);
                }
                after = entry.index;
            }
            if entries.len() < PAGE_ENTRIES {
                return None;
            }
        }
    }
}

struct Page {
    revocations: Vec<ListedRevocation>,
    limit: usize,
    now: Moment,
}

impl Page {
    /// Whether there was room for the entry. The first always has room, so that every page brings the reader on.
    fn take(&mut self, entry: &Arc<RevocationEntry>) -> bool {
        if entry.until < self.now {
            return true;
        }
        if !self.revocations.is_empty() && self.revocations.len() + entry.revocations.len() > self.limit {
            return false;
        }
        self.revocations.extend(ListedRevocation::all(entry));
        true
    }
}
