//! Cluster time: what expiry is judged by and what entries are stamped with.

use super::fence::{Change, Fence, MAX_OUTAGE_MS, STEP_MS, signed_diff};
use super::{BootTime, Clock, Reading};
use crate::domain::Moment;
use std::sync::{Arc, Mutex, MutexGuard};
use tracing::{info, warn};

/// The clock of the cluster, as this node knows it (`protocol.md` G5). Clones are the same clock.
///
/// It is the largest of the fenced wall, the time of the last applied entry plus what has elapsed since, and the time that a leader told plus
/// what has elapsed since. It never goes backwards while the process lives, whatever the wall clock does, and it never stops.
///
/// A stated limit: where no other member vouches for it, a step of the wall by more than 5 s is only accepted at the next start.
#[derive(Clone, Debug)]
pub struct ClusterClock {
    clock: Clock,
    face: Arc<Mutex<Face>>,
}

#[derive(Debug)]
struct Face {
    fence: Fence,
    /// What is committed, or was told by a leader, and when that was learnt.
    known: Known,
    /// What a leader told last, taken or not: it bounds what this node may vouch for.
    told: Known,
    /// The latest answer of `now`.
    shown: Moment,
    /// Whether the wall of the start has been held against the end of the log. A time that was shown already cannot be taken back, so a node
    /// that joins, and applies a log from its beginning, keeps its wall.
    judged: bool,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    moment: Moment,
    at: BootTime,
}

impl Known {
    fn at(self, boot: BootTime) -> Moment {
        self.moment.plus_ms(boot.ms_since(self.at))
    }

    fn raise(&mut self, moment: Moment, boot: BootTime) {
        if moment > self.at(boot) {
            *self = Self { moment, at: boot };
        }
    }
}

impl ClusterClock {
    /// Starts from the wall as it is now. On a store that holds entries, call [`Self::applied`] with the time of the last one before the
    /// first [`Self::now`]: then a wall that is far past it is not believed.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let reading = clock.reading();
        let fence = Fence::new(reading.boot, reading.wall_ms);
        let known = Known { moment: Moment(0), at: reading.boot };
        Self { clock, face: Arc::new(Mutex::new(Face { fence, known, told: known, shown: Moment(0), judged: false })) }
    }

    /// The time of the cluster.
    #[must_use]
    pub fn now(&self) -> Moment {
        let (mut face, Reading { boot, .. }) = self.read();
        face.now(boot)
    }

    /// Notes the time of the last applied entry; the state machine says it after each batch. An entry is committed, so it is always believed.
    pub fn applied(&self, last_at: Moment) {
        let (mut face, Reading { boot, .. }) = self.read();
        if last_at > Moment(0) && !std::mem::replace(&mut face.judged, true) && face.shown == Moment(0) {
            face.judge_the_start(last_at);
        }
        face.learn(last_at, boot);
    }

    /// Notes the leader's time, from a read-index answer. A time more than 5 s ahead of the own one is not taken: nothing has committed it.
    pub fn adopt(&self, leader_now: Moment) {
        let (mut face, Reading { boot, .. }) = self.read();
        face.told.raise(leader_now, boot);
        if leader_now.ms_since(face.now(boot)) <= STEP_MS {
            face.learn(leader_now, boot);
        }
    }

    /// The time of the cluster, but at most 5 s past what is committed or what a leader has told: what others stand behind too.
    ///
    /// What must not outlive the memory of a revocation is counted from this, as the life of a JWT is: a node whose wall was an hour ahead when
    /// it started believes it, and would make JWTs that are good an hour after the last that anybody expects.
    #[must_use]
    pub fn vouched(&self) -> Moment {
        let (mut face, Reading { boot, .. }) = self.read();
        let now = face.now(boot);
        match face.known.at(boot).max(face.told.at(boot)) {
            _ if face.known.moment.max(face.told.moment) == Moment(0) => now,
            vouched => now.min(vouched.plus_ms(STEP_MS)),
        }
    }

    /// Hears the wall clocks of the members: each minus the own raw wall as it was at `taken`, milliseconds, the own 0 included, none older than
    /// a second. A step is accepted when their lower median agrees with the new wall. One reading alone vouches for nothing.
    ///
    /// What the own wall did since `taken` is added to what the others said: offsets to the wall before a step do not vouch for the step.
    pub fn members(&self, taken: Reading, offsets_ms: &[i64]) {
        let (mut face, now) = self.read();
        let elapsed_ms = i64::try_from(now.boot.ms_since(taken.boot)).unwrap_or(i64::MAX);
        let stepped_ms = signed_diff(now.wall_ms, taken.wall_ms).saturating_sub(elapsed_ms);
        let change = face.fence.ask(&offsets_ms.iter().map(|offset| offset.saturating_sub(stepped_ms)).collect::<Vec<_>>());
        say(change);
    }

    /// Whether the real wall is more than 5 s from the fenced one: `clock_stepped`.
    #[must_use]
    pub fn stepped(&self) -> bool {
        let (face, _) = self.read();
        face.fence.stepped()
    }

    /// How far the raw wall clock of this machine is ahead of cluster time, milliseconds; negative when it is behind.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        let (mut face, Reading { boot, .. }) = self.read();
        let now = face.now(boot);
        signed_diff(self.clock.wall_ms(), now.0)
    }

    /// Takes a reading into the fence. The reading is taken under the lock, so that readings enter in their order.
    fn read(&self) -> (MutexGuard<'_, Face>, Reading) {
        let mut face = self.face.lock().expect("nothing panics while it holds the clock's face");
        let reading = self.clock.reading();
        say(face.fence.read(reading.boot, reading.wall_ms));
        (face, reading)
    }
}

