//! Proposing: to the engine where this node leads, else to the leader, again and again under the same id until the ending is certain or
//! the time is up (protocol G7).

use super::cluster::Inner;
use super::types::{Engine, Proposal};
use super::wire::{Answered, Call, Ending};
use crate::codec;
use crate::command::{Command, Outcome, Refusal, Request};
use crate::domain::CommandId;
use crate::propose::{Done, NotDone, ProposeError};
use bytes::Bytes;
use futures::StreamExt;
use openraft::async_runtime::WatchReceiver;
use openraft::error::ClientWriteError;
use openraft::raft::WriteResult;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a write is tried, milliseconds.
pub(crate) const WRITE_DEADLINE_MS: u64 = 10_000;
/// How long a write waits for a leader to be known before it is certainly not done, milliseconds.
pub(crate) const LEADER_PATIENCE_MS: u64 = 3_000;
/// How long the leader may take for a batch of forwarded writes, milliseconds.
const FORWARD_TIMEOUT_MS: u64 = 5_000;
/// How long to wait before the next try when nothing tells that it would go better, milliseconds.
const RETRY_MS: u64 = 20;
/// How long an acknowledged write waits to be visible on the node that was asked, milliseconds.
const VISIBLE_WAIT_MS: u64 = 2_000;
/// How many writes may wait to be proposed or forwarded; a further one is refused.
pub(crate) const WRITES_WAITING_MAX: usize = 8_192;
/// How many writes travel together.
const BATCH_MAX: usize = 512;

const NOT_LEADER: u8 = 1;
const OVERLOADED: u8 = 2;
const DISK_FULL: u8 = 3;

/// An encoded request, and who waits for its ending.
pub(crate) struct Submission {
    body: Bytes,
    tell: oneshot::Sender<Ending>,
}

/// The two ways of a write, each with a task behind it.
pub(crate) struct Ways {
    here: mpsc::Sender<Submission>,
    forward: mpsc::Sender<Submission>,
}

/// The far ends of the ways.
pub(crate) struct WayEnds {
    here: mpsc::Receiver<Submission>,
    forward: mpsc::Receiver<Submission>,
}

pub(crate) fn ways() -> (Ways, WayEnds) {
    let (here, here_end) = mpsc::channel(WRITES_WAITING_MAX);
    let (forward, forward_end) = mpsc::channel(WRITES_WAITING_MAX);
    (Ways { here, forward }, WayEnds { here: here_end, forward: forward_end })
}

impl Inner {
    /// Proposes a command and waits for its ending.
    pub(crate) async fn propose(&self, id: CommandId, command: Command) -> Result<Done, ProposeError> {
        if grows(&command) && !self.local.disk.writable() {
            return Err(NotDone::DiskFull.into());
        }
        let mut request = Request { id, drawn_at: self.local.time.now(), command };
        let mut body = Bytes::from(codec::encode(&request));
        let mut redrawn = false;
        let start = Instant::now();
        let deadline = start + Duration::from_millis(WRITE_DEADLINE_MS);
        let patience = start + Duration::from_millis(LEADER_PATIENCE_MS);
        let mut perhaps_done = false;
        loop {
            let ending = match timeout_at(deadline, self.attempt(body.clone())).await {
                Ok(ending) => ending,
                Err(_) => return Err(ProposeError::Unknown),
            };
            match ending {
                // This node's cluster time was behind the leader's. The refusal itself was an entry, and has set it right.
                Ending::Done((index, Outcome::Refused(Refusal::CommandTooOld(())))) if !redrawn && !perhaps_done => {
                    redrawn = true;
                    let _ = timeout(Duration::from_millis(VISIBLE_WAIT_MS), self.applied_at_least(index)).await;
                    request.drawn_at = self.local.time.now();
                    body = Bytes::from(codec::encode(&request));
                    continue;
                }
                // Of this try alone: an earlier one under the same id may have been in time.
                Ending::Done((_, outcome)) if perhaps_done && !settles(&outcome) => return Err(ProposeError::Unknown),
                Ending::Done((index, outcome)) => {
                    let _ = timeout(Duration::from_millis(VISIBLE_WAIT_MS), self.applied_at_least(index)).await;
                    return Ok(Done { index, outcome });
                }
                Ending::NotDone(OVERLOADED) if !perhaps_done => return Err(NotDone::Overloaded("writes_waiting_max").into()),
                Ending::NotDone(DISK_FULL) if !perhaps_done => return Err(NotDone::DiskFull.into()),
                Ending::NotDone(_) if !perhaps_done && Instant::now() >= patience => return Err(self.why_no_leader().into()),
                Ending::NotDone(_) => {}
                Ending::Unknown(()) => perhaps_done = true,
            }
            if Instant::now() >= deadline {
                return Err(if perhaps_done { ProposeError::Unknown } else { self.why_no_leader().into() });
            }
            self.leader_change(Duration::from_millis(RETRY_MS)).await;
        }
    }

    fn why_no_leader(&self) -> NotDone {
        if self.local.members().is_empty() { NotDone::NotFormed } else { NotDone::NoLeader }
    }

    async fn attempt(&self, body: Bytes) -> Ending {
        let way = match self.local.leader() {
            None => return Ending::NotDone(NOT_LEADER),
            Some(leader) if leader == self.local.node_id() => &self.ways.here,
            Some(_) => &self.ways.forward,
        };
        let (tell, ending) = oneshot::channel();
        if way.try_send(Submission { body, tell }).is_err() {
            return Ending::NotDone(OVERLOADED);
        }
        ending.await.unwrap_or(Ending::Unknown(()))
    }

