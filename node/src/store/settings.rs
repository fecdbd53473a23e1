//! What an operator may tune about the disk.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Settings of the store; sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The directory that holds everything; given by the caller, not part of the tunables.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// How much memory sled may use for pages of the log.
    pub log_cache_bytes: u64,
    /// How much memory sled may use for pages of the tables.
    pub tables_cache_bytes: u64,
    /// The size of the file that is given up when the disk is full, so that the databases can still be opened and revocations written.
    pub ballast_bytes: u64,
    /// Below this much free space ordinary writes are refused.
    pub free_space_floor_bytes: u64,
    /// How many of the newest log entries stay in memory; entries that are not yet durable stay beyond it.
    pub log_tail_entries: usize,
    /// How many bytes of payload the entries in memory may hold before the oldest durable ones leave.
    pub log_tail_bytes: usize,
    /// How many calls may wait for the log's writer; at the bound `append` waits.
    pub log_queue_max: usize,
    /// How many rows may wait for the tables' writer; at the bound `write` waits.
    pub queued_rows_max: usize,
    /// How many snapshots are kept, the newest; at least one.
    pub snapshots_kept: usize,
}

const MIB: u64 = 1024 * 1024;

impl Default for Settings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::new(),
            log_cache_bytes: 64 * MIB,
            tables_cache_bytes: 64 * MIB,
            ballast_bytes: 16 * MIB,
            free_space_floor_bytes: 64 * MIB,
            log_tail_entries: 20_000,
            log_tail_bytes: 32 * 1024 * 1024,
            log_queue_max: 1024,
            queued_rows_max: 50_000,
            snapshots_kept: 2,
        }
    }
}
