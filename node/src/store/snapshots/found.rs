//! The snapshots that are there when the store is opened.
//!
//! Each is read to its end before anybody may trust it. One that is damaged is no reason not to start: it is set aside under another name, for
//! whoever wants to know what happened to the disk, and only the newest such file is kept.

use super::super::disk;
use super::super::entry::LogPos;
use super::super::error::OpenError;
use super::{ENDING, SnapshotFile, remove};
use std::fs;
use std::path::{Path, PathBuf};
use tracing::warn;

/// The ending of a snapshot that is damaged.
const DAMAGED: &str = "damaged";

/// Verified snapshots, oldest first.
pub(in crate::store) struct Found(Vec<SnapshotFile>);

impl Found {
    /// Verifies the snapshots in `dir`, sets aside what is damaged, and removes what was not finished.
    pub(in crate::store) fn look(dir: &Path) -> Result<Self, OpenError> {
        let (mut files, mut damaged) = (Vec::new(), Vec::new());
        for path in paths(dir)? {
            match path.extension().and_then(|ending| ending.to_str()) {
                Some(disk::PART) => fs::remove_file(&path).map_err(|error| OpenError::failed("remove", &path, error))?,
                Some(DAMAGED) => damaged.push(path),
                Some(ENDING) => match verified(&path) {
                    Some(file) => files.push(file),
                    None => damaged.extend(set_aside(&path)),
                },
                _ => {}
            }
        }
        damaged.sort();
        damaged.pop();
        damaged.iter().for_each(|path| remove(path));
        files.sort_by_key(|file| file.meta().index());
        Ok(Self(files))
    }

    /// The newest of them, if the log goes on from it.
    pub(in crate::store) fn newest(&self, purged: Option<LogPos>) -> Option<&SnapshotFile> {
        self.0.last().filter(|file| file.reaches(purged))
    }

    pub(super) fn into_files(self) -> Vec<SnapshotFile> {
        self.0
    }
}

fn paths(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let entries = fs::read_dir(dir).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    entries.map_err(|error| OpenError::failed("read", dir, error))
}

fn verified(path: &Path) -> Option<SnapshotFile> {
    let file = SnapshotFile::open(path).and_then(|file| file.verify().map(|()| file));
    file.inspect_err(|error| warn!(%error, "a snapshot is damaged and set aside")).ok()
}

/// Where the damaged file lies now; nowhere, when it cannot be renamed.
fn set_aside(path: &Path) -> Option<PathBuf> {
    let aside = path.with_extension(DAMAGED);
    match fs::rename(path, &aside) {
        Ok(()) => Some(aside),
        Err(error) => {
            warn!(%error, path = %path.display(), "cannot rename a damaged snapshot");
            None
        }
    }
}
