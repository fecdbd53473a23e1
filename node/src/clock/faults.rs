//! A wall clock that a test can set: cargo feature `faults` only, absent from release builds.

use super::BootTime;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Names the file that holds the offset of the wall clock: signed milliseconds.
const OFFSET_FILE: &str = "CURFEW_FAULT_WALL_OFFSET_FILE";
/// How long an offset is used before the file is read again, microseconds.
const OFFSET_LIFE_US: u64 = 10_000;

/// The offset that a test wants the wall clock to have.
#[derive(Debug)]
pub(super) struct WallOffset {
    file: Option<PathBuf>,
    ms: AtomicI64,
    read_at_us: AtomicU64,
}

impl WallOffset {
    /// Takes the file's name from the environment.
    pub(super) fn from_env() -> Self {
        Self { file: std::env::var_os(OFFSET_FILE).map(PathBuf::from), ms: AtomicI64::new(0), read_at_us: AtomicU64::new(0) }
    }

    /// The offset in force, milliseconds; a file that is missing or unreadable leaves the last one in force.
    pub(super) fn ms(&self, now: BootTime) -> i64 {
        let Some(file) = &self.file else { return 0 };
        let read_at = BootTime(self.read_at_us.load(Ordering::Relaxed));
        if now.us_since(read_at) >= OFFSET_LIFE_US {
            self.read_at_us.store(now.0, Ordering::Relaxed);
            if let Some(ms) = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) {
                self.ms.store(ms, Ordering::Relaxed);
            }
        }
        self.ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_follows_its_file_and_survives_its_loss() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("offset");
        let offset = WallOffset { file: Some(file.clone()), ms: AtomicI64::new(0), read_at_us: AtomicU64::new(0) };
        std::fs::write(&file, "-90000\n").unwrap();
        assert_eq!(offset.ms(BootTime(50_000)), -90_000);
        std::fs::write(&file, "5").unwrap();
        assert_eq!(offset.ms(BootTime(59_999)), -90_000, "read again before its time");
        assert_eq!(offset.ms(BootTime(60_000)), 5);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(offset.ms(BootTime(90_000)), 5);
    }
}
