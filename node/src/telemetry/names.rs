//! The names of all metrics, with unit and meaning: the one list, which operators build dashboards on.
//!
//! A name is never given another meaning. What is counted elsewhere (in atomics of the store, say) is set at each scrape.

use metrics::Unit;

/// How a metric behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only rises; starts from zero with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts samples by size.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it is counted in.
    pub unit: Unit,
    /// What it means.
    pub help: &'static str,
}

macro_rules! names {
    ($( $kind:ident $unit:ident $constant:ident = $name:literal: $help:literal; )+) => {
        $( #[doc = $help] pub const $constant: &str = $name; )+

        /// All of them.
        pub const ALL: &[Metric] = &[
            $( Metric { name: $constant, kind: Kind::$kind, unit: Unit::$unit, help: $help } ),+
        ];
    };
}

names! {
    Gauge Count BUILD_INFO = "curfew_build_info": "Always 1; label `version`.";

    Counter Count HTTP_REQUESTS_TOTAL = "curfew_http_requests_total": "Requests answered; labels `listener`, `route` (the pattern), `method`, `status`.";
    Histogram Seconds HTTP_REQUEST_DURATION_SECONDS = "curfew_http_request_duration_seconds": "From a request's head to its answer's head; labels `listener`, `route`, `method`.";

    Gauge Count RAFT_ROLE = "curfew_raft_role": "1 for the node's present role, 0 for the others; label `role`: leader, follower, candidate, learner.";
    Gauge Count RAFT_TERM = "curfew_raft_term": "The term that the node is in.";
    Gauge Count RAFT_LAST_LOG_INDEX = "curfew_raft_last_log_index": "The last index of the node's log.";
    Gauge Count RAFT_COMMITTED_INDEX = "curfew_raft_committed_index": "The last index that the node knows to be committed.";
    Gauge Count RAFT_APPLIED_INDEX = "curfew_raft_applied_index": "The last index that the node has applied.";
    Gauge Count RAFT_SNAPSHOT_INDEX = "curfew_raft_snapshot_index": "The last index in the node's newest snapshot.";
    Gauge Count RAFT_PURGED_INDEX = "curfew_raft_purged_index": "The last index that was purged from the node's log.";
    Gauge Count RAFT_REPLICATION_LAG_ENTRIES = "curfew_raft_replication_lag_entries": "On the leader: entries that a member has not matched yet; label `peer`.";
    Gauge Count RAFT_FRESH = "curfew_raft_fresh": "1 while the node may answer `local` reads, else 0.";
    Gauge Seconds RAFT_STALENESS_SECONDS = "curfew_raft_staleness_seconds": "How old the node's knowledge is at most.";
    Gauge Seconds RAFT_CLOCK_OFFSET_SECONDS = "curfew_raft_clock_offset_seconds": "How far the node's wall clock is ahead of cluster time.";
    Gauge Count RAFT_CLOCK_STEPPED = "curfew_raft_clock_stepped": "1 while the node's wall clock is not followed because it stepped, else 0.";
    Counter Count RAFT_LEADER_CHANGES_TOTAL = "curfew_raft_leader_changes_total": "Changes of leader that the node has seen.";

    Counter Count STORE_SYNCS_TOTAL = "curfew_store_syncs_total": "Syncs of the log to stable storage.";
    Histogram Count STORE_SYNC_ENTRIES = "curfew_store_sync_entries": "Log entries that one sync made durable.";
    Counter Count STORE_SYNCED_ENTRIES_TOTAL = "curfew_store_synced_entries_total": "Log entries made durable.";
    Counter Bytes STORE_SYNCED_BYTES_TOTAL = "curfew_store_synced_bytes_total": "Encoded bytes of log entries made durable.";
    Counter Count STORE_TABLE_BATCHES_TOTAL = "curfew_store_table_batches_total": "Batches written behind to the tables.";
    Counter Count STORE_TABLE_ROWS_TOTAL = "curfew_store_table_rows_total": "Rows in these batches.";
    Gauge Bytes STORE_FREE_BYTES = "curfew_store_free_bytes": "Free space on the file system of the data directory.";

    Gauge Count FEED_SUBSCRIBERS = "curfew_feed_subscribers": "Open streams of the node.";
    Gauge Count FEED_LAG_ENTRIES = "curfew_feed_lag_entries": "Messages that the slowest stream of the node has not read.";
    Counter Count FEED_EVENTS_TOTAL = "curfew_feed_events_total": "Revocation events put on streams.";
    Counter Count FEED_RESYNCS_TOTAL = "curfew_feed_resyncs_total": "Streams told to fetch the list anew.";
    Counter Count FEED_DROPPED_TOTAL = "curfew_feed_dropped_total": "How often a stream was overtaken by the ring of messages and read on from the state.";

    Gauge Count SESSIONS_ACTIVE = "curfew_sessions_active": "Active sessions in the replicated state.";
    Gauge Count SESSIONS_TOMBSTONES = "curfew_sessions_tombstones": "Ended sessions that can still be explained.";
    Counter Count SESSIONS_STARTED_TOTAL = "curfew_sessions_started_total": "Sessions started through the node.";
    Counter Count SESSIONS_REVOKED_TOTAL = "curfew_sessions_revoked_total": "Sessions revoked through the node.";
    Counter Count SESSIONS_EXPIRED_TOTAL = "curfew_sessions_expired_total": "Sessions whose end by time the node has recorded, as leader.";
    Counter Count JWT_ISSUED_TOTAL = "curfew_jwt_issued_total": "JWTs signed by the node; label `alg`.";
    Counter Count JWT_REJECTED_TOTAL = "curfew_jwt_rejected_total": "JWTs refused by the node; label `reason`.";

    Gauge Count ACTORS_LIVE = "curfew_actors_live": "Session actors awake on the node.";
    Counter Count ACTORS_WOKEN_TOTAL = "curfew_actors_woken_total": "Session actors started.";
    Counter Count ACTORS_SLEPT_TOTAL = "curfew_actors_slept_total": "Session actors gone dormant or ended.";
    Gauge Count ACTORS_MAILBOX_DEPTH = "curfew_actors_mailbox_depth": "Messages that wait in mailboxes.";
    Gauge Count ACTORS_MAILBOX_DEPTH_MAX = "curfew_actors_mailbox_depth_max": "The most messages that have waited in a mailbox.";
    Counter Count ACTORS_TOUCHES_SENT_TOTAL = "curfew_actors_touches_sent_total": "Sessions reported as seen by the node.";
}

/// Tells the recorder the unit and the meaning of each.
pub(super) fn describe() {
    for Metric { name, kind, unit, help } in ALL.iter().copied() {
        match kind {
            Kind::Counter => metrics::describe_counter!(name, unit, help),
            Kind::Gauge => metrics::describe_gauge!(name, unit, help),
            Kind::Histogram => metrics::describe_histogram!(name, unit, help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Prometheus' conventions: one prefix, base units, counters end in `_total`.
    #[test]
    fn names_follow_the_conventions() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} is there twice", metric.name);
            assert!(metric.name.starts_with("curfew_"), "{}", metric.name);
            assert!(metric.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert_eq!(metric.unit == Unit::Seconds, metric.name.ends_with("_seconds"), "{}", metric.name);
            assert_eq!(metric.unit == Unit::Bytes, metric.name.contains("_bytes"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
