//! A state out of its rows, and rows that are none.

use super::*;
use crate::state::{LoadError, Loader, digest_of};

fn eventful() -> World {
    let mut world = World::new();
    for n in 1..=6 {
        world.start(if n % 2 == 0 { "ann" } else { "bob" }, n);
    }
    world.run(revoke(Selector::SessionId(id(1))));
    world.revoke_user("ann", Some(2));
    world
}

fn load(rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>, last_applied: LogIndex) -> Result<State, LoadError> {
    let mut loader = Loader::new();
    for (key, value) in rows {
        loader.row(&key, &value)?;
    }
    loader.finish(last_applied)
}

#[test]
fn a_state_comes_back_from_its_rows_in_any_order() {
    let world = eventful();
    let mut rows: Vec<_> = world.state.rows().collect();
    assert!(rows.is_sorted(), "rows come in key order");
    rows.reverse();
    let back = load(rows, world.index).expect("the rows are a state");
    assert_eq!(back.digest(), world.state.digest());
    assert_eq!(back.last_applied(), world.index);
    assert_eq!(back.last_at(), world.state.last_at());
    assert_eq!((back.active_sessions(), back.reapable()), (world.state.active_sessions(), world.state.reapable()));
    for n in 1..=6 {
        assert_eq!(back.standing(world.session(n), world.now), world.standing(n));
    }
}

#[test]
fn a_frozen_copy_stays_as_it_was() {
    let mut world = eventful();
    let frozen = world.state.frozen();
    world.start("ann", 9);
    assert_eq!(digest_of(frozen.rows()), frozen.digest());
    assert_ne!(frozen.digest(), world.state.digest());
    assert_eq!(frozen.last_applied() + 1, world.state.last_applied());
}

#[test]
fn rows_that_are_no_state_are_refused_by_name() {
    let world = eventful();
    let rows: Vec<_> = world.state.rows().collect();
    let with = |row: (Vec<u8>, Vec<u8>)| load(rows.iter().cloned().chain([row]), world.index).map(|_| ());
    let session = rows.iter().find(|(key, _)| key[0] == 5).expect("there are sessions").clone();

    assert!(matches!(with((vec![], vec![])), Err(LoadError::EmptyKey)));
    assert!(matches!(with((vec![200], vec![1])), Err(LoadError::UnknownTag(200))));
    assert!(matches!(with((vec![5, 0], vec![1, 2])), Err(LoadError::Unreadable { tag: 5, .. })));
    assert!(matches!(with((vec![5, 0], session.1.clone())), Err(LoadError::WrongKey(5))));
    assert!(matches!(with(session), Err(LoadError::Twice(5))));
    assert!(matches!(load(rows.iter().cloned(), 2).map(|_| ()), Err(LoadError::Contradiction(_))));
    let without_sessions = rows.iter().filter(|(key, _)| key[0] != 5).cloned();
    assert!(matches!(load(without_sessions, world.index).map(|_| ()), Err(LoadError::Contradiction("a cut-off covers no session"))));
}

#[test]
#[should_panic(expected = "comes after entry")]
fn an_entry_that_was_applied_is_not_applied_again() {
    let mut world = World::new();
    world.index -= 1;
    world.start("ann", 1);
}

#[test]
fn entries_without_a_command_move_only_the_index() {
    let mut state = State::default();
    state.skip(0);
    state.skip(1);
    assert_eq!((state.last_applied(), state.rows().count()), (1, 0));
}