    /// Waits until the known leader may have changed, at most `at_most`.
    async fn leader_change(&self, at_most: Duration) {
        let Some(raft) = self.local.raft() else { return tokio::time::sleep(at_most).await };
        let mut metrics = raft.server_metrics();
        let before = metrics.borrow_watched().current_leader;
        let changed = async {
            while metrics.borrow_watched().current_leader == before {
                if metrics.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let _ = timeout(at_most, changed).await;
    }

    /// Proposes requests that another node forwarded; their endings in the same order, unknown after the time that the other node waits.
    pub(crate) async fn propose_here(&self, requests: Vec<Bytes>) -> Vec<Ending> {
        let mut waiting = Vec::with_capacity(requests.len());
        let full = !self.local.disk.writable();
        for body in requests {
            if full && needs_room(&body) {
                waiting.push(Err(Ending::NotDone(DISK_FULL)));
                continue;
            }
            let (tell, ending) = oneshot::channel();
            waiting.push(match self.ways.here.try_send(Submission { body, tell }) {
                Ok(()) => Ok(ending),
                Err(_) => Err(Ending::NotDone(OVERLOADED)),
            });
        }
        let deadline = Instant::now() + Duration::from_millis(FORWARD_TIMEOUT_MS);
        let mut endings = Vec::with_capacity(waiting.len());
        for one in waiting {
            endings.push(match one {
                Ok(ending) => timeout_at(deadline, ending).await.ok().and_then(Result::ok).unwrap_or(Ending::Unknown(())),
                Err(ending) => ending,
            });
        }
        endings
    }
}

/// Whether a forwarded request is one that a full disk refuses; what ends sessions is always let through.
fn needs_room(body: &[u8]) -> bool {
    codec::decode::<Request>(body).map_or(true, |request| grows(&request.command))
}

fn grows(command: &Command) -> bool {
    matches!(command, Command::Start(_) | Command::Patch(_) | Command::Extend(_))
}

/// Stamps what waits with cluster time and gives it to the engine in batches.
pub(crate) async fn propose_waiting(inner: Arc<Inner>, ends: mpsc::Receiver<Submission>) {
    let mut ends = ends;
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while ends.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let Some(raft) = inner.local.raft() else { continue };
        let at = inner.local.time.now();
        let (proposals, tells): (Vec<_>, Vec<_>) = batch.drain(..).map(|one| (Proposal::stamp(at, &one.body), one.tell)).unzip();
        match raft.client_write_many(proposals).await {
            Ok(results) => {
                tokio::spawn(tell_endings(results, tells));
            }
            Err(error) => tracing::error!(%error, "the engine takes no more writes"),
        }
    }
}

async fn tell_endings(
    mut results: futures::stream::BoxStream<'static, Result<WriteResult<Engine>, openraft::error::Fatal<Engine>>>,
    tells: Vec<oneshot::Sender<Ending>>,
) {
    for tell in tells {
        let ending = match results.next().await {
            Some(Ok(Ok(written))) => Ending::Done((written.response.0, written.response.1)),
            Some(Ok(Err(error))) => refused(&error),
            Some(Err(_)) | None => Ending::Unknown(()),
        };
        let _ = tell.send(ending);
    }
}

/// Whether an outcome says how all tries under its id ended, not just the last one.
fn settles(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Refused(Refusal::CommandTooOld(())))
}

/// The discarded entry is matched first: it looks like a forward, but it may have been committed.
fn refused(error: &ClientWriteError<Engine>) -> Ending {
    match error {
        ClientWriteError::LogEntryDiscarded(_) => Ending::Unknown(()),
        ClientWriteError::ForwardToLeader(_) => Ending::NotDone(NOT_LEADER),
        ClientWriteError::ChangeMembershipError(_) | ClientWriteError::PreconditionFailed(_) => Ending::NotDone(OVERLOADED),
    }
}

/// Sends what waits to the leader in batches; batches overlap.
pub(crate) async fn forward_waiting(inner: Arc<Inner>, ends: mpsc::Receiver<Submission>) {
    let mut ends = ends;
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while ends.recv_many(&mut batch, BATCH_MAX).await > 0 {
        tokio::spawn(forward(inner.clone(), std::mem::take(&mut batch)));
    }
}

async fn forward(inner: Arc<Inner>, batch: Vec<Submission>) {
    let (bodies, tells): (Vec<_>, Vec<_>) = batch.into_iter().map(|one| (one.body, one.tell)).unzip();
    let endings = match inner.local.leader() {
        Some(leader) if leader != inner.local.node_id() => match inner.calls.ask(leader, Call::Propose(bodies), FORWARD_TIMEOUT_MS).await {
            Ok(Answered::Propose(endings)) => endings,
            Ok(_) | Err(super::calls::CallError::NotSent(..)) => vec![Ending::NotDone(NOT_LEADER); tells.len()],
            Err(super::calls::CallError::NoAnswer(_)) => vec![],
        },
        _ => vec![Ending::NotDone(NOT_LEADER); tells.len()],
    };
    let mut endings = endings.into_iter();
    for tell in tells {
        let _ = tell.send(endings.next().unwrap_or(Ending::Unknown(())));
    }
}

pub(crate) fn spawn(inner: &Arc<Inner>, ends: WayEnds) {
    tokio::spawn(propose_waiting(inner.clone(), ends.here));
    tokio::spawn(forward_waiting(inner.clone(), ends.forward));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g7_an_id_that_has_become_too_old_says_nothing_of_an_earlier_try() {
        assert!(!settles(&Outcome::Refused(Refusal::CommandTooOld(()))));
        assert!(settles(&Outcome::Refused(Refusal::SessionNotFound(()))) && settles(&Outcome::Count(0)));
    }
}
