//! The fence of `protocol.md` G5: which wall readings are followed. Pure: readings in, a fenced wall out.

use super::BootTime;

/// A reading that is further than this from the last one plus elapsed time is a step, and is not followed; milliseconds.
pub const STEP_MS: u64 = 5_000;
/// A wall that is more than this past the end of the log at start is not believed; milliseconds (30 days).
pub const MAX_OUTAGE_MS: u64 = 30 * 24 * 3_600_000;

/// The wall clock as far as it is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fence {
    at: BootTime,
    wall_ms: u64,
    real_ms: u64,
}

/// What a reading, or the word of the other members, did to the fence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// Nothing that is worth saying.
    None,
    /// The real wall left the fenced one, by so many milliseconds (forward is positive).
    Stepped(i64),
    /// The real wall is followed again.
    Rejoined,
}

impl Fence {
    /// Believes the first reading.
    pub(super) fn new(at: BootTime, real_ms: u64) -> Self {
        Self { at, wall_ms: real_ms, real_ms }
    }

    /// Takes a reading: follows it when it agrees with the last one plus elapsed time, else goes on by elapsed time alone.
    pub(super) fn read(&mut self, at: BootTime, real_ms: u64) -> Change {
        let was_stepped = self.stepped();
        let at = at.max(self.at);
        // What is left of a millisecond stays with `at`, or frequent readings would lose all of them and the fenced wall would stand still.
        let elapsed_ms = at.ms_since(self.at);
        let expected_ms = self.wall_ms.saturating_add(elapsed_ms);
        self.real_ms = real_ms;
        if expected_ms.abs_diff(real_ms) <= STEP_MS {
            (self.at, self.wall_ms) = (at, real_ms);
        } else {
            (self.at, self.wall_ms) = (self.at.plus_ms(elapsed_ms), expected_ms);
        }
        self.change_from(was_stepped)
    }

    /// Takes the word of the members: their walls minus the own raw one, milliseconds, the own 0 included. When the lower median of at least
    /// two agrees with the real wall, that is followed again.
    pub(super) fn ask(&mut self, offsets_ms: &[i64]) -> Change {
        let was_stepped = self.stepped();
        if lower_median(offsets_ms).is_some_and(|median| median.unsigned_abs() <= STEP_MS) {
            self.wall_ms = self.real_ms;
        }
        self.change_from(was_stepped)
    }

    /// Disbelieves the wall that was read at start: goes on from `wall_ms`.
    pub(super) fn distrust(&mut self, wall_ms: u64) -> Change {
        let was_stepped = self.stepped();
        self.wall_ms = wall_ms;
        self.change_from(was_stepped)
    }

    /// The fenced wall at the last reading, milliseconds since the Unix epoch.
    pub(super) fn wall_ms(&self) -> u64 {
        self.wall_ms
    }

    /// Whether the real wall is not followed.
    pub(super) fn stepped(&self) -> bool {
        self.wall_ms.abs_diff(self.real_ms) > STEP_MS
    }

    fn change_from(&self, was_stepped: bool) -> Change {
        match (was_stepped, self.stepped()) {
            (false, true) => Change::Stepped(signed_diff(self.real_ms, self.wall_ms)),
            (true, false) => Change::Rejoined,
            _ => Change::None,
        }
    }
}

/// `a - b`, saturating.
pub(super) fn signed_diff(a: u64, b: u64) -> i64 {
    let magnitude = i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX);
    if a >= b { magnitude } else { -magnitude }
}

/// One clock alone vouches for nothing, so fewer than two give no median.
fn lower_median(values: &[i64]) -> Option<i64> {
    if values.len() < 2 {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() - 1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: BootTime = BootTime(7_000_000);
    const WALL: u64 = 1_767_261_600_000;

    #[test]
    fn a_wall_that_is_slewed_is_followed() {
        let mut fence = Fence::new(START, WALL);
        assert_eq!(fence.read(START.plus_ms(1_000), WALL + 5_900), Change::None);
        assert_eq!(fence.wall_ms(), WALL + 5_900);
        assert_eq!(fence.read(START.plus_ms(2_000), WALL + 1_900), Change::None);
        assert_eq!(fence.wall_ms(), WALL + 1_900);
    }

    #[test]
    fn a_step_is_not_followed_and_a_return_is() {
        let ten_years = 315_000_000_000;
        let mut fence = Fence::new(START, WALL);
        assert_eq!(fence.read(START.plus_ms(1_000), WALL + ten_years), Change::Stepped(i64::try_from(ten_years).unwrap() - 1_000));
        assert_eq!(fence.read(START.plus_ms(2_000), WALL + ten_years + 1_000), Change::None, "a step is said once");
        assert_eq!(fence.wall_ms(), WALL + 2_000);
        assert_eq!(fence.read(START.plus_ms(3_000), WALL + 3_000), Change::Rejoined);
        assert!(!fence.stepped());
    }

    #[test]
    fn a_step_is_accepted_when_the_lower_median_of_the_members_has_made_it_too() {
        let stepped = || {
            let mut fence = Fence::new(START, WALL);
            fence.read(START, WALL + 3_600_000);
            fence
        };
        for (offsets, accepted) in [
            (&[0, 0, 0][..], true),
            (&[0, 200, -3_600_000], true),
            (&[0, -3_600_000, -3_600_000], false),
            (&[0, -3_600_000], false),
            (&[0], false),
            (&[], false),
        ] {
            let mut fence = stepped();
            fence.ask(offsets);
            assert_eq!(!fence.stepped(), accepted, "{offsets:?}");
            assert_eq!(fence.wall_ms(), if accepted { WALL + 3_600_000 } else { WALL });
        }
    }

    proptest! {
        /// Whatever the wall does, the fenced wall never leaves the path of elapsed time by more than what single agreeing readings allow.
        #[test]
        fn a_fenced_wall_never_steps(readings in prop::collection::vec((0u64..20_000_000, 0u64..4_000_000_000_000), 1..60)) {
            let mut fence = Fence::new(START, WALL);
            let mut now = START;
            for (pause_us, real_ms) in readings {
                let before = fence.wall_ms();
                let elapsed_ms = pause_us / 1000 + 1;
                now = BootTime(now.0 + pause_us);
                fence.read(now, real_ms);
                let moved = signed_diff(fence.wall_ms(), before);
                prop_assert!(moved >= -i64::try_from(STEP_MS).unwrap());
                prop_assert!(moved <= i64::try_from(elapsed_ms + STEP_MS).unwrap());
            }
        }

        /// While it is not followed, the fenced wall runs exactly with the boot clock, however finely it is read.
        #[test]
        fn elapsed_time_is_not_lost_between_readings(pauses_us in prop::collection::vec(0u64..3_000, 1..400)) {
            let mut fence = Fence::new(START, WALL);
            let mut now = START;
            for pause_us in pauses_us {
                now = BootTime(now.0 + pause_us);
                fence.read(now, 0);
            }
            prop_assert_eq!(fence.wall_ms(), WALL + now.ms_since(START));
        }
    }
}
