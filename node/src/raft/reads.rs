//! Read barriers and freshness: one loop of shared rounds serves both.
//!
//! A round asks the leader for its read index at an own time `t0`; once this node has applied that index, every strict read that waited
//! since before `t0` may look, and the node is fresh as of `t0`: the moment it asked, on its own clock, never the moment an answer came
//! (protocol G2, G3). Only the engine's ReadIndex is used; its lease is not safe after a restart.

use super::cluster::Inner;
use super::server::is_member;
use super::wire::{Answered, AskReadIndex, Call, CallRefusal, Hello, REFUSED_NOT_LEADER, REFUSED_NOT_MEMBER, ReadIndex};
use crate::clock::{BootTime, DRIFT_PPM, Reading};
use crate::domain::LogIndex;
use openraft::{LinearizerOption, ReadPolicy};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long a strict read may wait for its barrier, milliseconds.
pub(crate) const BARRIER_WAIT_MS: u64 = 2_000;
/// How many reads may wait for a barrier; a further one is refused.
pub(crate) const WAITERS_MAX: usize = 16_384;
/// How long one round may take, milliseconds.
const ROUND_MS: u64 = 700;
/// How long the leader may take for its part of a round, milliseconds. Less than the round: the question must be over before the round is, or
/// a connection on which nothing comes back would never be given up.
const ASK_MS: u64 = 600;
/// How long to wait after a failed round while reads wait, milliseconds.
const ROUND_RETRY_MS: u64 = 20;

/// How old the knowledge of this node is, and whether that is young enough for a `local` answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Freshness {
    /// Whether a `local` read may be answered.
    pub fresh: bool,
    /// Milliseconds since the last proof that this node knew everything acknowledged; `u64::MAX` before the first.
    pub staleness_ms: u64,
    /// The bound in force.
    pub max_staleness_ms: u64,
}

/// Why there was no barrier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BarrierError {
    /// No majority, or no leader, within the time.
    #[error("no majority confirmed what this node knows in time")]
    Stale,
    /// Too many reads wait.
    #[error("too many reads wait for a barrier")]
    Overloaded,
}

/// Why this node did not reach an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CatchUpError {
    /// The index is beyond what the leader has.
    #[error("the position is beyond the end of the log")]
    Ahead,
    /// Not within the time.
    #[error("this node did not reach the position in time")]
    TimedOut,
}

/// A proof of freshness: what it is counted from, and the bound that was in force when it was gained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    as_of: BootTime,
    jumps: u64,
    max_staleness_ms: u64,
}

impl Lease {
    fn judge(lease: Option<&Self>, now: Reading, max_staleness_ms: u64) -> Freshness {
        let Some(lease) = lease else { return Freshness { fresh: false, staleness_ms: u64::MAX, max_staleness_ms } };
        let bound = lease.max_staleness_ms.min(max_staleness_ms);
        let age_us = now.boot.us_since(lease.as_of);
        // Our clock may run slow against the cluster's by twice the drift bound.
        let age_us = age_us.saturating_add(age_us / (1_000_000 / (2 * DRIFT_PPM)));
        let fresh = lease.jumps == now.jumps && age_us < bound.saturating_mul(1000);
        Freshness { fresh, staleness_ms: age_us.div_ceil(1000), max_staleness_ms: bound }
    }
}

pub(crate) type Waiter = oneshot::Sender<Result<LogIndex, BarrierError>>;

impl Inner {
    /// How fresh this node is. To be asked before the state is looked at, never after.
    pub(crate) fn freshness_at(&self, reading: Reading) -> Freshness {
        let lease = self.lease.load();
        Lease::judge(lease.as_deref(), reading, self.max_staleness_ms())
    }

    fn max_staleness_ms(&self) -> u64 {
        self.local.view.read().policy().max_staleness_ms
    }

    /// Waits until this node has applied everything that was acknowledged before the call.
    pub(crate) async fn barrier(&self) -> Result<LogIndex, BarrierError> {
        let (tell, answer) = oneshot::channel();
        self.waiters.try_send(tell).map_err(|_| BarrierError::Overloaded)?;
        match timeout(Duration::from_millis(BARRIER_WAIT_MS), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(BarrierError::Stale),
        }
    }

    /// Waits until this node has applied `index`; learns first whether the leader has it at all when that is not at hand.
    pub(crate) async fn caught_up(&self, index: LogIndex, within: Duration) -> Result<(), CatchUpError> {
        if *self.applied.borrow() >= index {
            return Ok(());
        }
        let reach = async {
            // A barrier that ends below the index proves that nobody had committed it when we asked.
            match self.barrier().await {
                Ok(_) if *self.applied.borrow() >= index => Ok(()),
                Ok(_) => Err(CatchUpError::Ahead),
                Err(_) => {
                    self.applied_at_least(index).await;
                    Ok(())
                }
            }
        };
        timeout(within, reach).await.unwrap_or(Err(CatchUpError::TimedOut))
    }

