//! Snapshots of the state: made here or received from a peer, verified before they are trusted, the newest few kept.
//!
//! What fails here fails the snapshot, not the store: nothing that was acknowledged rests on it.

mod file;
mod found;

pub use file::{SnapshotFile, SnapshotRows};
pub(super) use found::Found;

use super::directory::Directory;
use super::disk;
use super::entry::LogPos;
use super::error::StoreError;
use super::health::Health;
use super::row::SnapshotMeta;
use super::stats::Stats;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;

const ENDING: &str = "snap";
/// The largest snapshot that is received: 256 GiB.
const SNAPSHOT_BYTES_MAX: u64 = 256 << 30;

/// The snapshots of this store; all clones are the same ones.
#[derive(Clone)]
pub struct Snapshots(Arc<Inner>);

struct Inner {
    directory: Directory,
    health: Health,
    kept: usize,
    /// Oldest first; each was verified.
    files: Mutex<Vec<SnapshotFile>>,
    /// Where the log began when the store was opened.
    purged: Option<LogPos>,
    /// Makes the names of unfinished files differ.
    drafts: AtomicU64,
}

impl Snapshots {
    /// Goes on with the snapshots that were found, over a log that was purged up to `purged`.
    pub(super) fn start(directory: Directory, health: Health, kept: usize, found: Found, purged: Option<LogPos>) -> Self {
        let files = Mutex::new(found.into_files());
        Self(Arc::new(Inner { directory, health, kept: kept.max(1), files, purged, drafts: AtomicU64::new(0) }))
    }

    /// The newest snapshot, verified when it was made, or when the store was opened. None that ends before the log begins: where the newer
    /// one was damaged, that would leave a gap.
    #[must_use]
    pub fn newest(&self) -> Option<SnapshotFile> {
        self.files().last().filter(|file| file.reaches(self.0.purged)).cloned()
    }

    /// Writes a snapshot, reads it back, and keeps it. `meta.rows` is set to the number of rows that came, which must be in key order.
    /// Blocking.
    ///
    /// # Errors
    /// When it cannot be written, came back other than it was written, or a row is too large; then no snapshot is left.
    pub fn create(&self, meta: SnapshotMeta, rows: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<SnapshotFile, StoreError> {
        let draft = self.draft("made")?;
        file::write(draft.file.try_clone().map_err(|error| draft.failed(error))?, &draft.path, meta, rows)?;
        self.keep(draft)
    }

    /// Begins to receive a snapshot from elsewhere. The hint makes the unfinished file recognisable.
    ///
    /// # Errors
    /// When no file can be made.
    pub fn receive(&self, name_hint: &str) -> Result<Receiving, StoreError> {
        Ok(Receiving { draft: self.draft(name_hint)?, received: 0, snapshots: self.clone() })
    }

    fn draft(&self, hint: &str) -> Result<Draft, StoreError> {
        let hint: String = hint.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        let number = self.0.drafts.fetch_add(1, Ordering::Relaxed);
        let path = self.0.directory.snapshots().join(format!("{hint}-{number}.{}", disk::PART));
        let file = disk::private().create(true).truncate(true).open(&path);
        Ok(Draft { file: file.map_err(|error| StoreError::failed("create", &path, error))?, path })
    }

    /// Trusts a synced draft once it was read back: gives it its name, and lets the oldest go.
    fn keep(&self, draft: Draft) -> Result<SnapshotFile, StoreError> {
        let file = SnapshotFile::open(&draft.path)?;
        file.verify()?;
        let path = self.0.directory.snapshots().join(format!("{:020}.{ENDING}", file.meta().index()));
        let mut files = self.files();
        disk::rename(&draft.path, &path).map_err(|error| draft.failed(error))?;
        let file = file.named(path);
        files.retain(|other| other.path() != file.path());
        files.push(file.clone());
        files.sort_by_key(|file| file.meta().index());
        while files.len() > self.0.kept {
            remove(files.remove(0).path());
        }
        Stats::add(&self.0.health.stats().snapshots, 1);
        Ok(file)
    }

    fn files(&self) -> MutexGuard<'_, Vec<SnapshotFile>> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A snapshot that is being received. Dropped before `finish`, it leaves nothing behind.
pub struct Receiving {
    draft: Draft,
    received: u64,
    snapshots: Snapshots,
}

impl Receiving {
    /// Writes a chunk where it belongs; again, where it was written before. Blocking.
    ///
    /// # Errors
    /// When the chunk would leave a gap, the snapshot is larger than 256 GiB, or the file cannot be written.
    pub fn write_at(&mut self, offset: u64, chunk: &[u8]) -> Result<(), StoreError> {
        if offset > self.received {
            return Err(StoreError::Refused("a chunk of a snapshot is missing"));
        }
        let end = offset.saturating_add(chunk.len() as u64);
        if end > SNAPSHOT_BYTES_MAX {
            return Err(StoreError::Refused("a snapshot is larger than 256 GiB"));
        }
        self.draft.file.write_all_at(chunk, offset).map_err(|error| self.draft.failed(error))?;
        self.received = self.received.max(end);
        Ok(())
    }

    /// Bytes received so far, without a gap.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Syncs the file, checks all of it, and keeps it. Blocking.
    ///
    /// # Errors
    /// When what came is no whole snapshot; then nothing is left of it.
    pub fn finish(self) -> Result<SnapshotFile, StoreError> {
        self.draft.file.sync_all().map_err(|error| self.draft.failed(error))?;
        self.snapshots.keep(self.draft)
    }
}

/// A file that nobody trusts yet; it goes when it is dropped, unless it was given another name.
struct Draft {
    file: File,
    path: PathBuf,
}

impl Draft {
    fn failed(&self, error: std::io::Error) -> StoreError {
        StoreError::failed("write the snapshot", &self.path, error)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => warn!(%error, path = %path.display(), "cannot remove a snapshot"),
        _ => {}
    }
}
