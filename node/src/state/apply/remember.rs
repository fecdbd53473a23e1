//! Commands that would do harm if they were done twice, and the memory of what they came to.

use super::Entry;
use crate::command::{COMMAND_ID_LIFE_MS, Outcome, REMEMBERED_OUTCOMES_MAX, Refusal};
use crate::domain::{CommandId, LogIndex, Moment};
use crate::state::State;
use crate::state::bounds::DRAWN_AHEAD_MAX_MS;
use crate::state::rows::{Answer, Remembered};

/// A command's id, and when it was drawn by the clock of the node that drew it.
#[derive(Clone, Copy)]
pub(super) struct Drawn {
    pub(super) id: CommandId,
    pub(super) at: Moment,
}

/// What a command came to.
pub(super) struct Done {
    answer: Answer,
    /// Whether a repetition could do what it must not; else it needs no memory.
    harmful_again: bool,
}

impl Done {
    /// Done, and not to be done again.
    pub(super) fn once(answer: Answer) -> Self {
        Self { answer, harmful_again: true }
    }

    /// Nothing done, and a repetition will do nothing either.
    pub(super) fn nothing() -> Self {
        Self { answer: Answer::Count(0), harmful_again: false }
    }
}

impl State {
    /// Does a command the first time it comes; afterwards answers what it came to then, and where. A refusal is not remembered: nothing that is
    /// refused for its content can be done later, and what is refused as overloaded has no place in a full memory.
    pub(super) fn once(&mut self, entry: Entry, drawn: Drawn, command: impl FnOnce(&mut Self) -> Result<Done, Refusal>) -> (LogIndex, Outcome) {
        if let Some(index) = self.indexes.by_command.get(&drawn.id).copied() {
            let first = self.tables.outcomes.get(index).expect("the index of commands follows the table of outcomes");
            return (index, self.recall(first.answer));
        }
        let outcome = if self.tables.outcomes.len() >= REMEMBERED_OUTCOMES_MAX {
            Outcome::Refused(Refusal::Overloaded("remembered_outcomes_max".to_owned()))
        } else {
            command(self).map_or_else(Outcome::Refused, |done| {
                if done.harmful_again {
                    self.remember(entry, drawn, done.answer);
                }
                self.recall(done.answer)
            })
        };
        (entry.index, outcome)
    }

    fn remember(&mut self, entry: Entry, drawn: Drawn, answer: Answer) {
        // A node whose clock is ahead of the leader's draws ids that stay young for longer.
        let drawn_at = drawn.at.min(entry.at.plus_ms(DRAWN_AHEAD_MAX_MS));
        let until = entry.at.max(drawn_at).plus_ms(COMMAND_ID_LIFE_MS);
        self.indexes.by_command.insert(drawn.id, entry.index);
        self.tables.outcomes.put(Remembered { index: entry.index, id: drawn.id, until, answer }, &mut self.ledger);
    }

    fn recall(&self, answer: Answer) -> Outcome {
        match answer {
            Answer::Done(()) => Outcome::Done(()),
            Answer::Count(count) => Outcome::Count(count),
            Answer::Session(rev) => match self.session_by_rev(rev) {
                Some(session) => Outcome::Session(session.clone()),
                None => Outcome::Refused(Refusal::SessionNotFound(())),
            },
        }
    }

    /// Forgets at most `max` outcomes, in the order of their entries, and says how many.
    pub(super) fn forget_outcomes(&mut self, now: Moment, max: usize) -> u64 {
        let mut forgotten = 0;
        for _ in 0..max {
            let Some(index) = self.old_outcome(now) else { break };
            if let Some(outcome) = self.tables.outcomes.remove(index, &mut self.ledger) {
                self.indexes.by_command.remove(&outcome.id);
                forgotten += 1;
            }
        }
        forgotten
    }
}
