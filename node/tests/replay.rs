//! Laws that hold for every log: the same log comes to the same state, whatever restarts, snapshots and clocks do; and nothing that has
//! ended comes back.

#[path = "replay/log.rs"]
mod log;
#[path = "replay/model.rs"]
mod model;

use curfew_node::command::{Command, Event, Selector, UserSelector};
use curfew_node::domain::{LogIndex, Moment, RevocationEntry, Session, Standing};
use curfew_node::state::{Loader, State, digest_of};
use log::{Entry, apply, logs, replay, user_id};
use model::Model;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const LOG_MAX: usize = 120;

/// Few logs per law under `cargo test`; as many as somebody asks for with `PROPTEST_CASES=5000`.
fn some_cases() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig { cases: if asked { default.cases } else { 64 }, ..default }
}

fn rows(state: &State) -> BTreeMap<Vec<u8>, Vec<u8>> {
    state.rows().collect()
}

/// The state as a node has it after a restart, or after it installed a snapshot.
fn reloaded(state: &State) -> State {
    let mut loader = Loader::new();
    for (key, value) in state.rows() {
        loader.row(&key, &value).expect("a row that was given is taken");
    }
    loader.finish(state.last_applied()).expect("rows that were given are a state")
}

fn assert_same(one: &State, other: &State) {
    assert_eq!(one.digest(), other.digest());
    assert_eq!(rows(one), rows(other));
    assert_eq!((one.last_applied(), one.last_at()), (other.last_applied(), other.last_at()));
    let counts = |it: &State| (it.active_sessions(), it.tombstones(), it.reapable(), it.revocations_floor());
    assert_eq!(counts(one), counts(other));
    assert_eq!(one.due(Moment(u64::MAX), usize::MAX), other.due(Moment(u64::MAX), usize::MAX));
}

proptest! {
    #![proptest_config(some_cases())]

    #[test]
    fn the_same_log_comes_to_the_same_state(log in logs(LOG_MAX)) {
        assert_same(&replay(&log), &replay(&log));
    }

    #[test]
    fn restarts_and_snapshots_anywhere_change_nothing(log in logs(LOG_MAX), cuts in prop::collection::vec(any::<Index>(), 1..6)) {
        let cuts: BTreeSet<usize> = cuts.iter().map(|cut| cut.index(log.len())).collect();
        let (mut steady, mut restarted) = (State::default(), State::default());
        for (at, entry) in log.iter().enumerate() {
            prop_assert_eq!(apply(&mut steady, entry), apply(&mut restarted, entry), "entry {} came to something else", at);
            if cuts.contains(&at) {
                restarted = reloaded(&restarted);
            }
            prop_assert_eq!(steady.digest(), restarted.digest());
        }
        assert_same(&steady, &restarted);
    }

    #[test]
    fn the_changed_rows_add_up_to_all_rows_and_the_digest_is_theirs(log in logs(LOG_MAX)) {
        let mut state = State::default();
        let mut stored = BTreeMap::new();
        for entry in &log {
            for row in apply(&mut state, entry).map(|it| it.rows).unwrap_or_default() {
                match row.value {
                    Some(value) => stored.insert(row.key, value),
                    None => stored.remove(&row.key),
                };
            }
            prop_assert_eq!(&stored, &rows(&state));
            prop_assert_eq!(state.digest(), digest_of(&stored));
        }
    }

    #[test]
    fn what_has_ended_never_comes_back(log in logs(LOG_MAX)) {
        let mut state = State::default();
        let mut graveyard = Graveyard::default();
        for entry in &log {
            let before = state.last_at();
            apply(&mut state, entry);
            prop_assert!(state.last_at() >= before, "cluster time went back");
            graveyard.visit(&state);
        }
    }

    #[test]
    fn what_the_feed_was_told_is_what_it_retains(log in logs(LOG_MAX)) {
        let mut state = State::default();
        let mut told: Vec<Arc<RevocationEntry>> = Vec::new();
        for entry in &log {
            let floor = state.revocations_floor();
            for event in apply(&mut state, entry).map(|it| it.events).unwrap_or_default() {
                if let Event::Revoked(revoked) = event {
                    prop_assert_eq!((revoked.index, revoked.at), (entry.index, state.last_at()));
                    prop_assert!(!revoked.revocations.is_empty());
                    told.push(revoked);
                }
            }
            prop_assert!(state.revocations_floor() >= floor);
            for gone in told.extract_if(.., |it| it.index <= state.revocations_floor()) {
                prop_assert!(gone.until < state.last_at(), "a revocation was forgotten early");
            }
            prop_assert_eq!(&state.revocations_after(0, LogIndex::MAX, usize::MAX), &told);
        }
    }

    #[test]
    fn the_state_says_what_the_obvious_model_says(log in logs(LOG_MAX)) {
        let (mut state, mut model) = (State::default(), Model::default());
        for entry in &log {
            let outcome = apply(&mut state, entry).map(|it| it.outcome);
            let expected = entry.request.as_ref().and_then(|request| model.apply(entry.index, entry.at, request));
            if expected.is_some() {
                prop_assert_eq!(&outcome, &expected, "entry {:?}", entry);
            }
            compare(&state, &model);
        }
    }
}

