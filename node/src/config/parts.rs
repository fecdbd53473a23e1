//! `[raft]`, `[feed]`, `[actors]`, `[store]`: how the parts of this node work.

use serde::{Deserialize, Serialize};

/// `[raft]`: elections, freshness, snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RaftSettings {
    /// How often the leader is heard.
    pub heartbeat_ms: u64,
    /// The shortest silence after which a follower stands for election.
    pub election_min_ms: u64,
    /// The longest such silence, and the leader's lease.
    pub election_max_ms: u64,
    /// How often a node makes sure that it is fresh.
    pub refresh_interval_ms: u64,
    /// A snapshot is taken when at least so many entries came since the last one.
    pub snapshot_min_entries: u64,
    /// ... and when they are at least this share of the rows of the state, percent.
    pub snapshot_state_share_percent: u64,
    /// Entries below the last snapshot that are kept, so that a node that was away for a moment needs no snapshot.
    pub purge_keep_entries: u64,
}

impl Default for RaftSettings {
    fn default() -> Self {
        Self {
            heartbeat_ms: 50,
            election_min_ms: 150,
            election_max_ms: 300,
            refresh_interval_ms: 100,
            snapshot_min_entries: 50_000,
            snapshot_state_share_percent: 25,
            purge_keep_entries: 10_000,
        }
    }
}

impl RaftSettings {
    /// The longest that a change of leader may take on a sound network, milliseconds: the lease, an election, and what lies between.
    #[must_use]
    pub fn leader_change_ms(&self) -> u64 {
        self.election_max_ms.saturating_mul(2).saturating_add(100)
    }
}

/// `[feed]`: the revocation feed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedSettings {
    /// How often each stream beats.
    pub heartbeat_ms: u64,
    /// Frames kept in one ring for all streams; one that is overtaken reads on from the retained revocations.
    pub subscriber_queue_max: u64,
    /// Streams of this node; beyond, a new one is refused with 503.
    pub subscribers_max: u64,
    /// Streams of one API key on this node; beyond, a new one is refused with 429.
    pub streams_per_key_max: u64,
}

impl Default for FeedSettings {
    fn default() -> Self {
        Self { heartbeat_ms: 250, subscriber_queue_max: 1_024, subscribers_max: 10_000, streams_per_key_max: 2_000 }
    }
}

/// `[actors]`: session actors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActorsSettings {
    /// Live session actors of this node; beyond, the longest idle one is put to sleep.
    pub live_max: u64,
    /// How long a session is not used on this node before its actor sleeps.
    pub dormant_after_seconds: u64,
    /// Messages that wait for one actor; beyond, the request is answered with 503.
    pub mailbox_max: u64,
}

impl Default for ActorsSettings {
    fn default() -> Self {
        Self { live_max: 100_000, dormant_after_seconds: 300, mailbox_max: 1_024 }
    }
}

/// `[store]`: the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Page cache of the log database.
    pub log_cache_bytes: u64,
    /// Page cache of the tables database.
    pub tables_cache_bytes: u64,
    /// A file kept in reserve, given up when the disk is full.
    pub ballast_bytes: u64,
    /// Below so much free space, writes are refused with 503 `disk_full`.
    pub free_space_floor_bytes: u64,
    /// The newest log entries that are kept in memory.
    pub log_tail_entries: u64,
    /// The newest snapshots that are kept.
    pub snapshots_kept: u64,
}

const MIB: u64 = 1024 * 1024;

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            log_cache_bytes: 64 * MIB,
            tables_cache_bytes: 64 * MIB,
            ballast_bytes: 16 * MIB,
            free_space_floor_bytes: 64 * MIB,
            log_tail_entries: 20_000,
            snapshots_kept: 2,
        }
    }
}