    pub(crate) async fn applied_at_least(&self, index: LogIndex) {
        if self.applied.clone().wait_for(|applied| *applied >= index).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Answers a member's question for the read index.
    pub(crate) async fn answer_read_index(self: &Arc<Self>, hello: &Hello, wall_ms: u64) -> Answered {
        self.note_wall(hello.node_id, wall_ms, self.local.clock.boot());
        let refused = |code, detail: &str| Answered::Refused(CallRefusal { code, detail: detail.to_owned() });
        let Some(index) = self.read_index_here().await else { return refused(REFUSED_NOT_LEADER, "this node could not confirm that it leads") };
        // Again, by what is committed after the quorum round: the asker may have been removed meanwhile.
        if !is_member(self, hello.node_id, hello) {
            return refused(REFUSED_NOT_MEMBER, "the node is not a member");
        }
        let own = self.local.clock.reading();
        Answered::ReadIndex(ReadIndex { index, now: self.local.time.now(), wall_ms: own.wall_ms, offsets_ms: self.fresh_offsets(own) })
    }

    async fn read_index_here(&self) -> Option<LogIndex> {
        let raft = self.local.raft()?;
        let option = LinearizerOption::from(ReadPolicy::ReadIndex).with_wait_timeout(Duration::from_millis(ROUND_MS));
        let linearizer = timeout(Duration::from_millis(ROUND_MS), raft.get_read_linearizer(option)).await.ok()?.ok()?;
        Some(linearizer.read_log_id().index())
    }

    /// One round: the read index, and this node there.
    async fn round(self: &Arc<Self>) -> Option<LogIndex> {
        let leader = self.local.leader()?;
        let index = if leader == self.local.node_id() {
            let index = self.read_index_here().await?;
            let own = self.local.clock.reading();
            self.local.time.members(own, &self.fresh_offsets(own));
            // A majority has just confirmed that this is the leader's word.
            self.local.time.adopt(self.local.time.now());
            index
        } else {
            self.read_index_from(leader).await?
        };
        self.applied_at_least(index).await;
        Some(index)
    }

    async fn read_index_from(self: &Arc<Self>, leader: crate::domain::NodeId) -> Option<LogIndex> {
        let before = self.local.clock.reading();
        let answered = self.calls.ask(leader, Call::ReadIndex(AskReadIndex { wall_ms: before.wall_ms }), ASK_MS).await.ok()?;
        let Answered::ReadIndex(read) = answered else { return None };
        let after = self.local.clock.reading();
        // The leader's wall against ours, taken half way between question and answer.
        let half_way_ms = after.boot.ms_since(before.boot) / 2;
        self.note_wall(leader, read.wall_ms, before.boot.plus_ms(half_way_ms));
        let leader_offset = i64::try_from(read.wall_ms).unwrap_or(i64::MAX).saturating_sub_unsigned(before.wall_ms.saturating_add(half_way_ms));
        let offsets: Vec<i64> = read.offsets_ms.iter().map(|offset| offset.saturating_add(leader_offset)).collect();
        self.local.time.members(before, &offsets);
        self.local.time.adopt(read.now);
        Some(read.index)
    }
}

/// Takes in who waits, so many that with those who are still in the channel no more than twice the bound wait in all.
fn gather(waiters: &mut mpsc::Receiver<Waiter>, waiting: &mut Vec<Waiter>) {
    while waiting.len() < WAITERS_MAX
        && let Ok(waiter) = waiters.try_recv()
    {
        waiting.push(waiter);
    }
}

/// Rounds without end: one every refresh interval, and at once while reads wait.
pub(crate) async fn refresh(inner: Arc<Inner>, mut waiters: mpsc::Receiver<Waiter>) {
    let mut tick = interval(Duration::from_millis(inner.local.settings.refresh_interval_ms));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting: Vec<Waiter> = Vec::new();
    loop {
        if waiting.is_empty() {
            tokio::select! {
                _ = tick.tick() => {}
                waiter = waiters.recv() => match waiter {
                    Some(waiter) => waiting.push(waiter),
                    None => return,
                },
            }
        }
        gather(&mut waiters, &mut waiting);
        let asked = inner.local.clock.reading();
        let max_staleness_ms = inner.max_staleness_ms();
        match timeout(Duration::from_millis(ROUND_MS), inner.round()).await.ok().flatten() {
            Some(index) => {
                inner.lease.store(Some(Arc::new(Lease { as_of: asked.boot, jumps: asked.jumps, max_staleness_ms })));
                for waiter in waiting.drain(..) {
                    let _ = waiter.send(Ok(index));
                }
            }
            None => {
                waiting.retain(|waiter| !waiter.is_closed());
                if !waiting.is_empty() {
                    tokio::time::sleep(Duration::from_millis(ROUND_RETRY_MS)).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot_ms: u64, jumps: u64) -> Reading {
        Reading { boot: BootTime(boot_ms * 1000), wall_ms: 0, jumps }
    }

    #[test]
    fn g3_freshness_ends_before_its_bound_and_never_grows() {
        let lease = Lease { as_of: BootTime(10_000_000), jumps: 0, max_staleness_ms: 2_000 };
        assert!(Lease::judge(Some(&lease), at(11_990, 0), 2_000).fresh);
        assert!(!Lease::judge(Some(&lease), at(11_999, 0), 2_000).fresh, "the drift of the clocks is counted against us");
        assert!(!Lease::judge(Some(&lease), at(12_000, 0), 10_000).fresh, "a lease keeps the bound it was gained under");
        assert!(!Lease::judge(Some(&lease), at(11_600, 0), 1_500).fresh, "a lower bound binds at once");
        assert!(!Lease::judge(Some(&lease), at(10_001, 1), 2_000).fresh, "after a jump of the wall nothing is known");
        assert!(!Lease::judge(None, at(10_001, 0), 2_000).fresh, "a restarted node has proven nothing");
    }

    #[test]
    fn reads_that_wait_are_bounded_while_no_round_succeeds() {
        let (send, mut waiters) = mpsc::channel(WAITERS_MAX);
        let mut waiting = Vec::new();
        let mut kept = Vec::new();
        for _ in 0..3 {
            while let Ok(place) = send.try_reserve() {
                let (tell, answer) = oneshot::channel();
                place.send(tell);
                kept.push(answer);
            }
            gather(&mut waiters, &mut waiting);
        }
        assert_eq!((waiting.len(), kept.len()), (WAITERS_MAX, 2 * WAITERS_MAX));
    }
}
