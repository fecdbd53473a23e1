//! The session actor: owns its session's present JWT, and lets this node's changes of it take turns.

use super::handle::{ActError, Shared};
use super::mint::{mint, mint_into};
use super::seen::{Posted, count};
use super::slots::Slot;
use super::turn::Turn;
use crate::domain::{Moment, Session};
use crate::tokens::Minted;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// Changes of one session that may wait for their turn; a further one is refused.
const TURNS_MAX: usize = 64;

/// What a session actor is asked for.
pub(super) enum Job {
    /// A JWT of this record.
    Mint { session: Arc<Session>, now: Moment, reply: oneshot::Sender<Result<Minted, ActError>> },
    /// A turn.
    Turn(Turn),
}

impl Job {
    /// Does it for a session that has no actor. What takes long goes on by itself on this thread's runtime.
    pub(super) fn alone(self, shared: &Shared) {
        count(&shared.counters.alone);
        match self {
            Self::Mint { session, now, reply } => {
                let _ = reply.send(mint(shared, &session, now));
            }
            Self::Turn(turn) => {
                actix::spawn(turn);
            }
        }
    }
}

/// A job in the post.
pub(super) struct Act {
    pub(super) job: Job,
    pub(super) posted: Posted,
}

impl Message for Act {
    type Result = ();
}

/// One session in use on this node. It lives as long as its address is among the slots.
pub(super) struct SessionActor {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    waiting: VecDeque<Turn>,
    running: bool,
}

impl SessionActor {
    pub(super) fn new(shared: Arc<Shared>, slot: Arc<Slot>) -> Self {
        Self { shared, slot, waiting: VecDeque::new(), running: false }
    }

    fn enqueue(&mut self, turn: Turn, ctx: &mut Context<Self>) {
        if self.waiting.len() >= TURNS_MAX {
            return;
        }
        self.slot.turns.fetch_add(1, Ordering::SeqCst);
        self.waiting.push_back(turn);
        self.next_turn(ctx);
    }

    fn next_turn(&mut self, ctx: &mut Context<Self>) {
        if self.running {
            return;
        }
        let Some(turn) = self.waiting.pop_front() else { return };
        self.running = true;
        let then = |(), actor: &mut Self, ctx: &mut Context<Self>| {
            actor.running = false;
            actor.slot.turns.fetch_sub(1, Ordering::SeqCst);
            actor.next_turn(ctx);
        };
        ctx.spawn(turn.into_actor(self).map(then));
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;
}

impl Handler<Act> for SessionActor {
    type Result = ();

    fn handle(&mut self, Act { job, posted }: Act, ctx: &mut Self::Context) {
        drop(posted);
        match job {
            Job::Mint { session, now, reply } => {
                let _ = reply.send(mint_into(&self.slot, &self.shared, &session, now));
            }
            Job::Turn(turn) => self.enqueue(turn, ctx),
        }
    }
}
