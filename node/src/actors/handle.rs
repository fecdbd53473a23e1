//! The verbs by which other rooms act on sessions.

use super::keeper::{self, Keeper, Note};
use super::mint;
use super::registry::{Registry, Wake};
use super::road::Road;
use super::seen::{ActorsSeen, Counters, Posted, count};
use super::session::{Act, Job};
use super::slots::{Live, Slots};
use super::turn::{self, PatchError};
use crate::command::{Command, Event, Extend, Patch, Revoke, Start};
use crate::dice;
use crate::domain::{CommandId, LogIndex, Moment, Scope, Session, Standing};
use crate::propose::{Done, NotDone, ProposeError};
use crate::tokens::{Keys, MintError, Minted};
use actix::dev::channel;
use actix::{Actor, Addr, Arbiter, Context};
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// The bounds of the actors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Session actors that may live at once; beyond, the longest idle one sleeps, and if none is idle the verb runs without an actor.
    pub live_max: usize,
    /// Not used for so long, a session actor sleeps.
    pub dormant_after: Duration,
    /// Messages that may wait in one mailbox.
    pub mailbox_max: usize,
}

/// Why a verb did not come to its end. The sentences are for the operator.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ActError {
    /// The session ended meanwhile.
    #[error("the session ended meanwhile")]
    Ended,
    /// This node has no keys: its cluster has not formed.
    #[error("this node has no signing keys yet")]
    NoKeys,
    /// No JWT could be made.
    #[error("no JWT could be made: {0}")]
    Mint(#[from] MintError),
    /// What had to be committed first was not, or nobody knows; or a bound is reached.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

impl From<NotDone> for ActError {
    fn from(cause: NotDone) -> Self {
        Self::Propose(cause.into())
    }
}

/// What all actors share.
pub(super) struct Shared {
    pub(super) road: Arc<dyn Road>,
    pub(super) keys: Arc<ArcSwapOption<Keys>>,
    pub(super) settings: Settings,
    /// Whether the registry and the keeper do their rounds by themselves; tests call for them.
    pub(super) rounds: bool,
    pub(super) slots: Slots,
    pub(super) counters: Arc<Counters>,
    /// A wide revocation came: the registry is to look for sessions that it ended.
    pub(super) sweep: AtomicBool,
}

/// The actors of this node; clones are the same.
#[derive(Clone)]
pub struct Actors {
    shared: Arc<Shared>,
    registry: Arc<Addr<Registry>>,
    keeper: Arc<Addr<Keeper>>,
}

impl Actors {
    /// Starts the registry with its session actors on one arbiter, the keeper on another. `keys` is exchanged by whoever follows the
    /// keyring.
    ///
    /// # Panics
    /// When it is called outside an actix system, or the threads cannot be started.
    #[must_use]
    pub fn start_up(road: impl Road, keys: Arc<ArcSwapOption<Keys>>, settings: Settings) -> Self {
        Self::with_rounds(Arc::new(road), keys, settings, true)
    }

    pub(super) fn with_rounds(road: Arc<dyn Road>, keys: Arc<ArcSwapOption<Keys>>, settings: Settings, rounds: bool) -> Self {
        let counters = Arc::new(Counters::default());
        let slots = Slots::new(counters.clone());
        let shared = Arc::new(Shared { road, keys, settings, rounds, slots, counters, sweep: AtomicBool::new(false) });
        let (of_registry, of_keeper) = (shared.clone(), shared.clone());
        let registry = started(settings.mailbox_max, move || Registry::new(of_registry));
        let keeper = started(settings.mailbox_max, move || Keeper::new(of_keeper));
        Self { shared, registry: Arc::new(registry), keeper: Arc::new(keeper) }
    }

    /// Starts a session. Its id is the command's id: a repetition answers the first outcome.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn start(&self, start: Start) -> Result<Done, ProposeError> {
        let id = CommandId(start.session_id.0);
        self.shared.road.propose(id, Command::Start(start)).await
    }

    /// Changes a session. This node's changes of one session take turns: when the turn has come, `wish` computes the change from the
    /// present record, and computes it again when another node's came first (at most 5 times; then the outcome is the refusal).
    ///
    /// # Errors
    /// What `wish` says, or see [`ProposeError`].
    pub async fn patch<E: Send + 'static>(
        &self,
        session: &Arc<Session>,
        wish: impl FnMut(&Session) -> Result<Patch, E> + Send + 'static,
    ) -> Result<Done, PatchError<E>> {
        let (turn, waiting) = turn::turn(turn::change(self.shared.clone(), session.clone(), wish));
        self.post(session.rev, self.shared.road.now(), Job::Turn(turn)).map_err(ProposeError::from)?;
        match waiting.ending().await {
            Ok(ending) => ending,
            Err(true) => Err(ProposeError::Unknown.into()),
            Err(false) => Err(ProposeError::from(NotDone::Overloaded("turns_max")).into()),
        }
    }

    /// Moves a session's absolute expiry. It needs no turn: it is computed in `apply`.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn extend(&self, extend: Extend) -> Result<Done, ProposeError> {
        self.shared.road.propose(dice::command_id(), Command::Extend(extend)).await
    }

    /// Ends sessions. It waits for no turn: a revocation stands behind nobody's change.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn end(&self, revoke: Revoke) -> Result<Done, ProposeError> {
        self.shared.road.propose(dice::command_id(), Command::Revoke(revoke)).await
    }

    /// A JWT of a session that the caller has found active at `now`: the present one while more than half of its life is left, else a new one,
    /// minted once for all who wait.
    ///
    /// Its life is counted from that moment, however long it takes from there to here. The node may have been paused in between: a JWT that
    /// was counted from its waking could outlive the memory of the revocation that it slept through. Nor does it count from a time that this
    /// node alone believes in.
    ///
    /// # Errors
    /// See [`ActError`].
    pub async fn jwt(&self, session: &Arc<Session>, now: Moment) -> Result<Minted, ActError> {
        let now = now.min(self.shared.road.vouched());
        if let Some(live) = self.shared.slots.get(session.rev) {
            live.slot.used(now);
            if let Some(minted) = mint::serving(&live.slot, &self.shared, session, now) {
                return Ok(minted);
            }
        }
        let (reply, minted) = oneshot::channel();
        self.post(session.rev, now, Job::Mint { session: session.clone(), now, reply })?;
        minted.await.map_err(|_| NotDone::Overloaded("mailbox"))?
    }

    /// The JWT that this node last minted for the session that started at `rev`, good or not, while its actor lives: for recognising it by
    /// its bytes when it comes back.
    #[must_use]
    pub fn minted(&self, rev: LogIndex) -> Option<Minted> {
        self.shared.slots.get(rev)?.slot.minted()
    }

    /// Notes that a session was seen at `now`. Answers at once, but near its idle expiry: then it waits until that is committed. The
    /// answer is the session as it is then.
    ///
    /// # Errors
    /// When it had to be committed and was not, or the session ended meanwhile.
    pub async fn seen(&self, session: &Arc<Session>, now: Moment) -> Result<Arc<Session>, ActError> {
        let interval_ms = session.touch_interval_ms();
        if now.ms_since(session.last_seen_at) < interval_ms {
            return Ok(session.clone());
        }
        let near_expiry = session.idle_expires_at().is_some_and(|at| at.ms_since(now) <= interval_ms.saturating_mul(2));
        if near_expiry {
            return self.commit_seen(session.rev, now).await;
        }
        self.note_seen(session.rev, now, interval_ms);
        Ok(session.clone())
    }

    /// Takes in what applying has made true. Never waits; called after the feed was told.
    pub fn told(&self, events: &[Event]) {
        let slots = &self.shared.slots;
        for event in events {
            match event {
                Event::Changed(rev) => slots.empty(*rev),
                Event::Ended(rev) => slots.end(*rev),
                Event::Keys => slots.empty_all(),
                Event::Revoked(entry) => {
                    if entry.revocations.iter().any(|revocation| !matches!(revocation.scope, Scope::Session(_))) {
                        self.shared.sweep.store(true, Ordering::SeqCst);
                    }
                }
            }
        }
    }

    /// A snapshot has replaced the state: all actors end, and wake from the new state when they are needed.
    pub fn installed(&self) {
        self.shared.slots.end_all();
    }

    /// What the actors observe of themselves.
    #[must_use]
    pub fn observe(&self) -> ActorsSeen {
        self.shared.counters.seen(self.shared.settings.live_max)
    }

    /// Lets the keeper do a round at once, as before a stop: what was seen is put on the road.
    pub fn hurry(&self) {
        let _ = self.keeper.try_send(keeper::Round);
    }

    /// Lets the registry do a round at once, as of `now`.
    #[cfg(test)]
    pub(super) fn registry_round(&self, now: Moment) -> impl Future<Output = ()> + use<> {
        let asked = self.registry.send(super::registry::Round(now));
        async move { asked.await.expect("the registry lives") }
    }

    /// Lets the keeper do a round at once.
    #[cfg(test)]
    pub(super) fn keeper_round(&self) -> impl Future<Output = ()> + use<> {
        let asked = self.keeper.send(keeper::Round);
        async move { asked.await.expect("the keeper lives") }
    }

    /// To the session's actor, through the registry if it must be woken first.
    fn post(&self, rev: LogIndex, now: Moment, job: Job) -> Result<(), NotDone> {
        let posted = Posted::new(&self.shared.counters);
        let (job, posted) = match self.shared.slots.get(rev) {
            None => (job, posted),
            Some(live) => match post_to(&live, now, Act { job, posted })? {
                None => return Ok(()),
                Some(Act { job, posted }) => (job, posted),
            },
        };
        self.registry.try_send(Wake { rev, now, job, posted }).map_err(|error| match error {
            actix::dev::SendError::Full(_) => NotDone::Overloaded("mailbox"),
            actix::dev::SendError::Closed(_) => NotDone::Draining,
        })
    }

    fn note_seen(&self, rev: LogIndex, at: Moment, interval_ms: u64) {
        let live = self.shared.slots.get(rev);
        if live.as_ref().is_some_and(|live| !live.slot.to_note(at, interval_ms)) {
            return;
        }
        let posted = Posted::new(&self.shared.counters);
        if self.keeper.try_send(Note { rev, at, reply: None, posted }).is_err() {
            count(&self.shared.counters.touches_dropped);
            if let Some(live) = live {
                live.slot.not_noted();
            }
        }
    }

    async fn commit_seen(&self, rev: LogIndex, at: Moment) -> Result<Arc<Session>, ActError> {
        let (reply, committed) = oneshot::channel();
        let posted = Posted::new(&self.shared.counters);
        self.keeper.try_send(Note { rev, at, reply: Some(reply), posted }).map_err(|_| NotDone::Overloaded("mailbox"))?;
        committed.await.map_err(|_| NotDone::Draining)??;
        let now = self.shared.road.now();
        let state = self.shared.road.view().read();
        let active = state.session_by_rev(rev).filter(|session| state.standing(session, now) == Standing::Active);
        active.cloned().ok_or(ActError::Ended)
    }
}

/// Gives the job back if the actor has just gone.
fn post_to(live: &Live, now: Moment, act: Act) -> Result<Option<Act>, NotDone> {
    live.slot.used(now);
    match live.addr.try_send(act) {
        Ok(()) => Ok(None),
        Err(actix::dev::SendError::Full(_)) => Err(NotDone::Overloaded("mailbox")),
        Err(actix::dev::SendError::Closed(act)) => Ok(Some(act)),
    }
}

/// Starts an actor on an arbiter of its own, its mailbox bounded from the first message on.
fn started<A: Actor<Context = Context<A>>>(mailbox_max: usize, make: impl FnOnce() -> A + Send + 'static) -> Addr<A> {
    let (sender, receiver) = channel::channel(mailbox_max);
    Arbiter::new().spawn_fn(move || {
        Context::with_receiver(receiver).run(make());
    });
    Addr::new(sender)
}
