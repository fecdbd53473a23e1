//! The registry: wakes session actors, bounds how many live, and lets those sleep whose session is not in use.

use super::handle::Shared;
use super::seen::{Posted, count};
use super::session::{Act, Job, SessionActor};
use super::slots::{Live, Slot};
use crate::domain::{LogIndex, Moment, Standing};
use actix::{Actor, AsyncContext, Context, Handler, Message};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the registry looks for those that may sleep.
const ROUND: Duration = Duration::from_secs(1);
/// Not used for so long, an actor may be put to sleep to make room for another, milliseconds.
const IDLE_MS: u64 = 1_000;
/// When so many eighths of the bound live, the longest idle are looked for before room is needed.
const NEARLY_FULL_EIGHTHS: usize = 7;

/// Wake the actor of a session and give it a job; without room for another actor the job is done without one.
pub(super) struct Wake {
    pub(super) rev: LogIndex,
    pub(super) now: Moment,
    pub(super) job: Job,
    pub(super) posted: Posted,
}

impl Message for Wake {
    type Result = ();
}

/// Look for those that may sleep.
pub(super) struct Round(pub(super) Moment);

impl Message for Round {
    type Result = ();
}

/// The registry of this node.
pub(super) struct Registry {
    shared: Arc<Shared>,
    /// The longest idle first: who may have to make room.
    may_go: VecDeque<(Moment, LogIndex)>,
}

impl Registry {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, may_go: VecDeque::new() }
    }

    fn wake(&mut self, rev: LogIndex, now: Moment) -> Option<Arc<Live>> {
        if let Some(live) = self.shared.slots.get(rev) {
            return Some(live);
        }
        if self.shared.slots.len() >= self.shared.settings.live_max && !self.make_room() {
            return None;
        }
        let slot = Arc::new(Slot::new(now));
        let addr = SessionActor::create(|ctx| {
            ctx.set_mailbox_capacity(self.shared.settings.mailbox_max);
            SessionActor::new(self.shared.clone(), slot.clone())
        });
        let live = Arc::new(Live { slot, addr });
        self.shared.slots.insert(rev, live.clone());
        count(&self.shared.counters.woken);
        Some(live)
    }

    fn make_room(&mut self) -> bool {
        while let Some((idle_since, rev)) = self.may_go.pop_front() {
            if self.shared.slots.sleep(rev, idle_since) {
                return true;
            }
        }
        false
    }

    fn round(&mut self, now: Moment) {
        if self.shared.sweep.swap(false, Ordering::SeqCst) {
            self.end_the_ended(now);
        }
        let live_max = self.shared.settings.live_max;
        let dormant_ms = u64::try_from(self.shared.settings.dormant_after.as_millis()).unwrap_or(u64::MAX);
        let (dormant, mut idle): (Vec<_>, Vec<_>) = self.shared.slots.idle().into_iter().partition(|(since, _)| now.ms_since(*since) >= dormant_ms);
        for (since, rev) in dormant {
            self.shared.slots.sleep(rev, since);
        }
        self.may_go.clear();
        if self.shared.slots.len().saturating_mul(8) >= live_max.saturating_mul(NEARLY_FULL_EIGHTHS) {
            idle.retain(|(since, _)| now.ms_since(*since) >= IDLE_MS);
            idle.sort_unstable();
            self.may_go = idle.into();
        }
    }

    /// After a wide revocation: the actors of the sessions that it covers end too.
    fn end_the_ended(&self, now: Moment) {
        for rev in self.shared.slots.revs() {
            let ended = {
                let state = self.shared.road.view().read();
                state.session_by_rev(rev).is_none_or(|session| matches!(state.standing(session, now), Standing::Ended(_)))
            };
            if ended {
                self.shared.slots.end(rev);
            }
        }
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.shared.rounds {
            ctx.run_interval(ROUND, |registry, _| registry.round(registry.shared.road.now()));
        }
    }
}

impl Handler<Wake> for Registry {
    type Result = ();

    fn handle(&mut self, Wake { rev, now, job, posted }: Wake, _: &mut Self::Context) {
        let Some(live) = self.wake(rev, now) else { return job.alone(&self.shared) };
        // An actor whose mailbox is full does not get it; who sent the job hears that it was dropped.
        let _ = live.addr.try_send(Act { job, posted });
    }
}

impl Handler<Round> for Registry {
    type Result = ();

    fn handle(&mut self, Round(now): Round, _: &mut Self::Context) {
        self.round(now);
    }
}
