//! Room on the disk: how much is left, and a ballast that is thrown overboard when there is none.
//!
//! sled cannot even open on a full disk. The ballast is a file that holds room which can be given back, so that a node with a full disk can
//! start, and can still write what ends sessions.

use super::disk;
use super::health::Health;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tracing::{info, warn};

/// The ballast and the file system that it lies on.
pub(super) struct Space {
    dir: PathBuf,
    ballast_bytes: u64,
    floor_bytes: u64,
}

impl Space {
    pub(super) fn new(dir: &Path, ballast_bytes: u64, floor_bytes: u64) -> Self {
        Self { dir: dir.to_owned(), ballast_bytes, floor_bytes }
    }

    /// Looks at the disk, tells `health`, and gives or takes the ballast. Before the databases are opened, and then twice a second.
    pub(super) fn look(&self, health: &Health) {
        let free = match free_bytes(&self.dir) {
            Ok(free) => free,
            Err(error) => {
                warn!(%error, "cannot learn how much room the disk has");
                return;
            }
        };
        health.set_free_space(free);
        let ballast = self.dir.join("ballast");
        if self.ballast_bytes == 0 {
            return;
        }
        let held = ballast.exists();
        if held && free < self.ballast_bytes {
            match fs::remove_file(&ballast) {
                Ok(()) => warn!(free_bytes = free, ballast_bytes = self.ballast_bytes, "the disk is full: ballast released"),
                Err(error) => warn!(%error, "the disk is full, and the ballast cannot be released"),
            }
        } else if !held && free > self.floor_bytes.saturating_add(self.ballast_bytes.saturating_mul(2)) {
            match allocate(&ballast, self.ballast_bytes) {
                Ok(()) => info!(ballast_bytes = self.ballast_bytes, "ballast taken"),
                Err(error) => warn!(%error, "cannot take ballast"),
            }
        }
    }
}

/// Bytes that the file system of `dir` still gives to an ordinary process.
fn free_bytes(dir: &Path) -> io::Result<u64> {
    let fs = rustix::fs::statvfs(dir)?;
    Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// A file of `len` bytes that really occupies them; nothing stays behind when there is no room.
fn allocate(path: &Path, len: u64) -> io::Result<()> {
    let file = disk::private().create(true).truncate(true).open(path)?;
    let filled = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len)
        .map_err(io::Error::from)
        .or_else(|_| fill(&file, len))
        .and_then(|()| file.sync_all());
    filled.inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

/// Writes zeros, where the file system cannot preallocate.
fn fill(mut file: &File, len: u64) -> io::Result<()> {
    let zeros = [0; 64 * 1024];
    let mut left = len;
    while left > 0 {
        let piece = left.min(zeros.len() as u64);
        file.write_all(&zeros[..usize::try_from(piece).unwrap_or(zeros.len())])?;
        left -= piece;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_is_taken_while_there_is_room_and_released_when_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = dir.path().join("ballast");
        let health = Health::new(0);
        Space::new(dir.path(), 1 << 20, 0).look(&health);
        assert_eq!(fs::metadata(&ballast).unwrap().len(), 1 << 20);
        let free = health.free_space();
        assert!(free > 0 && free < u64::MAX);
        // The same disk, seen by one that would need more than there is.
        Space::new(dir.path(), u64::MAX, 0).look(&health);
        assert!(!ballast.exists());
        Space::new(dir.path(), 1 << 20, u64::MAX).look(&health);
        assert!(!ballast.exists(), "ballast was taken below the floor");
    }

    #[test]
    fn below_the_floor_the_store_is_not_writable() {
        let health = Health::new(1000);
        assert!(health.writable());
        health.set_free_space(999);
        assert!(!health.writable());
    }

    #[test]
    fn zeros_fill_where_nothing_preallocates() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zeros");
        fill(&File::create(&path).unwrap(), 100_000).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 100_000);
    }
}
