//! Ending sessions before their time, one by one and all of a user.

use super::*;
use crate::domain::{Cause, Revoked, Scope, SessionScope, UserScope};

fn by_root() -> Cause {
    Cause::Revoked(Revoked { by: "root".to_owned(), reason: Some("logout".to_owned()) })
}

#[test]
fn a_revocation_ends_the_session_and_tells_the_feed_in_one_entry() {
    for selector in [Selector::SessionId(id(1)), Selector::Token(token(1))] {
        let mut world = World::new();
        world.start("ann", 1);
        world.wait(SECOND);
        let applied = world.apply(revoke(selector));
        assert_eq!(applied.outcome, Outcome::Count(1));
        let scope = Scope::Session(SessionScope { session_id: id(1), user_id: "ann".to_owned() });
        assert_eq!(told(&applied), vec![Revocation { scope, reason: Some("logout".to_owned()) }]);
        assert_eq!(world.ending(1), Ending { at: world.now, index: world.index, cause: by_root() });

        let retained = world.state.revocations_after(0, world.index, 10);
        assert_eq!(retained.len(), 1);
        assert_eq!((retained[0].index, retained[0].at), (world.index, world.now));
        assert_eq!(retained[0].until, world.now.plus_ms(world.state.policy().revocation_retention_ms()));
    }
}

#[test]
fn revoking_what_is_unknown_or_over_counts_nothing_and_tells_nobody() {
    let mut world = World::new();
    world.start("ann", 1);
    world.run(Command::Start(Start { ttl_ms: SECOND, ..start("bob", 2) }));
    world.start("eve", 3);
    world.run(revoke(Selector::SessionId(id(1))));
    world.revoke_user("eve", None);
    world.wait(SECOND);
    world.trim();
    for nothing in [id(1), id(2), id(3), id(9)] {
        let applied = world.apply(revoke(Selector::SessionId(nothing)));
        assert_eq!((applied.outcome, applied.rows, applied.events), (Outcome::Count(0), Vec::new(), Vec::new()));
    }
    for user in ["ann", "bob", "eve", "nobody"] {
        let applied = world.revoke_user(user, None);
        assert_eq!((applied.outcome, applied.events), (Outcome::Count(0), Vec::new()));
    }
}

#[test]
fn a_wide_revocation_stores_one_cut_off_and_touches_no_session_row() {
    let mut world = World::new();
    for n in 1..=200 {
        world.start("ann", n);
    }
    let applied = world.revoke_user("ann", None);
    assert_eq!(applied.outcome, Outcome::Count(200));
    assert!(applied.rows.len() <= 4, "the entry wrote {} rows", applied.rows.len());
    assert!((1..=200).all(|n| !world.is_active(n)));
    assert_eq!((world.state.active_sessions(), world.state.reapable()), (0, 200));
}

#[test]
fn a_cut_off_covers_what_started_before_it_and_nothing_else() {
    let mut world = World::new();
    world.start("ann", 1);
    world.start("bob", 2);
    let applied = world.revoke_user("ann", None);
    let scope = Scope::User(UserScope { user_id: "ann".to_owned(), rev_below: world.index, except_session_id: None });
    assert_eq!(told(&applied), vec![Revocation { scope, reason: Some("logout".to_owned()) }]);
    world.start("ann", 3);
    assert_eq!(world.standing(1), Standing::Ended(Ending { at: world.now, index: world.index - 1, cause: by_root() }));
    assert!(world.is_active(2) && world.is_active(3));
}

#[test]
fn the_excepted_session_goes_on_until_a_revocation_covers_it() {
    let mut world = World::new();
    world.start("ann", 1);
    world.start("ann", 2);
    let first = world.revoke_user("ann", Some(1));
    assert_eq!(first.outcome, Outcome::Count(1));
    assert!(world.is_active(1) && !world.is_active(2));

    world.start("ann", 3);
    assert_eq!(world.revoke_user("ann", Some(3)).outcome, Outcome::Count(1));
    assert!(!world.is_active(1) && world.is_active(3));

    // Excepting a session that a former cut-off has ended brings nothing back, and is not told.
    world.start("ann", 4);
    let applied = world.revoke_user("ann", Some(1));
    assert_eq!(applied.outcome, Outcome::Count(2));
    assert!(matches!(&told(&applied)[0].scope, Scope::User(scope) if scope.except_session_id.is_none()));
    assert!((1..=4).all(|n| !world.is_active(n)));
}

