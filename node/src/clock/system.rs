//! The clocks of the operating system, read.

use super::BootTime;
use rustix::time::{ClockId, Timespec, clock_gettime};

#[cfg(target_os = "linux")]
const BOOT: ClockId = ClockId::Boottime;
// macOS, for development only. Its `CLOCK_MONOTONIC` counts suspended time, as `CLOCK_MONOTONIC_RAW` does, which rustix does not offer there.
#[cfg(not(target_os = "linux"))]
const BOOT: ClockId = ClockId::Monotonic;

/// The boot clock.
pub(super) fn boot() -> BootTime {
    BootTime(micros(clock_gettime(BOOT)))
}

/// The wall clock, milliseconds since the Unix epoch; 0 for anything before it.
pub(super) fn wall_ms() -> u64 {
    micros(clock_gettime(ClockId::Realtime)) / 1000
}

fn micros(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000)
}
