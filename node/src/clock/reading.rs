//! The clock as the other rooms hold it.

use super::{BootTime, ManualClock, system};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// By how much more than the boot clock the wall may advance between two readings before it counts as a jump, milliseconds.
pub const JUMP_MS: u64 = 100;

/// How far apart the two boot readings around a wall reading may be, microseconds; beyond, the thread was interrupted between them.
const TOGETHER_US: u64 = 1_000;
/// How often a reading that was interrupted is tried again.
const READING_TRIES: usize = 4;

/// What a clock shows at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The boot clock.
    pub boot: BootTime,
    /// The raw wall clock, milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// How many jumps have been seen so far; a freshness earned under another number is lost.
    pub jumps: u64,
}

/// The time of this machine. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    /// The wall minus the boot clock at the last reading, microseconds; `NEVER_READ` before the first.
    ahead_us: AtomicI64,
    jumps: AtomicU64,
}

const NEVER_READ: i64 = i64::MAX;

#[derive(Debug)]
enum Source {
    #[cfg(not(feature = "faults"))]
    System,
    #[cfg(feature = "faults")]
    System(super::faults::WallOffset),
    Manual(ManualClock),
}

impl Clock {
    /// The clock of the operating system.
    #[must_use]
    pub fn system() -> Self {
        #[cfg(not(feature = "faults"))]
        let source = Source::System;
        #[cfg(feature = "faults")]
        let source = Source::System(super::faults::WallOffset::from_env());
        Self::over(source)
    }

    /// A clock that only moves when its hands are moved, for tests.
    #[must_use]
    pub fn manual() -> (Self, ManualClock) {
        let hands = ManualClock::new();
        (Self::over(Source::Manual(hands.clone())), hands)
    }

    fn over(source: Source) -> Self {
        Self(Arc::new(Inner { source, ahead_us: AtomicI64::new(NEVER_READ), jumps: AtomicU64::new(0) }))
    }

    /// The boot clock: for measuring how long something takes.
    #[must_use]
    pub fn boot(&self) -> BootTime {
        self.0.source.boot()
    }

    /// The raw wall clock, milliseconds since the Unix epoch; 0 for anything before it. Nothing is decided by it: see `ClusterClock`.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        self.0.source.wall_ms()
    }

    /// How many jumps of the wall have been seen, this moment included.
    #[must_use]
    pub fn jumps(&self) -> u64 {
        self.reading().jumps
    }

    /// Both clocks at one moment. When the wall has advanced over [`JUMP_MS`] more than the boot clock since the last reading, as after the
    /// pause of a virtual machine, `jumps` has risen.
    #[must_use]
    pub fn reading(&self) -> Reading {
        let (boot, wall_ms) = self.0.source.both();
        let ahead_us = signed(wall_ms.saturating_mul(1000)) - signed(boot.0);
        // One atomic, not a lock: of two threads that read at once each compares with what the other saw, and a jump is still seen by one.
        let before = self.0.ahead_us.swap(ahead_us, Ordering::SeqCst);
        if before != NEVER_READ && ahead_us.saturating_sub(before) > signed(JUMP_MS * 1000) {
            self.0.jumps.fetch_add(1, Ordering::SeqCst);
        }
        Reading { boot, wall_ms, jumps: self.0.jumps.load(Ordering::SeqCst) }
    }
}

impl Source {
    fn boot(&self) -> BootTime {
        match self {
            Self::Manual(hands) => hands.boot(),
            _ => system::boot(),
        }
    }

    fn wall_ms(&self) -> u64 {
        match self {
            Self::Manual(hands) => hands.wall_ms(),
            #[cfg(not(feature = "faults"))]
            Self::System => system::wall_ms(),
            #[cfg(feature = "faults")]
            Self::System(offset) => system::wall_ms().saturating_add_signed(offset.ms(system::boot())),
        }
    }

    /// Both clocks, read so close to each other that a thread put aside between the two does not look like a jump.
    fn both(&self) -> (BootTime, u64) {
        let mut before = self.boot();
        for _ in 1..READING_TRIES {
            let wall_ms = self.wall_ms();
            let after = self.boot();
            if after.us_since(before) <= TOGETHER_US {
                return (after, wall_ms);
            }
            before = after;
        }
        let wall_ms = self.wall_ms();
        (self.boot(), wall_ms)
    }
}

/// Microseconds fit: the largest that a clock can show is far below `i64::MAX`, and a value beyond is taken for it.
fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_that_runs_with_the_boot_clock_does_not_jump() {
        let (clock, hands) = Clock::manual();
        let first = clock.reading();
        hands.advance_ms(3 * 3_600_000);
        let second = clock.reading();
        assert_eq!(second.jumps, first.jumps);
        assert_eq!(second.boot.ms_since(first.boot), 3 * 3_600_000);
        assert_eq!(second.wall_ms - first.wall_ms, 3 * 3_600_000);
    }

    #[test]
    fn a_paused_machine_is_noticed_once() {
        let (clock, hands) = Clock::manual();
        let before = clock.jumps();
        hands.step_wall_ms(100);
        assert_eq!(clock.jumps(), before, "100 ms are within the bound");
        hands.step_wall_ms(101);
        assert_eq!(clock.clone().jumps(), before + 1, "clones are the same clock");
        assert_eq!(clock.jumps(), before + 1);
    }

    #[test]
    fn a_step_back_is_no_jump_but_the_way_forward_is() {
        let (clock, hands) = Clock::manual();
        let before = clock.jumps();
        hands.step_wall_ms(-60_000);
        assert_eq!(clock.jumps(), before);
        hands.step_wall_ms(60_000);
        assert_eq!(clock.jumps(), before + 1);
    }

    #[test]
    fn the_system_clock_moves_forward_and_shows_a_year_of_this_century() {
        let clock = Clock::system();
        let first = clock.reading();
        let second = clock.reading();
        assert!(second.boot >= first.boot);
        assert!(first.wall_ms > 1_700_000_000_000);
        assert_eq!(clock.jumps(), 0);
    }

    #[test]
    fn a_wall_before_the_epoch_shows_zero() {
        let (clock, hands) = Clock::manual();
        hands.step_wall_ms(-9_000_000_000_000);
        assert_eq!(clock.reading().wall_ms, 0);
    }
}
