//! Moments that only this machine understands, for measuring how long something took.

/// How far a clock's rate may be from the truth, in parts per million: the one assumption behind every bound that two clocks share.
pub const DRIFT_PPM: u64 = 500;

/// Microseconds of `CLOCK_BOOTTIME` (macOS, for development: the monotonic clock). It counts the time that the machine was suspended,
/// nobody can set it, and it means nothing on another machine or after a restart of this one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BootTime(pub u64);

impl BootTime {
    /// This moment and `ms` milliseconds more; saturates.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    /// Microseconds from `earlier` until this moment; 0 when `earlier` is later.
    #[must_use]
    pub fn us_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole milliseconds from `earlier` until this moment, rounded down; 0 when `earlier` is later.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.us_since(earlier) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_zero_away() {
        let then = BootTime(5_000_000);
        assert_eq!(then.plus_ms(1500).ms_since(then), 1500);
        assert_eq!(then.plus_ms(1500).us_since(then), 1_500_000);
        assert_eq!(then.ms_since(then.plus_ms(1)), 0);
        assert_eq!(then.plus_ms(u64::MAX), BootTime(u64::MAX));
    }
}
