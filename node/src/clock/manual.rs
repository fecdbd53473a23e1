//! A clock that stands still until it is moved by hand, for tests that are about time.

use super::BootTime;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The boot clock shows this when a manual clock is made: not zero, so that code which takes zero for "never" is caught.
const BOOT_AT_FIRST: BootTime = BootTime(1_000_000_000);
/// The wall shows this when a manual clock is made: 2026-01-01T10:00:00Z.
const WALL_MS_AT_FIRST: i64 = 1_767_261_600_000;

/// The hands of a [`Clock`](super::Clock) made by [`Clock::manual`](super::Clock::manual). Clones move the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    boot_us: AtomicU64,
    wall_ms: AtomicI64,
}

impl ManualClock {
    pub(super) fn new() -> Self {
        Self(Arc::new(Hands { boot_us: AtomicU64::new(BOOT_AT_FIRST.0), wall_ms: AtomicI64::new(WALL_MS_AT_FIRST) }))
    }

    /// Lets `ms` milliseconds pass: both the boot clock and the wall advance.
    pub fn advance_ms(&self, ms: u64) {
        self.0.boot_us.fetch_add(ms.saturating_mul(1000), Ordering::SeqCst);
        self.step_wall_ms(i64::try_from(ms).unwrap_or(i64::MAX));
    }

    /// Sets the wall forward or back by `ms` milliseconds while no time passes.
    pub fn step_wall_ms(&self, ms: i64) {
        self.0.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(super) fn boot(&self) -> BootTime {
        BootTime(self.0.boot_us.load(Ordering::SeqCst))
    }

    pub(super) fn wall_ms(&self) -> u64 {
        u64::try_from(self.0.wall_ms.load(Ordering::SeqCst)).unwrap_or(0)
    }
}
