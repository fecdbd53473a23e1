//! The disk of a node: the replicated log, the tables of the state, snapshots, and the promises that they keep.
//!
//! This is the only room that knows sled and the file system. It deals in bytes, indexes and durability, and knows nothing of sessions, of
//! consensus or of any runtime: threads of its own do the blocking work. What it lays on the disk is described, and held by golden bytes, in
//! the file of each record; `directory.rs` shows the whole.
//!
//! - The log is acknowledged after a real sync, many entries by one. The tables follow it and never pass it. The log is not purged beyond them.
//! - Nothing read back is trusted: each record has its CRC, and the marker says what must be there. A disk that forgot does not open.
//! - The first failed write or sync ends the store: `Health::fatal` tells the process.

mod database;
mod directory;
mod disk;
mod entry;
mod error;
mod fields;
mod health;
mod keeper;
mod log;
mod marker;
mod parts;
mod row;
mod settings;
mod snapshots;
mod space;
mod stats;
mod tables;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use crate::state::Row;
pub use directory::Identity;
pub(crate) use disk::{RealSync, Syncer};
pub use entry::{ENTRY_BYTES_MAX, LogEntry, LogPos, Payload, Vote};
pub use error::{OpenError, StoreError};
pub use health::Health;
pub use log::{Log, LogBounds};
pub use row::{MEMBERSHIP_BYTES_MAX, ROW_BYTES_MAX, ROW_KEY_BYTES_MAX, SnapshotMeta, TablesMeta};
pub use settings::Settings;
pub use snapshots::{Receiving, SnapshotFile, SnapshotRows, Snapshots};
pub use stats::Stats;
pub use tables::Tables;

use crate::domain::StoreUuid;
use database::Database;
use directory::Directory;
use log::{Recovered, Shared};
use marker::Marker;
use space::Space;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use tables::Rows;
use tracing::warn;

/// The way in.
pub struct Store;

/// The parts of an open store. The data directory stays locked until the last of them, with all clones, is gone.
pub struct Opened {
    /// Who this disk is.
    pub identity: Identity,
    /// The replicated log.
    pub log: Log,
    /// The rows of the state.
    pub tables: Tables,
    /// The snapshots of the state.
    pub snapshots: Snapshots,
    /// Whether it all still works, how much room there is, and the counters.
    pub health: Health,
    /// Whether the store was there before.
    pub resumed: bool,
}

impl Store {
    /// Opens the store in `settings.data_dir`, or makes one, with `fresh` as its identity, where there is nothing. Blocking.
    ///
    /// # Errors
    /// When the directory is another's, in use, or of an unknown format, or when what it holds is damaged or less than it promised.
    pub fn open(settings: &Settings, fresh: StoreUuid) -> Result<Opened, OpenError> {
        Self::open_with(settings, fresh, Arc::new(RealSync))
    }

    /// The same, with another answer to what a sync is.
    pub(crate) fn open_with(settings: &Settings, fresh: StoreUuid, syncer: Arc<dyn Syncer>) -> Result<Opened, OpenError> {
        let found = Directory::open(settings, fresh)?;
        let (directory, store) = (found.directory, found.store);
        let health = Health::new(settings.free_space_floor_bytes);
        let space = Space::new(directory.path(), settings.ballast_bytes, settings.free_space_floor_bytes);
        // On a full disk, sled opens only with the room that the ballast gives.
        space.look(&health);

        let identity = Identity::open(directory.clone(), store)?;
        let marker = Marker::open(directory.marker(), store)?;
        let log_db = Database::open(&directory.log(), settings.log_cache_bytes, store, Arc::clone(&syncer))?;
        let tables_db = Database::open(&directory.tables(), settings.tables_cache_bytes, store, syncer)?;
        let (mut recovered, found_snapshots) = read_both(&log_db, &marker, &directory.snapshots())?;
        let mut rows = Rows::open(tables_db, health.clone(), directory.clone())?;
        restore(&mut rows, &recovered, &found_snapshots)?;
        recovered.keeps(&log_db, &marker, rows.written())?;
        join(&mut recovered, &log_db, &rows)?;
        let purged = recovered.bounds.last_purged;
        let snapshots = Snapshots::start(directory.clone(), health.clone(), settings.snapshots_kept, found_snapshots, purged);

        let tables_durable = rows.durable();
        let shared = Arc::new(Shared::new(log_db, marker, health.clone(), directory, recovered, settings.log_tail_entries));
        let keeper = keeper::Keeper::start(&health, Arc::clone(&shared), space)?;
        let tables = Tables::start(rows, health.clone(), settings.queued_rows_max, shared.watched())?;
        let log = Log::start(shared, tables_durable, keeper)?;
        Ok(Opened { identity, log, tables, snapshots, health, resumed: found.resumed })
    }
}

/// Reads the log and the snapshots to their ends, one beside the other: both are long.
fn read_both(log: &Database, marker: &Marker, snapshots: &Path) -> Result<(Recovered, snapshots::Found), OpenError> {
    let (recovered, found) = thread::scope(|scope| {
        let found = scope.spawn(|| snapshots::Found::look(snapshots));
        (Recovered::read(log, marker), found.join())
    });
    let found = found.unwrap_or_else(|_| Err(StoreError::Panicked("reader of the snapshots").into()));
    Ok((recovered?, found?))
}

/// Loads the tables from the newest snapshot where the process ended while one was loaded, or where they end before the log begins.
fn restore(rows: &mut Rows, log: &Recovered, snapshots: &snapshots::Found) -> Result<(), OpenError> {
    let interrupted = rows.loading()?;
    let purged = log.bounds.last_purged;
    let behind = index(rows.written()) < index(purged);
    if interrupted.is_none() && !behind {
        return Ok(());
    }
    let Some(snapshot) = snapshots.newest(purged) else {
        let what = if behind { "the tables end before the log begins" } else { "the process ended while a snapshot was loaded" };
        return Err(OpenError::forgot(rows.db().dir(), format!("{what}, and there is no whole snapshot to load them from")));
    };
    warn!(index = snapshot.meta().index(), "the tables are loaded from a snapshot");
    Ok(rows.replace(snapshot)?)
}

/// Holds log and tables against each other: the tables wait for the log's sync, so only a snapshot can have brought them beyond its end; and
/// where both know an entry, it is the same one. (Before a snapshot is loaded, the engine cuts off what contradicts it.)
fn join(log: &mut Recovered, log_db: &Database, rows: &Rows) -> Result<(), OpenError> {
    let Some(written) = rows.written() else { return Ok(()) };
    if index(log.bounds.last) >= Some(written.index) {
        return match log.at(log_db, written.index)? {
            Some(own) if own != written => Err(OpenError::damaged(log_db.dir(), format!("the log holds {own}, and the tables hold {written}"))),
            _ => Ok(()),
        };
    }
    if rows.installed()? == Some(written) {
        return log.continue_after(log_db, written);
    }
    let end = log.bounds.last.map_or("is empty".to_owned(), |last| format!("ends at {}", last.index));
    Err(OpenError::forgot(log_db.dir(), format!("the log {end}, and the tables hold {written}")))
}

fn index(pos: Option<LogPos>) -> Option<u64> {
    pos.map(|pos| pos.index)
}