#[test]
fn a_session_that_one_revocation_has_ended_is_not_ended_again_by_the_next() {
    let mut world = World::new();
    world.start("ann", 1);
    world.revoke_user("ann", None);
    let first = world.standing(1);
    world.wait(SECOND);
    world.start("ann", 2);
    assert_eq!(world.revoke_user("ann", None).outcome, Outcome::Count(1));
    assert_eq!(world.standing(1), first);
    assert_eq!(world.reap(10), Outcome::Count(2));
    assert_eq!(Standing::Ended(world.ending(1)), first);
}

#[test]
fn excepting_another_users_session_excepts_nothing() {
    let mut world = World::new();
    world.start("ann", 1);
    world.start("bob", 2);
    assert_eq!(world.revoke_user("ann", Some(2)).outcome, Outcome::Count(1));
    assert!(!world.is_active(1) && world.is_active(2));
}

#[test]
fn a_session_past_its_deadline_is_expired_and_does_not_count_as_revoked() {
    let mut world = World::new();
    world.run(Command::Start(Start { ttl_ms: SECOND, ..start("ann", 1) }));
    world.start("ann", 2);
    world.wait(SECOND);
    let expired = world.standing(1);
    assert!(matches!(expired, Standing::PastDeadline(_)));
    assert_eq!(world.revoke_user("ann", None).outcome, Outcome::Count(1));
    assert_eq!(world.standing(1), expired);
    assert_eq!(world.reap(10), Outcome::Count(2));
    assert!(matches!(world.ending(1).cause, Cause::Expired(_)));
    assert!(matches!(world.ending(2).cause, Cause::Revoked(_)));
}

#[test]
fn a_dry_run_counts_what_the_revocation_then_ends() {
    let mut world = World::new();
    for n in 1..=4 {
        world.start("ann", n);
    }
    world.run(revoke(Selector::SessionId(id(4))));
    let selector = Selector::User(UserSelector { user_id: "ann".to_owned(), except_session_id: Some(id(1)) });
    assert_eq!(world.state.count_revocable(&selector, world.now), 2);
    assert_eq!(world.revoke_user("ann", Some(1)).outcome, Outcome::Count(2));
    assert_eq!(world.state.count_revocable(&selector, world.now), 0);
    assert_eq!(world.state.count_revocable(&Selector::Token(token(1)), world.now), 1);
}

#[test]
fn a_users_sessions_are_listed_in_pages_oldest_first() {
    let mut world = World::new();
    for n in 1..=5 {
        world.start("ann", n);
    }
    world.run(revoke(Selector::SessionId(id(2))));
    let page = |active_only, after, limit| {
        let found = world.state.sessions_of_user("ann", active_only, world.now, after, limit);
        found.iter().map(|it| it.id.0[0]).collect::<Vec<_>>()
    };
    assert_eq!(page(false, None, 10), [1, 2, 3, 4, 5]);
    assert_eq!(page(true, None, 3), [1, 3, 4]);
    assert_eq!(page(true, Some(world.session(4).rev), 3), [5]);
    assert_eq!(page(false, Some(world.session(1).rev), 2), [2, 3]);
    assert!(page(false, Some(LogIndex::MAX), 2).is_empty());
}

#[test]
fn the_list_of_active_sessions_leaves_out_what_a_cut_off_covers() {
    let mut world = World::new();
    for n in 1..=3 {
        world.start("ann", n);
    }
    world.revoke_user("ann", Some(2));
    world.start("ann", 4);
    let ids = |active_only| world.state.sessions_of_user("ann", active_only, world.now, None, 10).iter().map(|it| it.id.0[0]).collect::<Vec<_>>();
    assert_eq!(ids(true), [2, 4]);
    assert_eq!(ids(false), [1, 2, 3, 4]);
}
