//! What the store has done since it was opened, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, each only ever rising but for `last_batch_entries`.
#[derive(Debug, Default)]
pub struct Stats {
    /// Real syncs of the log.
    pub syncs: AtomicU64,
    /// Log entries made durable.
    pub synced_entries: AtomicU64,
    /// Bytes of the payloads of those entries.
    pub synced_bytes: AtomicU64,
    /// Entries in the last sync that had any.
    pub last_batch_entries: AtomicU64,
    /// Entries removed from the log after a purge.
    pub purged_entries: AtomicU64,
    /// Batches written to the tables.
    pub table_batches: AtomicU64,
    /// Rows in those batches, each counted once per batch.
    pub table_rows: AtomicU64,
    /// Bytes of keys and values in those rows.
    pub table_bytes: AtomicU64,
    /// Real syncs of the tables.
    pub table_syncs: AtomicU64,
    /// Snapshots written or received, verified, and kept.
    pub snapshots: AtomicU64,
}

impl Stats {
    pub(super) fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Ordering::Relaxed);
    }

    /// The value of one of the counters.
    #[must_use]
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
