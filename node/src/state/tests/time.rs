//! Cluster time: it never goes back, and what it has ended stays ended.

use super::*;
use crate::domain::{Cause, Deadline, Expired};

#[test]
fn an_earlier_stamp_counts_as_the_last_one() {
    let mut world = World::new();
    world.start("ann", 1);
    let before = world.state.last_at();
    world.now = Moment(5);
    let late = world.start("ann", 2);
    assert_eq!((late.started_at, world.state.last_at()), (before, before));
}

#[test]
fn a_stamp_beyond_all_calendars_ends_sessions_and_breaks_nothing() {
    let mut world = World::new();
    world.start("ann", 1);
    world.now = Moment(u64::MAX);
    assert_eq!(world.expire_due(), Outcome::Count(1));
    assert_eq!(world.state.last_at(), Moment(u64::MAX).plus_ms(0));
    assert!(!world.is_active(1));
}

#[test]
fn an_expiry_is_written_with_the_moment_of_the_deadline() {
    let mut world = World::new();
    world.run(Command::Start(Start { idle_timeout_ms: Some(MINUTE), ..start("ann", 1) }));
    world.start("bob", 2);
    let started = world.now;
    world.wait(2 * HOUR);
    assert_eq!(world.standing(1), Standing::PastDeadline(Deadline { at: started.plus_ms(MINUTE), idle: true }));
    let due = world.state.due(world.now, 10);
    assert_eq!(due, vec![(world.session(1).rev, started.plus_ms(MINUTE)), (world.session(2).rev, started.plus_ms(HOUR))]);
    let applied = world.apply(Command::Expire(Expire { due }));
    assert_eq!(applied.outcome, Outcome::Count(2));
    assert_eq!(applied.events, vec![Event::Ended(world.session(1).rev), Event::Ended(world.session(2).rev)]);
    let expired = |idle, ms| Ending { at: started.plus_ms(ms), index: world.index, cause: Cause::Expired(Expired { idle }) };
    assert_eq!((world.ending(1), world.ending(2)), (expired(true, MINUTE), expired(false, HOUR)));
    assert!(world.state.due(world.now, 10).is_empty());
}

#[test]
fn an_expiry_of_a_deadline_that_has_moved_is_left_alone() {
    let mut world = World::new();
    world.run(Command::Start(Start { idle_timeout_ms: Some(MINUTE), ..start("ann", 1) }));
    let rev = world.session(1).rev;
    let stale = world.session(1).deadline().at;
    world.wait(30 * SECOND);
    world.touch(1, world.now);
    world.wait(30 * SECOND);
    assert_eq!(world.run(Command::Expire(Expire { due: vec![(rev, stale)] })), Outcome::Count(0));
    assert!(world.is_active(1));
    let early = world.session(1).deadline().at;
    assert_eq!(world.run(Command::Expire(Expire { due: vec![(rev, early)] })), Outcome::Count(0), "the deadline has not come yet");
    world.wait(HOUR);
    assert_eq!(
        world.run(Command::Expire(Expire { due: vec![(rev, stale)] })),
        Outcome::Count(0),
        "it names another deadline than the one that passed"
    );
}

#[test]
fn a_touch_that_comes_after_the_idle_deadline_does_not_wake_the_session() {
    let mut world = World::new();
    world.run(Command::Start(Start { idle_timeout_ms: Some(MINUTE), ..start("ann", 1) }));
    world.wait(59 * SECOND);
    let seen = world.now;
    world.wait(SECOND);
    assert_eq!(world.touch(1, seen), Outcome::Count(0));
    assert!(!world.is_active(1));
}

#[test]
fn a_clock_that_steps_back_does_not_wake_an_expired_session() {
    let mut world = World::new();
    world.start("ann", 1);
    let early = world.now;
    world.wait(2 * HOUR);
    world.start("bob", 2);
    world.now = early;
    let rev = world.session(1).rev;
    assert_eq!(world.run(Command::Touch(Touch { seen: vec![(rev, world.state.last_at())] })), Outcome::Count(0));
    assert!(matches!(world.state.standing(world.session(1), world.state.last_at()), Standing::PastDeadline(_)));
}
