//! Moments of cluster time.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment of cluster time: milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Moment(pub u64);

/// The last moment that can be written (9999-12-30T22:00:00.000Z: `jiff` leaves room for every offset); every later one is taken for it.
const LAST_MS: u64 = 253_402_207_200_000;

impl Moment {
    /// This moment and `ms` milliseconds more, at most the last moment that can be written.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms).min(LAST_MS))
    }

    /// Milliseconds from `earlier` until this moment; 0 when `earlier` is later.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds since the epoch, rounded down, as JWT claims count.
    #[must_use]
    pub fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Reads RFC 3339; an offset is converted to UTC, fractions are cut to milliseconds. `None` for anything else and before 1970.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(stamp.as_millisecond()).ok().map(Self)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = i64::try_from(self.0.min(LAST_MS)).expect("bounded by the last moment");
        let stamp = jiff::Timestamp::from_millisecond(ms).expect("bounded by the last moment");
        write!(f, "{stamp:.3}")
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc3339_with_milliseconds() {
        let moment = Moment(1_767_261_600_000);
        assert_eq!(moment.to_string(), "2026-01-01T10:00:00.000Z");
        assert_eq!(Moment::from_rfc3339("2026-01-01T12:00:00.000+02:00"), Some(moment));
        assert_eq!(Moment::from_rfc3339(&Moment(u64::MAX).to_string()), Some(Moment(LAST_MS)));
        for wrong in ["", "2026-01-01", "1969-12-31T23:59:59Z", "yesterday"] {
            assert_eq!(Moment::from_rfc3339(wrong), None, "{wrong:?}");
        }
    }
}
