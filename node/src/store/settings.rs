//! What an operator may set about the store.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the store lies, and its bounds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The data directory; given by the caller, not by the table of tunables.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// The page cache of the log's database, in bytes.
    pub log_cache_bytes: u64,
    /// The page cache of the tables' database, in bytes.
    pub tables_cache_bytes: u64,
    /// The size of the file that is given up when the disk is full; 0 for none.
    pub ballast_bytes: u64,
    /// Below this many free bytes the store calls itself not writable.
    pub free_space_floor_bytes: u64,
    /// The most durable log entries that are kept in memory for readers. What is not yet durable is kept beside them.
    pub log_tail_entries: usize,
    /// The most rows that wait to be written to the tables; a writer waits when they are reached.
    pub queued_rows_max: usize,
    /// How many snapshots are kept; at least 1.
    pub snapshots_kept: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("curfew-data"),
            log_cache_bytes: 64 << 20,
            tables_cache_bytes: 64 << 20,
            ballast_bytes: 16 << 20,
            free_space_floor_bytes: 64 << 20,
            log_tail_entries: 20_000,
            queued_rows_max: 50_000,
            snapshots_kept: 2,
        }
    }
}
