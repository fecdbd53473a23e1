//! The ledger: every change of a row passes here, so that the digest, the rows to be stored and the events cannot disagree with the memory.

use super::digest::Digest;
use crate::command::Event;

/// One changed row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// A tag byte for the kind of row, then what orders it, big-endian.
    pub key: Vec<u8>,
    /// What stands there now; `None`: nothing.
    pub value: Option<Vec<u8>>,
}

/// The digest so far, and what the present entry has changed.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    digest: Digest,
    rows: Vec<Row>,
    events: Vec<Event>,
}

impl Ledger {
    pub(super) fn starting_with(digest: Digest) -> Self {
        Self { digest, ..Self::default() }
    }

    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Notes that a row went from `old` to `new`; one that did not change is not a change.
    pub(super) fn write(&mut self, key: Vec<u8>, old: Option<&[u8]>, new: Option<Vec<u8>>) {
        if old == new.as_deref() {
            return;
        }
        if let Some(old) = old {
            self.digest.remove(&key, old);
        }
        if let Some(new) = &new {
            self.digest.add(&key, new);
        }
        self.rows.push(Row { key, value: new });
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Hands over what the entry has changed, and is empty for the next.
    pub(super) fn take(&mut self) -> (Vec<Row>, Vec<Event>) {
        (std::mem::take(&mut self.rows), std::mem::take(&mut self.events))
    }
}
