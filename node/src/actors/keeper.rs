//! The keeper: says once a second which sessions of this node were seen, and on the leader does what time makes due.

use super::duties::{self, DutyError};
use super::handle::Shared;
use super::seen::{Posted, count};
use super::touches::{Batch, Full, Reply, Touches};
use crate::command::Command;
use crate::dice;
use crate::domain::{LogIndex, Moment};
use crate::propose::{Done, NotDone, ProposeError};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the keeper does its round.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds that are left out after one that failed, at most; the number doubles from one.
const PAUSE_ROUNDS_MAX: u32 = 16;

/// A session was seen.
pub(super) struct Note {
    pub(super) rev: LogIndex,
    pub(super) at: Moment,
    /// Who waits until it is committed.
    pub(super) reply: Option<Reply>,
    pub(super) posted: Posted,
}

impl Message for Note {
    type Result = ();
}

/// Do a round now.
pub(super) struct Round;

impl Message for Round {
    type Result = ();
}

/// The keeper of this node.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    touches: Touches,
    /// Whether a touch is on the road.
    touching: bool,
    on_duty: bool,
    pause: Pause,
}

/// How long the duties rest after a failure.
#[derive(Default)]
struct Pause {
    left: u32,
    next: u32,
}

impl Pause {
    /// Whether this round is left out.
    fn holds(&mut self) -> bool {
        let holds = self.left > 0;
        self.left = self.left.saturating_sub(1);
        holds
    }

    fn failed(&mut self) {
        self.next = (self.next * 2).clamp(1, PAUSE_ROUNDS_MAX);
        self.left = self.next;
    }
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, touches: Touches::default(), touching: false, on_duty: false, pause: Pause::default() }
    }

    fn round(&mut self, ctx: &mut Context<Self>) {
        self.touch(ctx);
        if self.shared.road.is_leader() && !self.on_duty && !self.pause.holds() {
            self.go_on_duty(ctx);
        }
    }

    /// Puts the next batch on the road, unless one is.
    fn touch(&mut self, ctx: &mut Context<Self>) {
        if self.touching {
            return;
        }
        let Some(batch) = self.touches.batch() else { return };
        self.touching = true;
        let sent = self.shared.road.propose(dice::command_id(), Command::Touch(batch.command()));
        let then = |ending, keeper: &mut Self, ctx: &mut Context<Self>| keeper.touched(batch, ending, ctx);
        ctx.spawn(sent.into_actor(self).map(then));
    }

    fn touched(&mut self, batch: Batch, ending: Result<Done, ProposeError>, ctx: &mut Context<Self>) {
        self.touching = false;
        match &ending {
            Ok(_) => {
                self.shared.counters.touches_sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
            Err(error) => tracing::debug!(%error, sessions = batch.len(), "sessions could not be reported as seen"),
        }
        batch.ended(ending.map(|_| ()), &mut self.touches);
        self.tell_pending();
        if self.touches.urgent() {
            self.touch(ctx);
        }
    }

    fn go_on_duty(&mut self, ctx: &mut Context<Self>) {
        self.on_duty = true;
        let shared = self.shared.clone();
        let duty = async move { duties::round(&*shared.road).await };
        let then = |ending: Result<(), DutyError>, keeper: &mut Self, _: &mut Context<Self>| {
            keeper.on_duty = false;
            match ending {
                Ok(()) => keeper.pause = Pause::default(),
                Err(error) => {
                    keeper.pause.failed();
                    tracing::debug!(%error, rounds = keeper.pause.left, "the keeper rests");
                }
            }
        };
        ctx.spawn(duty.into_actor(self).map(then));
    }

    fn tell_pending(&self) {
        self.shared.counters.touches_pending.store(self.touches.len() as u64, Ordering::Relaxed);
    }
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.shared.rounds {
            ctx.run_interval(ROUND, Self::round);
        }
    }
}

impl Handler<Note> for Keeper {
    type Result = ();

    fn handle(&mut self, Note { rev, at, reply, posted }: Note, ctx: &mut Self::Context) {
        drop(posted);
        if let Err(Full(reply)) = self.touches.note(rev, at, reply) {
            count(&self.shared.counters.touches_dropped);
            if let Some(reply) = reply {
                let _ = reply.send(Err(NotDone::Overloaded("touches_pending_max").into()));
            }
        }
        self.tell_pending();
        if self.touches.urgent() {
            self.touch(ctx);
        }
    }
}

impl Handler<Round> for Keeper {
    type Result = ();

    fn handle(&mut self, Round: Round, ctx: &mut Self::Context) {
        self.round(ctx);
    }
}
