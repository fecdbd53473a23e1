//! Starting: what is refused, what is evicted, and what a repetition answers.

use super::*;
use crate::domain::{Cause, Evicted, LimitMode, Scope, SessionLimit, SessionScope};

fn limited(max: u64, mode: LimitMode) -> World {
    World::with(|policy| policy.sessions_per_user = Some(SessionLimit { max, mode }))
}

#[test]
fn nothing_is_done_before_the_first_command_and_the_first_comes_once() {
    let mut world = World::unformed();
    assert_eq!(refused(world.run(Command::Start(start("ann", 1)))), Refusal::WrongPhase(()));
    assert!(world.state.cluster().is_none());
    let applied = world.apply(init(Policy::default()));
    assert_eq!((applied.outcome, applied.events), (Outcome::Done(()), vec![Event::Keys]));
    assert_eq!(refused(world.run(init(Policy::default()))), Refusal::WrongPhase(()));
    assert_eq!(world.state.root_key(), Some(&KeyHash([7; 32])));
}

#[test]
fn a_started_session_is_found_by_id_token_and_rev() {
    let mut world = World::new();
    let session = world.start("ann", 1);
    assert_eq!(session.rev, world.index);
    assert_eq!(session.expires_at, world.now.plus_ms(HOUR));
    for found in [world.state.session(&id(1)), world.state.session_by_token(&token(1)), world.state.session_by_rev(session.rev)] {
        assert_eq!(found, Some(&session));
    }
    assert!(world.is_active(1));
}

#[test]
fn a_start_that_comes_again_answers_the_session_as_it_is_now() {
    let mut world = World::new();
    let first = world.start("ann", 1);
    assert_eq!(world.run(Command::Start(start("ann", 1))), Outcome::Session(first.clone()));

    world.run(revoke(Selector::SessionId(id(1))));
    let Outcome::Session(again) = world.run(Command::Start(start("ann", 1))) else { panic!("the repetition was refused") };
    assert_eq!(again.rev, first.rev);
    assert!(again.ended.is_some(), "a repeated start brought a revoked session back");
}

#[test]
fn an_id_or_a_token_in_use_is_not_given_to_another() {
    let mut world = World::new();
    world.start("ann", 1);
    for other in [start("bob", 1), Start { token: token(2), ..start("ann", 1) }, Start { session_id: id(2), ..start("ann", 1) }] {
        assert_eq!(refused(world.run(Command::Start(other))), Refusal::Taken(()));
    }
}

#[test]
fn lifetimes_above_the_policy_are_refused_with_the_cap() {
    let mut world = World::with(|policy| {
        policy.session_ttl_max_ms = DAY;
        policy.idle_timeout_max_ms = Some(HOUR);
    });
    assert_eq!(refused(world.run(Command::Start(Start { ttl_ms: DAY + 1, ..start("ann", 1) }))), Refusal::AboveCap(DAY));
    assert_eq!(refused(world.run(Command::Start(Start { idle_timeout_ms: Some(HOUR + 1), ..start("ann", 1) }))), Refusal::AboveCap(HOUR));
    let unlimited = world.start("ann", 1);
    assert_eq!(unlimited.idle_timeout_ms, Some(HOUR), "no idle time-out would be above the cap");
}

#[test]
fn at_the_limit_the_oldest_session_is_evicted_and_the_feed_is_told_in_the_same_entry() {
    let mut world = limited(2, LimitMode::EvictOldest(()));
    world.start("ann", 1);
    world.start("ann", 2);
    world.start("bob", 9);
    let applied = world.apply(Command::Start(start("ann", 3)));

    let evicted = Scope::Session(SessionScope { session_id: id(1), user_id: "ann".to_owned() });
    assert_eq!(told(&applied), vec![Revocation { scope: evicted, reason: None }]);
    assert_eq!(applied.events[1], Event::Ended(world.session(1).rev));
    assert_eq!(world.ending(1), Ending { at: world.now, index: world.index, cause: Cause::Evicted(Evicted { by: id(3) }) });
    assert!(world.is_active(2) && world.is_active(3) && world.is_active(9));
}

#[test]
fn at_the_limit_a_start_may_be_refused_and_changes_nothing() {
    let mut world = limited(1, LimitMode::Refuse(()));
    world.start("ann", 1);
    let applied = world.apply(Command::Start(start("ann", 2)));
    assert_eq!(refused(applied.outcome), Refusal::SessionLimit(1));
    assert_eq!((applied.rows, applied.events), (Vec::new(), Vec::new()));
}

#[test]
fn sessions_past_their_deadline_or_cut_off_do_not_count_towards_the_limit() {
    let mut world = limited(1, LimitMode::Refuse(()));
    world.start("ann", 1);
    world.wait(HOUR);
    world.start("ann", 2);
    world.revoke_user("ann", None);
    world.start("ann", 3);
    assert!(world.is_active(3));
}

#[test]
fn a_full_state_drops_old_tombstones_but_none_that_is_young() {
    let mut world = World::with(|policy| policy.sessions_max = 2);
    world.start("ann", 1);
    world.start("ann", 2);
    world.run(revoke(Selector::SessionId(id(1))));
    world.wait(MINUTE);
    assert_eq!(refused(world.run(Command::Start(start("ann", 3)))), Refusal::Overloaded("sessions_max".to_owned()));
    assert!(world.state.session(&id(1)).is_some());
    world.wait(1);
    world.start("ann", 3);
    assert!(world.state.session(&id(1)).is_none());
    assert!(world.state.session_by_token(&token(1)).is_none());
}
