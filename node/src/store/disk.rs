//! Files and directories made durable, in the one order that survives a power cut: write, sync, rename, sync the directory.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The ending of a file that is not finished yet.
pub(super) const PART: &str = "part";

/// Makes what was written to a database's file durable. There is one real answer; tests put one in its place that waits, counts or fails.
pub(crate) trait Syncer: Send + Sync + 'static {
    /// Returns once the bytes of `file`, which lies at `path`, are on stable storage.
    fn sync(&self, path: &Path, file: &File) -> io::Result<()>;
}

/// `fdatasync`: the file's bytes, its length, and the drive's cache.
pub(crate) struct RealSync;

impl Syncer for RealSync {
    fn sync(&self, _path: &Path, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

/// Puts `bytes` in the place of the file at `path`: whoever reads it, after whatever crash, finds the old bytes or the new ones.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = part_of(path);
    write_synced(&part, bytes)?;
    rename(&part, path)
}

/// Writes a file and syncs it, without a name that anybody trusts yet.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private().create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// How every file here is made: to be read and written, by its owner only.
pub(super) fn private() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    options
}

/// Closes what lies at `path`, and all below it, to everybody but its owner. What is not there, or goes meanwhile, is private enough.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    match close(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        closed => closed,
    }
}

fn close(path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return Ok(());
    }
    let mode = meta.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(mode & 0o700))?;
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            make_private(&entry?.path())?;
        }
    }
    Ok(())
}

/// Gives a synced file its name, and makes the name durable.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_parent(to)
}

/// Where the bytes for `path` are written first.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().map(OsString::from).unwrap_or_default();
    name.push(".");
    name.push(PART);
    path.with_file_name(name)
}

/// Makes the names inside a directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the name of `path` durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marker");
        replace(&path, b"old, and longer").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(part_of(&path), dir.path().join("marker.part"));
    }
}