/// Every answer that readers get, against the model.
fn compare(state: &State, model: &Model) {
    let now = model.now;
    assert_eq!(state.last_at(), now);
    assert_eq!(state.active_sessions() + state.tombstones() + state.reapable(), model.sessions.len() as u64);
    assert_eq!(state.reapable(), model.waiting() as u64);
    for (rev, known) in &model.sessions {
        let session = state.session_by_rev(*rev).expect("the model knows it");
        assert_eq!(**session, known.record);
        assert_eq!(state.session(&session.id), Some(session));
        assert_eq!(state.session_by_token(&session.token), Some(session));
        for later_ms in [0, 1_000, 100_000, 10_000_000] {
            assert_eq!(state.standing(session, now.plus_ms(later_ms)), known.standing(now.plus_ms(later_ms)));
        }
        let selector = Selector::SessionId(session.id);
        assert_eq!(state.count_revocable(&selector, now), model.revocable(&selector).len() as u64);
        let selector = Selector::User(UserSelector { user_id: user_id(0), except_session_id: Some(session.id) });
        assert_eq!(state.count_revocable(&selector, now), model.revocable(&selector).len() as u64);
    }
    let revs = |sessions: Vec<Arc<Session>>| sessions.iter().map(|it| it.rev).collect::<Vec<_>>();
    for user in (0..3).map(user_id) {
        let all: Vec<_> = model.sessions.values().filter(|it| it.record.user_id == user).map(|it| it.record.rev).collect();
        let active = model.active_of(&user);
        assert_eq!(revs(state.sessions_of_user(&user, false, now, None, 1_000)), all);
        assert_eq!(revs(state.sessions_of_user(&user, true, now, None, 1_000)), active);
        for after in &all {
            let rest: Vec<_> = active.iter().copied().filter(|rev| rev > after).take(2).collect();
            assert_eq!(revs(state.sessions_of_user(&user, true, now, Some(*after), 2)), rest);
        }
        if let Some(first) = all.first() {
            assert_eq!(revs(state.sessions_of_user(&user, false, now, Some(*first), 2)), all[1..all.len().min(3)]);
        }
    }
}

/// Remembers every session that was seen to have ended, and how.
#[derive(Default)]
struct Graveyard {
    alive: BTreeSet<LogIndex>,
    dead: BTreeMap<LogIndex, Standing>,
}

impl Graveyard {
    fn visit(&mut self, state: &State) {
        let now = state.last_at();
        for rev in 1..=state.last_applied() {
            let standing = state.session_by_rev(rev).map(|session| state.standing(session, now));
            match (standing, self.dead.get(&rev)) {
                (Some(Standing::Active), Some(end)) => panic!("session {rev} is active after {end:?}"),
                (Some(Standing::Active), None) => {
                    self.alive.insert(rev);
                }
                (Some(ended), Some(before)) => assert_eq!(moment_and_kind(&ended), moment_and_kind(before), "session {rev} has another end"),
                (Some(ended), None) => {
                    self.alive.remove(&rev);
                    self.dead.insert(rev, ended);
                }
                (None, _) => assert!(!self.alive.contains(&rev), "active session {rev} was forgotten"),
            }
        }
    }
}

/// An expiry may be written later, but its moment and its reason are those of the deadline; other endings stay as they are.
fn moment_and_kind(standing: &Standing) -> String {
    use curfew_node::domain::Cause;
    match standing {
        Standing::PastDeadline(it) => format!("expired {:?} idle {}", it.at, it.idle),
        Standing::Ended(it) => match &it.cause {
            Cause::Expired(expired) => format!("expired {:?} idle {}", it.at, expired.idle),
            cause => format!("{cause:?} {:?} {}", it.at, it.index),
        },
        Standing::Active => "active".to_owned(),
    }
}

/// The generator is worth nothing if it never gets to the interesting places.
#[test]
fn the_logs_reach_every_kind_of_row_and_command() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut tags, mut commands) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..40 {
        let log: Vec<Entry> = logs(LOG_MAX).new_tree(&mut runner).expect("a log can be made").current();
        commands.extend(log.iter().filter_map(|entry| entry.request.as_ref()).map(|it| Command::tag(&it.command)));
        let mut state = State::default();
        for entry in &log {
            apply(&mut state, entry);
            tags.extend(state.rows().map(|(key, _)| key[0]));
        }
    }
    assert_eq!(commands.into_iter().collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), (1..=11).collect::<Vec<_>>());
}
