//! How much the state holds and one entry may do; each bound with its answer.

/// The most factors of one session; one more is refused as above the cap.
pub const FACTORS_MAX: usize = 16;
/// The most touches that one entry may carry; what comes after them is ignored, and the sessions are seen again a second later.
pub const TOUCHES_MAX: usize = 10_000;
/// The most sessions that one start may evict; the rest go with the starts that follow.
pub const EVICTIONS_MAX: usize = 100;
/// Up to so many active sessions of one user are counted one by one; beyond, those past an unrecorded deadline are counted as active.
pub const COUNTED_EXACTLY_MAX: u64 = 1_000;
/// The most revocation entries that are retained; beyond, what would need one is refused as overloaded: forgetting one early would be unsafe.
pub const REVOCATIONS_MAX: usize = 2_000_000;
/// The most retired node ids; beyond, retiring is refused as overloaded.
pub const RETIRED_NODES_MAX: usize = 10_000;
/// No ended session is forgotten sooner than this after its end, milliseconds, however full the state is.
pub const TOMBSTONE_LIFE_MIN_MS: u64 = 60_000;

/// How many outcomes that nobody may ask for any more are forgotten with each entry: more than an entry can add, so that they never pile up.
pub(super) const FORGOTTEN_PER_ENTRY: usize = 4;
/// How many tombstones a start may drop to make room for its session.
pub(super) const TOMBSTONES_DROPPED_PER_START: usize = 2;
/// How far ahead of the entry's time a command's drawing time is believed, milliseconds, when it is decided how long to remember it.
pub(super) const DRAWN_AHEAD_MAX_MS: u64 = 60_000;
