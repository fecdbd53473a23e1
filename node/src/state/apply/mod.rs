//! What each command does. A function of the state, the entry's index and time, and the command: nothing else.

mod change;
mod cluster;
mod ending;
mod remember;
mod revoke;
mod start;
mod sweep;

use super::bounds::FORGOTTEN_PER_ENTRY;
use super::rows::ClusterTime;
use super::{Applied, State};
use crate::command::{COMMAND_ID_LIFE_MS, Command, Outcome, Refusal, Request};
use crate::domain::{LogIndex, Moment};
use remember::Drawn;

/// Where and when in the log a command stands.
#[derive(Clone, Copy)]
struct Entry {
    index: LogIndex,
    /// Cluster time: the leader's stamp, but never before that of an earlier entry.
    at: Moment,
}

impl State {
    /// Applies one command. `at` is the leader's stamp; an earlier one than before counts as the last.
    ///
    /// # Panics
    /// When `index` is not above the last one: the log would be applied twice, and this node would hold another state than the others.
    pub fn apply(&mut self, index: LogIndex, at: Moment, request: Request) -> Applied {
        self.advance(index);
        let entry = Entry { index, at: self.pass(at) };
        let (index, outcome) = self.decide(entry, request);
        let (rows, events) = self.ledger.take();
        Applied { index, outcome, rows, events }
    }

    /// Notes an entry that carries no command.
    ///
    /// # Panics
    /// As [`State::apply`].
    pub fn skip(&mut self, index: LogIndex) {
        // The log begins at 0, which `last_applied` cannot tell from nothing.
        if index > 0 {
            self.advance(index);
        }
    }

    fn advance(&mut self, index: LogIndex) {
        assert!(index > self.last_applied, "entry {index} comes after entry {} was applied", self.last_applied);
        self.last_applied = index;
    }

    /// Time passes, never back; what nobody may ask for any more is forgotten with it.
    fn pass(&mut self, at: Moment) -> Moment {
        // Later moments than can be written count as the last one.
        let at = at.plus_ms(0).max(self.last_at());
        self.tables.time.put(ClusterTime { last_at: at }, &mut self.ledger);
        self.forget_outcomes(at, FORGOTTEN_PER_ENTRY);
        at
    }

    /// The outcome, and the entry that made it: this one, unless it repeats a command that was done before.
    fn decide(&mut self, entry: Entry, request: Request) -> (LogIndex, Outcome) {
        let here = |outcome| (entry.index, outcome);
        let is_init = matches!(request.command, Command::Init(_));
        if is_init == self.cluster().is_some() {
            return here(Outcome::Refused(Refusal::WrongPhase(())));
        }
        if entry.at.ms_since(request.drawn_at) > COMMAND_ID_LIFE_MS {
            return here(Outcome::Refused(Refusal::CommandTooOld(())));
        }
        let drawn = Drawn { id: request.id, at: request.drawn_at };
        match request.command {
            Command::Init(init) => here(self.init(init)),
            Command::Start(start) => {
                self.start(entry, start).map_or_else(|refusal| here(Outcome::Refused(refusal)), |session| (session.rev, Outcome::Session(session)))
            }
            Command::Patch(patch) => self.once(entry, drawn, |state| state.patch(entry, patch)),
            Command::Extend(extend) => self.once(entry, drawn, |state| state.extend(entry, &extend)),
            Command::Touch(touch) => here(self.touch(entry, &touch)),
            Command::Expire(expire) => here(self.expire(entry, &expire)),
            Command::Revoke(revoke) => self.once(entry, drawn, |state| state.revoke(entry, revoke)),
            Command::Reap(reap) => here(self.reap(entry, &reap)),
            Command::Trim(trim) => here(self.trim(entry, &trim)),
            Command::RetireNode(retire) => self.once(entry, drawn, |state| state.retire_node(&retire)),
            Command::ResetRoot(reset) => self.once(entry, drawn, |state| Ok(state.reset_root(&reset))),
        }
    }
}
