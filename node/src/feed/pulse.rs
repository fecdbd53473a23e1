//! How fresh this node is, in the words of a heartbeat (protocol G2, "A verifier's freshness").

use super::body::as_text;
use crate::clock::Reading;
use crate::domain::{LogIndex, Moment};
use serde::Serialize;
use std::sync::Arc;

/// What the node knows of its own freshness at one moment.
///
/// The order of taking these is part of their truth: `reading` first, then the freshness. And a freshness earned by applying up to some
/// index must not be reported before [`Hub::publish`](super::Hub::publish) was called for that index: a heartbeat would renew verifiers
/// that have not been told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeartbeatFacts {
    /// The clock, read before the rest.
    pub reading: Reading,
    /// Whether the node may answer local reads.
    pub fresh: bool,
    /// How old its knowledge was at `reading`, milliseconds, rounded up; anything beyond the age of the boot clock for "never".
    pub staleness_ms: u64,
    /// The policy's bound, milliseconds.
    pub max_staleness_ms: u64,
    /// Cluster time.
    pub now: Moment,
}

/// The members of a heartbeat; `hello`, the list and the answer to an ack carry them too, sampled when they are asked for, so that with
/// the echoed nonce they are an anchor for the asker's clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Pulse {
    /// Everything up to here has been told.
    pub index: LogIndex,
    /// Whether the node is fresh.
    pub fresh: bool,
    /// How old its knowledge is at `t_ms`, milliseconds.
    pub staleness_ms: u64,
    /// The policy's bound, milliseconds.
    pub max_staleness_ms: u64,
    /// Random, one per process.
    pub boot: Arc<str>,
    /// The boot clock of this node, milliseconds.
    pub t_ms: u64,
    /// Cluster time.
    #[serde(serialize_with = "as_text")]
    pub now: Moment,
}

impl HeartbeatFacts {
    /// Before the first heartbeat nothing is known: not fresh, and as stale as the hub is old.
    pub(super) fn unknown(reading: Reading, max_staleness_ms: u64, now: Moment) -> Self {
        Self { reading, fresh: false, staleness_ms: 0, max_staleness_ms, now }
    }

    /// The moment of the boot clock as of which the node knows everything, milliseconds, rounded down.
    fn fresh_as_of_ms(&self) -> u64 {
        (self.reading.boot.0 / 1000).saturating_sub(self.staleness_ms)
    }

    /// As a heartbeat says it. `t_ms` is rounded down: whoever counts from it claims too little rather than too much.
    pub(super) fn heartbeat(&self, index: LogIndex, boot: &Arc<str>) -> Pulse {
        let Self { reading, fresh, max_staleness_ms, now, .. } = *self;
        let t_ms = reading.boot.0 / 1000;
        // Older than its own boot no node can be, whatever stands for "never".
        let staleness_ms = t_ms - self.fresh_as_of_ms();
        Pulse { index, fresh, staleness_ms, max_staleness_ms, boot: boot.clone(), t_ms, now }
    }

    /// What is still true of these facts at a later reading. As an anchor is subtracted, its `t_ms` is rounded up; the age of the knowledge
    /// grows with it, so that both uses of the pulse err on the safe side.
    pub(super) fn at(&self, reading: Reading, index: LogIndex, boot: &Arc<str>) -> Pulse {
        let t_ms = reading.boot.0.div_ceil(1000);
        let staleness_ms = t_ms.saturating_sub(self.fresh_as_of_ms());
        let fresh = self.fresh && reading.jumps == self.reading.jumps && staleness_ms <= self.max_staleness_ms;
        let now = self.now.plus_ms(reading.boot.ms_since(self.reading.boot));
        Pulse { index, fresh, staleness_ms, max_staleness_ms: self.max_staleness_ms, boot: boot.clone(), t_ms, now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootTime;

    fn reading(us: u64) -> Reading {
        Reading { boot: BootTime(us), wall_ms: 0, jumps: 3 }
    }

    #[test]
    fn knowledge_ages_between_heartbeats_and_ends_at_the_bound() {
        let facts = HeartbeatFacts { reading: reading(5_000_900), fresh: true, staleness_ms: 40, max_staleness_ms: 2_000, now: Moment(77) };
        let boot: Arc<str> = "b".into();
        assert_eq!((facts.heartbeat(9, &boot).t_ms, facts.heartbeat(9, &boot).staleness_ms), (5_000, 40));
        assert_eq!(HeartbeatFacts { staleness_ms: u64::MAX, ..facts }.heartbeat(9, &boot).staleness_ms, 5_000);
        let later = facts.at(reading(5_100_100), 9, &boot);
        assert_eq!((later.fresh, later.t_ms, later.staleness_ms, later.now), (true, 5_101, 141, Moment(176)));
        assert!(facts.at(reading(6_960_000), 9, &boot).fresh);
        assert!(!facts.at(reading(6_960_001), 9, &boot).fresh, "older than the bound");
        assert!(!facts.at(Reading { jumps: 4, ..reading(5_100_100) }, 9, &boot).fresh, "the wall has jumped since");
    }
}
