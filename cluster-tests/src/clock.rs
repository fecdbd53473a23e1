//! The one clock of the recorded history: `CLOCK_MONOTONIC`, microseconds, the same for every thread of this machine.

use std::time::Duration;

/// Microseconds of `CLOCK_MONOTONIC`.
#[must_use]
pub fn now_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).expect("the monotonic clock is never negative");
    let nanoseconds = u64::try_from(now.tv_nsec).expect("the monotonic clock is never negative");
    seconds * 1_000_000 + nanoseconds / 1_000
}

/// Lets other threads run between two looks at a fact. Only the harness calls this; a story waits for facts.
pub(crate) fn park(time: Duration) {
    let until = now_us() + u64::try_from(time.as_micros()).expect("parks are short");
    loop {
        let now = now_us();
        if now >= until {
            return;
        }
        std::thread::park_timeout(Duration::from_micros(until - now));
    }
}
