//! Patch, extend and touch.

use super::*;
use crate::command::Extend;
use crate::domain::Factor;
use crate::state::FACTORS_MAX;

fn factor(method: &str) -> Factor {
    Factor { method: method.to_owned(), at: Moment(1) }
}

#[test]
fn a_patch_changes_the_record_and_tells_the_actors() {
    let mut world = World::new();
    let old = world.start("ann", 1);
    let wanted = Patch { claims: Some(r#"{"role":"admin"}"#.to_owned()), add_factor: Some(factor("otp")), ..patch(&old) };
    let applied = world.apply(Command::Patch(wanted));
    let new = world.session(1).clone();
    assert_eq!((applied.outcome, applied.events), (Outcome::Session(new.clone()), vec![Event::Changed(old.rev)]));
    assert_eq!((new.version, new.claims.as_str(), new.attributes.as_str()), (2, r#"{"role":"admin"}"#, "{}"));
    assert_eq!(new.factors, vec![factor("otp")]);
}

#[test]
fn a_patch_made_from_another_version_is_refused_with_the_present_one() {
    let mut world = World::new();
    let old = world.start("ann", 1);
    world.run(Command::Patch(patch(&old)));
    assert_eq!(refused(world.run(Command::Patch(patch(&old)))), Refusal::VersionConflict(2));
}

#[test]
fn a_new_token_ends_the_old_one_in_the_same_entry() {
    let mut world = World::new();
    let old = world.start("ann", 1);
    world.start("bob", 2);
    assert_eq!(refused(world.run(Command::Patch(Patch { token: Some(token(2)), ..patch(&old) }))), Refusal::Taken(()));
    world.run(Command::Patch(Patch { token: Some(token(8)), ..patch(&old) }));
    assert!(world.state.session_by_token(&token(1)).is_none());
    assert_eq!(world.state.session_by_token(&token(8)).map(|it| it.id), Some(id(1)));
}

#[test]
fn a_session_holds_so_many_factors_and_no_more() {
    let mut world = World::new();
    world.start("ann", 1);
    for _ in 0..FACTORS_MAX {
        let wanted = Patch { add_factor: Some(factor("otp")), ..patch(world.session(1)) };
        assert!(matches!(world.run(Command::Patch(wanted)), Outcome::Session(_)));
    }
    let wanted = Patch { add_factor: Some(factor("otp")), ..patch(world.session(1)) };
    assert_eq!(refused(world.run(Command::Patch(wanted))), Refusal::AboveCap(FACTORS_MAX as u64));
}

#[test]
fn an_extension_never_brings_the_end_nearer_and_obeys_the_cap() {
    let mut world = World::with(|policy| policy.session_ttl_max_ms = DAY);
    let old = world.start("ann", 1);
    let extend = |ttl_ms| Command::Extend(Extend { session_id: id(1), ttl_ms });
    world.wait(MINUTE);
    let applied = world.apply(extend(1));
    assert_eq!(applied.events, vec![Event::Changed(old.rev)]);
    assert_eq!((world.session(1).expires_at, world.session(1).last_seen_at), (old.expires_at, world.now));
    world.run(extend(DAY));
    assert_eq!(world.session(1).expires_at, world.now.plus_ms(DAY));
    assert_eq!(refused(world.run(extend(DAY + 1))), Refusal::AboveCap(DAY));
}

#[test]
fn nothing_changes_a_session_that_has_ended_in_whatever_way() {
    let mut world = World::new();
    for n in 1..=3 {
        world.start(&format!("user-{n}"), n);
    }
    world.run(Command::Start(Start { ttl_ms: SECOND, ..start("user-4", 4) }));
    world.run(revoke(Selector::SessionId(id(1))));
    world.revoke_user("user-2", None);
    world.wait(SECOND);
    world.trim();
    for n in [1, 2, 4] {
        let digest = world.state.digest();
        let changes = [Command::Patch(patch(world.session(n))), Command::Extend(Extend { session_id: id(n), ttl_ms: HOUR })];
        for change in changes {
            let Refusal::SessionEnded(told) = refused(world.run(change)) else { panic!("session {n} was refused for another reason") };
            assert!(told.ended.is_some(), "the refusal does not say how session {n} ended");
        }
        world.touch(n, world.now);
        assert_eq!(world.state.digest(), digest, "session {n} was changed");
    }
    assert_eq!(refused(world.run(Command::Extend(Extend { session_id: id(9), ttl_ms: 1 }))), Refusal::SessionNotFound(()));
}

#[test]
fn a_touch_is_worth_an_entry_only_after_the_touch_interval() {
    let mut world = World::new();
    world.run(Command::Start(Start { idle_timeout_ms: Some(MINUTE), ..start("ann", 1) }));
    world.wait(6 * SECOND - 1);
    assert_eq!(world.touch(1, world.now), Outcome::Count(0));
    world.wait(1);
    assert_eq!(world.touch(1, world.now), Outcome::Count(1));
    assert_eq!(world.session(1).last_seen_at, world.now);
}

#[test]
fn a_touch_from_the_future_counts_as_now() {
    let mut world = World::new();
    world.run(Command::Start(Start { idle_timeout_ms: Some(MINUTE), ..start("ann", 1) }));
    world.wait(30 * SECOND);
    assert_eq!(world.touch(1, world.now.plus_ms(DAY)), Outcome::Count(1));
    assert_eq!(world.session(1).last_seen_at, world.now);
}
