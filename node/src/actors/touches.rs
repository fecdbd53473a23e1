//! Which sessions were seen since the keeper last said so, and who waits for it to be said.

use crate::command::Touch;
use crate::domain::{LogIndex, Moment};
use crate::propose::ProposeError;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// Sessions that may wait to be reported as seen.
pub(super) const PENDING_MAX: usize = 200_000;
/// Sessions that are reported in one entry.
pub(super) const PER_ENTRY_MAX: usize = 10_000;

/// Who waits for a touch to be committed.
pub(super) type Reply = oneshot::Sender<Result<(), ProposeError>>;

/// The set is full.
#[derive(Debug)]
pub(super) struct Full(pub(super) Option<Reply>);

/// The sessions that were seen.
#[derive(Default)]
pub(super) struct Touches {
    seen: BTreeMap<LogIndex, Moment>,
    waiting: BTreeMap<LogIndex, Vec<Reply>>,
}

/// What one entry reports.
pub(super) struct Batch {
    seen: Vec<(LogIndex, Moment)>,
    waiting: Vec<Reply>,
}

impl Touches {
    /// Notes that a session was seen; of several times the last counts. Those somebody waits for are reported first.
    pub(super) fn note(&mut self, rev: LogIndex, at: Moment, reply: Option<Reply>) -> Result<(), Full> {
        if self.seen.len() >= PENDING_MAX && !self.seen.contains_key(&rev) {
            return Err(Full(reply));
        }
        let seen = self.seen.entry(rev).or_default();
        *seen = at.max(*seen);
        if let Some(reply) = reply {
            self.waiting.entry(rev).or_default().push(reply);
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether somebody waits.
    pub(super) fn urgent(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes out what the next entry reports; `None` when there is nothing.
    pub(super) fn batch(&mut self) -> Option<Batch> {
        let mut batch = Batch { seen: Vec::new(), waiting: Vec::new() };
        while batch.seen.len() < PER_ENTRY_MAX
            && let Some((rev, replies)) = self.waiting.pop_first()
        {
            batch.waiting.extend(replies);
            batch.seen.extend(self.seen.remove_entry(&rev));
        }
        while batch.seen.len() < PER_ENTRY_MAX
            && let Some(seen) = self.seen.pop_first()
        {
            batch.seen.push(seen);
        }
        batch.seen.sort_unstable();
        (!batch.seen.is_empty()).then_some(batch)
    }
}

impl Batch {
    pub(super) fn command(&self) -> Touch {
        Touch { seen: self.seen.clone() }
    }

    /// Tells those who wait how it ended. What was not done is noted again, as far as there is room; nobody waits for it any more.
    pub(super) fn ended(self, ending: Result<(), ProposeError>, touches: &mut Touches) {
        for reply in self.waiting {
            let _ = reply.send(ending);
        }
        if ending.is_err() {
            for (rev, at) in self.seen {
                let _ = touches.note(rev, at, None);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::propose::NotDone;

    #[test]
    fn a_session_seen_often_is_reported_once_with_its_last_time() {
        let mut touches = Touches::default();
        for at in [5, 9, 7] {
            touches.note(1, Moment(at), None).unwrap();
        }
        touches.note(2, Moment(6), None).unwrap();
        assert_eq!(touches.batch().unwrap().command().seen, [(1, Moment(9)), (2, Moment(6))]);
        assert!(touches.batch().is_none());
    }

    #[test]
    fn an_entry_is_bounded_and_begins_with_those_somebody_waits_for() {
        let mut touches = Touches::default();
        let last = PER_ENTRY_MAX as u64 + 5;
        for rev in 1..last {
            touches.note(rev, Moment(1), None).unwrap();
        }
        let (reply, mut ending) = oneshot::channel();
        touches.note(last, Moment(2), Some(reply)).unwrap();
        assert!(touches.urgent());
        let batch = touches.batch().unwrap();
        assert_eq!((batch.len(), touches.len(), touches.urgent()), (PER_ENTRY_MAX, 5, false));
        assert_eq!(batch.command().seen.last(), Some(&(last, Moment(2))));
        batch.ended(Err(NotDone::NoLeader.into()), &mut touches);
        assert_eq!(ending.try_recv(), Ok(Err(NotDone::NoLeader.into())));
        assert_eq!((touches.len(), touches.urgent()), (PER_ENTRY_MAX + 5, false), "what was not done is to be done again");
    }

    #[test]
    fn a_full_set_takes_only_what_it_knows() {
        let mut touches = Touches::default();
        for rev in 0..PENDING_MAX as u64 {
            touches.note(rev, Moment(1), None).unwrap();
        }
        assert!(touches.note(PENDING_MAX as u64, Moment(2), None).is_err());
        assert!(touches.note(0, Moment(2), None).is_ok());
    }
}
