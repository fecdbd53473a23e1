//! The last frames, shared by all streams: each stream keeps only its own place in it.

use super::frame::Frame;
use crate::domain::LogIndex;
use std::collections::VecDeque;

/// What happened, in the order in which it is told.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// An entry with revocations.
    Revocation(LogIndex, Frame),
    /// A heartbeat, and up to where everything had been told before it.
    Heartbeat(LogIndex, Frame),
    /// The signer or the published keys changed.
    Keys(Frame),
    /// A snapshot took the place of all entries up to here; what it holds of them is to be read from the state.
    Installed(LogIndex),
}

/// The place of the next item that a stream has not read.
pub(super) type Place = u64;

/// The last items, at most `max`.
#[derive(Debug)]
pub(super) struct Ring {
    items: VecDeque<Item>,
    /// The place of the first item that is still there.
    first: Place,
    max: usize,
}

/// Items that a stream wants have already been let go.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Overtaken;

impl Ring {
    pub(super) fn new(max: usize) -> Self {
        Self { items: VecDeque::new(), first: 0, max: max.max(1) }
    }

    /// Lets the oldest go when there are too many.
    pub(super) fn push(&mut self, item: Item) {
        if self.items.len() == self.max {
            self.items.pop_front();
            self.first += 1;
        }
        self.items.push_back(item);
    }

    /// The place after the last item.
    pub(super) fn head(&self) -> Place {
        self.first + self.items.len() as u64
    }

    /// At most `max` items from a place on.
    pub(super) fn read(&self, from: Place, max: usize) -> Result<impl Iterator<Item = &Item>, Overtaken> {
        let skip = from.checked_sub(self.first).ok_or(Overtaken)?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(self.items.iter().skip(skip).take(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexes(ring: &Ring, from: Place, max: usize) -> Result<Vec<LogIndex>, Overtaken> {
        let index = |item: &Item| if let Item::Installed(index) = item { *index } else { 0 };
        ring.read(from, max).map(|items| items.map(index).collect())
    }

    #[test]
    fn a_reader_gets_every_item_from_its_place_on_or_hears_that_it_was_overtaken() {
        let mut ring = Ring::new(3);
        for index in 10..15 {
            ring.push(Item::Installed(index));
        }
        assert_eq!(ring.head(), 5);
        assert_eq!(indexes(&ring, 2, 9), Ok(vec![12, 13, 14]));
        assert_eq!(indexes(&ring, 3, 1), Ok(vec![13]));
        assert_eq!(indexes(&ring, 5, 9), Ok(vec![]));
        assert_eq!(indexes(&ring, 1, 9), Err(Overtaken));
    }
}
