//! A turn: one change of a session, computed from its present record and proposed, while this node's other changes of it wait.

use super::handle::Shared;
use crate::command::{Command, Outcome, Patch, Refusal};
use crate::dice;
use crate::domain::{LogIndex, Session};
use crate::propose::{Done, ProposeError};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::oneshot;

/// How often a change is computed anew because another node's came first.
const TRIES_MAX: usize = 5;

/// Why a change was not made. `E` is why the caller gave up on it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatchError<E> {
    /// The caller does not want it on the present record.
    #[error("the change does not apply to the present record")]
    Unwanted(E),
    /// It could not be proposed.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}

/// What runs when the turn has come. Once begun it is run to its end; one that never begins has done nothing.
pub(super) type Turn = BoxFuture<'static, ()>;

/// Who waits for a turn.
pub(super) struct Waiting<T> {
    ending: oneshot::Receiver<T>,
    begun: Arc<AtomicBool>,
}

impl<T> Waiting<T> {
    /// The ending of the turn; without one, whether it had begun.
    pub(super) async fn ending(self) -> Result<T, bool> {
        self.ending.await.map_err(|_| self.begun.load(Ordering::SeqCst))
    }
}

/// A turn that tells its ending.
pub(super) fn turn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> (Turn, Waiting<T>) {
    let (tell, ending) = oneshot::channel();
    let begun = Arc::new(AtomicBool::new(false));
    let begins = begun.clone();
    let turn = async move {
        begins.store(true, Ordering::SeqCst);
        // Nobody may be waiting any more; the change is made all the same.
        let _ = tell.send(work.await);
    };
    (Box::pin(turn), Waiting { ending, begun })
}

/// Computes a change from the present record and proposes it, again when another came first.
pub(super) async fn change<E>(
    shared: Arc<Shared>,
    session: Arc<Session>,
    mut wish: impl FnMut(&Session) -> Result<Patch, E> + Send,
) -> Result<Done, PatchError<E>> {
    let mut present = session;
    let mut tries = 1;
    loop {
        present = at_present(&shared, present.rev).unwrap_or(present);
        let patch = wish(&present).map_err(PatchError::Unwanted)?;
        let done = shared.road.propose(dice::command_id(), Command::Patch(patch)).await?;
        let overtaken = matches!(done.outcome, Outcome::Refused(Refusal::VersionConflict(_)));
        if !overtaken || tries == TRIES_MAX {
            return Ok(done);
        }
        tries += 1;
    }
}

fn at_present(shared: &Shared, rev: LogIndex) -> Option<Arc<Session>> {
    shared.road.view().read().session_by_rev(rev).cloned()
}
