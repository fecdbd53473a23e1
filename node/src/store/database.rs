//! One sled database in one directory, with a sync that is one.
//!
//! sled's `flush()` is `sync_file_range` on Linux: no metadata, no drive cache. So after it the database's file is synced through a handle of
//! our own, and after creation its `conf`, its directory and their parent.

use super::disk::{self, Syncer};
use super::error::{OpenError, StoreError};
use super::fields::{seal, unseal};
use crate::domain::StoreUuid;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The key under which a database names the store that it belongs to.
const OWNER_KEY: &[u8] = b"mstore";

/// sled's own threads let go of a closed database a little later. We hold the lock of the data directory, so nobody else can have it open.
const LET_GO_TRIES: usize = 200;
const LET_GO_PAUSE: Duration = Duration::from_millis(10);

/// An open database.
pub(super) struct Database {
    db: sled::Db,
    file: File,
    dir: PathBuf,
    syncer: Arc<dyn Syncer>,
}

/// Changes that are made together or not at all.
#[derive(Default)]
pub(super) struct Batch {
    changes: sled::Batch,
    len: usize,
}

impl Batch {
    pub(super) fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.changes.insert(key, value);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.changes.remove(key);
        self.len += 1;
    }

    /// Writes a sealed record.
    pub(super) fn seal(&mut self, key: &[u8], body: &[u8]) {
        self.insert(key, &seal(key, body));
    }

    /// How many changes it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Database {
    /// Makes an empty database that belongs to `owner`.
    pub(super) fn create(dir: &Path, cache_bytes: u64, owner: StoreUuid) -> Result<(), OpenError> {
        DirBuilder::new().mode(0o700).create(dir).map_err(|error| OpenError::failed("create", dir, error))?;
        let database = Self::open_any(dir, cache_bytes, Arc::new(disk::RealSync))?;
        let mut batch = Batch::default();
        batch.seal(OWNER_KEY, &owner.0);
        database.apply(batch)?;
        database.sync()?;
        database.sync_names().map_err(|error| OpenError::failed("sync", dir, error))
    }

    /// Opens the database that `create` made for `owner`.
    pub(super) fn open(dir: &Path, cache_bytes: u64, owner: StoreUuid, syncer: Arc<dyn Syncer>) -> Result<Self, OpenError> {
        for name in ["db", "conf"] {
            let path = dir.join(name);
            if !path.is_file() {
                return Err(OpenError::forgot(&path, "the file is missing"));
            }
        }
        let database = Self::open_any(dir, cache_bytes, syncer)?;
        match database.sealed(OWNER_KEY)? {
            Some(body) if body == owner.0 => {}
            Some(_) => return Err(OpenError::damaged(dir, "it belongs to another store")),
            None => return Err(OpenError::forgot(dir, "the database came back empty")),
        }
        database.sync_names().map_err(|error| OpenError::failed("sync", dir, error))?;
        Ok(database)
    }

    fn open_any(dir: &Path, cache_bytes: u64, syncer: Arc<dyn Syncer>) -> Result<Self, OpenError> {
        let db = (0..LET_GO_TRIES)
            .find_map(|_| try_open(dir, cache_bytes))
            .unwrap_or_else(|| Err(OpenError::failed("open the database", dir, io::Error::new(io::ErrorKind::WouldBlock, "its file is locked"))))?;
        // sled makes its files as the umask says, and makes all of them while it opens.
        disk::make_private(dir).map_err(|error| OpenError::failed("make private", dir, error))?;
        let path = dir.join("db");
        let file = File::open(&path).map_err(|error| OpenError::failed("open", &path, error))?;
        Ok(Self { db, file, dir: dir.to_owned(), syncer })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the changes, which are readable at once and durable after the next `sync`.
    pub(super) fn apply(&self, batch: Batch) -> Result<(), StoreError> {
        self.db.apply_batch(batch.changes).map_err(|error| self.failed("write to", error))
    }

    /// Returns once all that was applied is on stable storage.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|error| self.failed("flush", error))?;
        let path = self.dir.join("db");
        self.syncer.sync(&path, &self.file).map_err(|error| StoreError::failed("sync", &path, error))
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<sled::IVec>, StoreError> {
        self.db.get(key).map_err(|error| self.failed("read", error))
    }

    /// The body of the sealed record under `key`.
    pub(super) fn sealed(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(record) = self.get(key)? else { return Ok(None) };
        let body = unseal(key, &record).ok_or_else(|| self.damaged(format!("the record {} has a wrong checksum", String::from_utf8_lossy(key))))?;
        Ok(Some(body.to_vec()))
    }

    /// The sealed record under `key`, decoded.
    pub(super) fn record<T>(&self, key: &[u8], decode: impl Fn(&[u8]) -> Option<T>) -> Result<Option<T>, StoreError> {
        let Some(body) = self.sealed(key)? else { return Ok(None) };
        decode(&body).map(Some).ok_or_else(|| self.damaged(format!("the record {} has a wrong layout", String::from_utf8_lossy(key))))
    }

    /// The records from the key `from` on, up to but without the key `to`, in key order from either end.
    pub(super) fn range(&self, from: &[u8], to: &[u8]) -> impl DoubleEndedIterator<Item = Result<(sled::IVec, sled::IVec), StoreError>> + '_ {
        self.db.range(from.to_vec()..to.to_vec()).map(|pair| pair.map_err(|error| self.failed("read", error)))
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::damaged(&self.dir, what)
    }

    fn failed(&self, doing: &'static str, error: sled::Error) -> StoreError {
        match error {
            sled::Error::Corruption { .. } => self.damaged(error.to_string()),
            other => StoreError::failed(doing, &self.dir, io_error(other)),
        }
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(self.dir.join("conf"))?.sync_all()?;
        self.file.sync_all()?;
        disk::sync_dir(&self.dir)?;
        disk::sync_parent(&self.dir)
    }
}

/// Opens the database; `None` while its file is still locked.
fn try_open(dir: &Path, cache_bytes: u64) -> Option<Result<sled::Db, OpenError>> {
    let config = sled::Config::new().path(dir).cache_capacity(cache_bytes).flush_every_ms(None);
    // A flipped bit can make sled panic while it recovers.
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(Ok(db)) => Some(Ok(db)),
        Ok(Err(sled::Error::Io(error))) if error.to_string().contains("could not acquire lock") => {
            std::thread::sleep(LET_GO_PAUSE);
            None
        }
        Ok(Err(sled::Error::Corruption { .. })) | Err(_) => Some(Err(OpenError::damaged(dir, "the database does not open"))),
        Ok(Err(other)) => Some(Err(OpenError::failed("open the database", dir, io_error(other)))),
    }
}

fn io_error(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}