impl Face {
    fn now(&mut self, boot: BootTime) -> Moment {
        let fenced = Moment(0).plus_ms(self.fence.wall_ms());
        self.shown = self.shown.max(fenced).max(self.known.at(boot));
        self.shown
    }

    fn learn(&mut self, moment: Moment, boot: BootTime) {
        self.known.raise(moment, boot);
    }

    fn judge_the_start(&mut self, last_at: Moment) {
        let wall_ms = self.fence.wall_ms();
        if wall_ms.saturating_sub(last_at.0) > MAX_OUTAGE_MS {
            warn!(last_entry = %last_at, wall = %Moment(wall_ms), "wall clock is over 30 days past the last entry and is not believed, time goes on from the entry");
            self.fence.distrust(last_at.0);
        } else if last_at.0.saturating_sub(wall_ms) > STEP_MS {
            warn!(last_entry = %last_at, wall = %Moment(wall_ms), "wall clock is behind the last entry, time goes on from the entry");
        }
    }
}

fn say(change: Change) {
    match change {
        Change::None => {}
        Change::Stepped(step_ms) => warn!(step_ms, "wall clock stepped and is not followed"),
        Change::Rejoined => info!("wall clock is followed again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use proptest::prelude::*;

    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: u64 = 86_400_000;

    fn cluster_clock() -> (ClusterClock, ManualClock, Moment) {
        let (clock, hands) = Clock::manual();
        let start = Moment(clock.wall_ms());
        (ClusterClock::new(clock), hands, start)
    }

    #[test]
    fn it_follows_a_sound_wall() {
        let (clock, hands, start) = cluster_clock();
        assert_eq!(clock.now(), start);
        hands.advance_ms(90_000);
        assert_eq!(clock.now(), start.plus_ms(90_000));
        assert_eq!((clock.stepped(), clock.offset_ms()), (false, 0));
    }

    #[test]
    fn a_jump_to_another_decade_is_not_followed() {
        let (clock, hands, start) = cluster_clock();
        hands.step_wall_ms(10 * 365 * 24 * HOUR_MS);
        hands.advance_ms(1_000);
        assert_eq!(clock.now(), start.plus_ms(1_000));
        assert!(clock.stepped());
        assert_eq!(clock.offset_ms(), 10 * 365 * 24 * HOUR_MS);
    }

    #[test]
    fn a_step_back_neither_stops_nor_reverses_time() {
        let (clock, hands, start) = cluster_clock();
        hands.step_wall_ms(-HOUR_MS);
        hands.advance_ms(1_000);
        assert_eq!(clock.now(), start.plus_ms(1_000));
        assert!(clock.stepped());
        clock.members(clock.clock.reading(), &[0, 0, 12]);
        assert!(!clock.stepped(), "the others agree with the new wall");
        assert_eq!(clock.now(), start.plus_ms(1_000), "time stands rather than go back");
    }

    #[test]
    fn offsets_to_the_wall_before_a_step_do_not_vouch_for_the_step() {
        let (clock, hands, start) = cluster_clock();
        let before = clock.clock.reading();
        hands.step_wall_ms(10 * 365 * 24 * HOUR_MS);
        clock.members(before, &[0, 0, 12]);
        assert!(clock.stepped());
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn a_laptop_that_slept_for_three_hours_is_three_hours_later() {
        let (clock, hands, start) = cluster_clock();
        hands.advance_ms(3 * 3_600_000);
        assert_eq!(clock.now(), start.plus_ms(3 * 3_600_000));
        assert!(!clock.stepped());
    }

    #[test]
    fn committed_time_is_believed_and_goes_on() {
        let (clock, hands, start) = cluster_clock();
        clock.applied(start.plus_ms(DAY_MS));
        assert_eq!(clock.now(), start.plus_ms(DAY_MS));
        hands.advance_ms(5_000);
        assert_eq!(clock.now(), start.plus_ms(DAY_MS + 5_000));
        assert!(clock.offset_ms() < 0, "the wall is behind, and that is said");
        clock.applied(start.plus_ms(7));
        assert_eq!(clock.now(), start.plus_ms(DAY_MS + 5_000), "an entry with an earlier time changes nothing");
    }

    #[test]
    fn a_leader_is_followed_for_five_seconds_and_no_further() {
        let (clock, _, start) = cluster_clock();
        clock.adopt(start.plus_ms(5_001));
        assert_eq!(clock.now(), start);
        clock.adopt(start.plus_ms(5_000));
        assert_eq!(clock.now(), start.plus_ms(5_000));
    }

    #[test]
    fn g5_a_wall_that_was_an_hour_ahead_at_start_is_vouched_for_by_nobody() {
        let (clock, hands, start) = cluster_clock();
        assert_eq!(clock.vouched(), start, "nothing else is known yet");
        let leader = Moment(start.0 - 3_600_000);
        clock.adopt(leader);
        hands.advance_ms(2_000);
        assert_eq!((clock.now(), clock.vouched()), (start.plus_ms(2_000), leader.plus_ms(2_000 + STEP_MS)));
        clock.applied(start.plus_ms(1_000));
        assert_eq!(clock.vouched(), clock.now(), "what is committed is the time");
        let (slow, _, start) = cluster_clock();
        slow.applied(Moment(start.0 - DAY_MS));
        slow.adopt(start.plus_ms(6_000));
        assert_eq!(slow.vouched(), start, "a leader far ahead is not followed, but the own wall is within its word");
    }

    #[test]
    fn a_wall_of_another_month_is_not_believed_at_start() {
        let (clock, hands, start) = cluster_clock();
        let last_at = Moment(start.0 - 31 * DAY_MS);
        clock.applied(last_at);
        hands.advance_ms(2_000);
        assert_eq!(clock.now(), last_at.plus_ms(2_000));
        assert!(clock.stepped());
        clock.members(clock.clock.reading(), &[0]);
        assert!(clock.stepped(), "one clock alone vouches for nothing");
        clock.members(clock.clock.reading(), &[0, -3]);
        assert_eq!(clock.now(), start.plus_ms(2_000));
    }

    #[test]
    fn a_node_that_joins_keeps_its_wall_while_it_applies_old_entries() {
        let (clock, hands, start) = cluster_clock();
        assert_eq!(clock.now(), start);
        clock.applied(Moment(start.0 - 60 * DAY_MS));
        hands.advance_ms(10);
        assert_eq!(clock.now(), start.plus_ms(10));
        assert!(!clock.stepped());
    }

    #[test]
    fn an_outage_of_a_week_is_believed_at_start() {
        let (clock, _, start) = cluster_clock();
        clock.applied(Moment(start.0 - 7 * DAY_MS));
        assert_eq!(clock.now(), start);
        assert!(!clock.stepped());
    }

    #[derive(Clone, Debug)]
    enum Act {
        Advance(u64),
        Step(i64),
        Applied(i64),
        Adopt(i64),
        Members(Vec<i64>),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0u64..100_000).prop_map(Act::Advance),
            (-100 * HOUR_MS..100 * HOUR_MS).prop_map(Act::Step),
            (-60_000i64..60_000).prop_map(Act::Applied),
            (-60_000i64..60_000).prop_map(Act::Adopt),
            prop::collection::vec(-10_000i64..10_000, 0..6).prop_map(Act::Members),
        ]
    }

    proptest! {
        #[test]
        fn time_never_goes_back_and_never_stops(acts in prop::collection::vec(act(), 1..80)) {
            let (clock, hands, _) = cluster_clock();
            let mut before = clock.now();
            for act in acts {
                match act {
                    Act::Advance(ms) => hands.advance_ms(ms),
                    Act::Step(ms) => hands.step_wall_ms(ms),
                    Act::Applied(ms) => clock.applied(Moment(before.0.saturating_add_signed(ms))),
                    Act::Adopt(ms) => clock.adopt(Moment(before.0.saturating_add_signed(ms))),
                    Act::Members(offsets) => clock.members(clock.clock.reading(), &offsets),
                }
                let now = clock.now();
                prop_assert!(now >= before);
                before = now;
            }
        }

        /// Alone, no play of the wall moves cluster time away from elapsed time: what nobody vouches for is not followed.
        #[test]
        fn steps_alone_do_not_move_time(plays in prop::collection::vec((1u64..60_000, 5_001i64..100 * HOUR_MS), 1..40)) {
            let (clock, hands, start) = cluster_clock();
            let mut elapsed = 0;
            for (ms, step) in plays {
                hands.step_wall_ms(step);
                hands.advance_ms(ms);
                elapsed += ms;
                prop_assert_eq!(clock.now(), start.plus_ms(elapsed));
            }
        }
    }
}
