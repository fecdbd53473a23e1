//! Commands that come twice.

use super::*;
use crate::command::{COMMAND_ID_LIFE_MS, Extend, ResetRoot, RetireNode};
use crate::domain::StoreUuid;

#[test]
fn a_repeated_revocation_answers_the_first_count_and_ends_nothing_new() {
    let mut world = World::new();
    world.start("ann", 1);
    let request = world.request(revoke_user("ann", None));
    let first = world.apply_request(request.clone());
    assert_eq!((first.index, first.outcome), (world.index, Outcome::Count(1)));
    world.start("ann", 2);
    world.wait(COMMAND_ID_LIFE_MS);
    let again = world.apply_request(request);
    assert_eq!((again.index, again.outcome, again.events), (first.index, Outcome::Count(1), Vec::new()), "the entry that is told in the feed");
    assert!(world.is_active(2));
}

#[test]
fn a_wide_revocation_that_found_nothing_ends_nothing_when_it_comes_again() {
    let mut world = World::new();
    let request = world.request(revoke_user("ann", None));
    assert_eq!(world.apply_request(request.clone()).outcome, Outcome::Count(0));
    world.start("ann", 1);
    assert_eq!(world.apply_request(request).outcome, Outcome::Count(0));
    assert!(world.is_active(1));
}

#[test]
fn a_repeated_start_names_the_entry_that_started_the_session() {
    let mut world = World::new();
    let request = world.request(Command::Start(start("ann", 1)));
    let first = world.apply_request(request.clone());
    world.start("ann", 2);
    let again = world.apply_request(request);
    assert_eq!((again.index, again.outcome), (first.index, first.outcome));
}

#[test]
fn a_repeated_change_answers_the_present_record() {
    let mut world = World::new();
    let old = world.start("ann", 1);
    let request = world.request(Command::Patch(Patch { claims: Some("{\"a\":1}".to_owned()), ..patch(&old) }));
    world.apply_request(request.clone());
    world.run(Command::Extend(Extend { session_id: id(1), ttl_ms: DAY }));
    let present = world.session(1).clone();
    assert_eq!(world.apply_request(request).outcome, Outcome::Session(present.clone()));
    assert_eq!(world.session(1), &present);
}

#[test]
fn a_command_older_than_its_id_lives_is_refused_by_the_leaders_stamp() {
    let mut world = World::new();
    world.start("ann", 1);
    let request = world.request(revoke_user("ann", None));
    world.wait(COMMAND_ID_LIFE_MS + 1);
    let applied = world.apply_request(request);
    assert_eq!(refused(applied.outcome), Refusal::CommandTooOld(()));
    assert!(world.is_active(1));
}

#[test]
fn outcomes_are_forgotten_in_order_as_time_passes_and_none_before() {
    let mut world = World::new();
    for n in 0..10 {
        world.run(Command::RetireNode(RetireNode { node_id: n, store_uuid: StoreUuid([1; 16]) }));
    }
    let first = world.state.tables.outcomes.first().cloned().expect("ten are remembered");
    world.wait(COMMAND_ID_LIFE_MS);
    world.trim();
    assert_eq!(world.state.tables.outcomes.len(), 10, "the last moment of an id is within its life");
    world.wait(1);
    world.start("ann", 1);
    assert_eq!(world.state.tables.outcomes.len(), 6, "a few are forgotten with any entry");
    assert!(!world.state.indexes.by_command.contains_key(&first.id));
    assert_eq!(world.trim(), Outcome::Count(2), "the entry itself has forgotten four, the trim the rest");
    assert_eq!(world.state.tables.outcomes.len(), 0);
}

#[test]
fn an_id_drawn_by_a_clock_that_is_ahead_is_remembered_for_as_long_as_it_is_young() {
    let mut world = World::new();
    world.start("ann", 1);
    let ahead = Request { drawn_at: world.now.plus_ms(MINUTE), ..world.request(revoke_user("ann", None)) };
    assert_eq!(world.apply_request(ahead.clone()).outcome, Outcome::Count(1));
    world.start("ann", 2);
    world.wait(MINUTE + COMMAND_ID_LIFE_MS);
    world.trim();
    assert_eq!(world.apply_request(ahead).outcome, Outcome::Count(1));
    assert!(world.is_active(2));
}

#[test]
fn a_node_id_is_retired_with_the_store_that_sat_on_it_first() {
    let mut world = World::new();
    let retire = |byte| Command::RetireNode(RetireNode { node_id: 2, store_uuid: StoreUuid([byte; 16]) });
    assert_eq!(world.run(retire(1)), Outcome::Done(()));
    assert_eq!(world.run(retire(2)), Outcome::Done(()));
    assert_eq!(world.state.retired(2), Some(StoreUuid([1; 16])));
    assert_eq!(world.state.retired(3), None);
}

#[test]
fn a_repeated_reset_does_not_undo_a_later_one() {
    let mut world = World::new();
    let first = world.request(Command::ResetRoot(ResetRoot { root_key: KeyHash([1; 32]) }));
    world.apply_request(first.clone());
    world.run(Command::ResetRoot(ResetRoot { root_key: KeyHash([2; 32]) }));
    assert_eq!(world.apply_request(first).outcome, Outcome::Done(()));
    assert_eq!(world.state.root_key(), Some(&KeyHash([2; 32])));
}
