//! Reap and trim.

use super::*;

#[test]
fn a_reap_writes_the_endings_oldest_first_and_drops_the_cut_off_with_the_last() {
    let mut world = World::new();
    for n in 1..=5 {
        world.start("ann", n);
    }
    world.revoke_user("ann", Some(2));
    let (index, at) = (world.index, world.now);
    world.wait(SECOND);
    world.start("ann", 6);
    assert_eq!(world.reap(3), Outcome::Count(3));
    assert_eq!(world.state.reapable(), 1);
    for n in [1, 3, 4] {
        assert_eq!((world.ending(n).index, world.ending(n).at), (index, at));
    }
    assert!(world.session(5).ended.is_none() && !world.is_active(5));
    assert_eq!(world.reap(3), Outcome::Count(1));
    assert_eq!(world.state.tables.cutoffs.len(), 0);
    assert_eq!(world.reap(3), Outcome::Count(0));
    assert!(world.is_active(2) && world.is_active(6));
    assert_eq!((world.state.active_sessions(), world.state.tombstones()), (2, 4));
}

#[test]
fn one_reap_serves_many_cut_offs_up_to_its_bound() {
    let mut world = World::new();
    for n in 1..=9 {
        world.start(&format!("user-{}", n % 3), n);
    }
    for user in 0..3 {
        world.revoke_user(&format!("user-{user}"), None);
    }
    assert_eq!(world.reap(7), Outcome::Count(7));
    assert_eq!(world.reap(u64::MAX), Outcome::Count(2));
    assert_eq!(world.state.tombstones(), 9);
}

#[test]
fn an_expiry_under_a_cut_off_writes_the_cut_offs_ending() {
    let mut world = World::new();
    world.start("ann", 1);
    world.revoke_user("ann", None);
    let by_cutoff = world.standing(1);
    world.wait(HOUR);
    assert_eq!(world.expire_due(), Outcome::Count(1));
    assert_eq!(Standing::Ended(world.ending(1)), by_cutoff);
    assert_eq!((world.state.reapable(), world.state.tables.cutoffs.len()), (0, 0));
}

#[test]
fn tombstones_are_kept_for_their_retention_and_then_forgotten() {
    let mut world = World::with(|policy| policy.tombstone_retention_ms = HOUR);
    world.start("ann", 1);
    world.run(revoke(Selector::SessionId(id(1))));
    world.wait(HOUR);
    world.trim();
    assert!(world.state.session(&id(1)).is_some());
    world.wait(1);
    assert!(world.state.trimmable(world.now));
    world.trim();
    assert!(world.state.session(&id(1)).is_none());
    assert!(!world.state.trimmable(world.now));
}

#[test]
fn no_policy_makes_a_tombstone_go_within_a_minute() {
    let mut world = World::with(|policy| policy.tombstone_retention_ms = 0);
    world.start("ann", 1);
    world.run(revoke(Selector::SessionId(id(1))));
    world.wait(MINUTE);
    world.trim();
    assert!(world.state.session(&id(1)).is_some());
}

#[test]
fn revocations_are_trimmed_from_the_oldest_on_and_the_floor_says_how_far() {
    let mut world = World::new();
    let mut indexes = Vec::new();
    for n in 1..=3 {
        world.start("ann", n);
        world.run(revoke(Selector::SessionId(id(n))));
        indexes.push(world.index);
        world.wait(SECOND);
    }
    let kept_ms = world.state.policy().revocation_retention_ms() + world.state.policy().max_staleness_ms;
    world.wait(kept_ms - 3 * SECOND);
    world.trim();
    assert_eq!((world.state.revocations_floor(), world.state.revocations_after(0, LogIndex::MAX, 10).len()), (0, 3));
    world.wait(1);
    world.trim();
    assert_eq!(world.state.revocations_floor(), indexes[0]);
    let left: Vec<_> = world.state.revocations_after(0, LogIndex::MAX, 10).iter().map(|it| it.index).collect();
    assert_eq!(left, indexes[1..]);
}

#[test]
fn a_page_of_revocations_is_bounded_on_both_sides() {
    let mut world = World::new();
    let mut indexes = Vec::new();
    for n in 1..=4 {
        world.start("ann", n);
        world.run(revoke(Selector::SessionId(id(n))));
        indexes.push(world.index);
    }
    let page = |after, upto, max| world.state.revocations_after(after, upto, max).iter().map(|it| it.index).collect::<Vec<_>>();
    assert_eq!(page(indexes[0], indexes[2], 10), indexes[1..=2]);
    assert_eq!(page(0, LogIndex::MAX, 2), indexes[..2]);
    assert!(page(indexes[3], indexes[0], 10).is_empty());
    assert!(page(LogIndex::MAX, LogIndex::MAX, 10).is_empty());
}
