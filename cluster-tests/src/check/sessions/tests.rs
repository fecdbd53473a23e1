//! For each rule a smallest history that breaks it, and one that looks like it and is legal; then good histories with one lie planted.

use super::*;
use crate::chance::Chance;

const STALENESS_MS: u64 = 2_000;

fn line(node: u64, operation: Operation, t0: u64, t1: u64, ending: Ending) -> Line {
    Line { client: "c".to_owned(), node, operation, t0, t1, ending }
}

fn started(index: u64, t0: u64, t1: u64) -> Line {
    line(1, Operation::Start { user: "u".to_owned(), session: Some("s".to_owned()) }, t0, t1, Ending::Done { index })
}

fn revoked(index: u64, t0: u64, t1: u64) -> Line {
    line(1, Operation::RevokeSession { session: "s".to_owned() }, t0, t1, Ending::Done { index })
}

fn perhaps_revoked(t0: u64, t1: u64) -> Line {
    line(1, Operation::RevokeSession { session: "s".to_owned() }, t0, t1, Ending::Unknown)
}

fn all_revoked(index: u64, except: Option<&str>, t0: u64, t1: u64) -> Line {
    line(1, Operation::RevokeUser { user: "u".to_owned(), except: except.map(str::to_owned) }, t0, t1, Ending::Done { index })
}

fn read(node: u64, strict: bool, t0: u64, t1: u64, ending: Ending) -> Line {
    line(node, Operation::Read { session: "s".to_owned(), strict }, t0, t1, ending)
}

fn yes(node: u64, strict: bool, t0: u64, t1: u64) -> Line {
    read(node, strict, t0, t1, Ending::Accepted)
}

fn no(node: u64, strict: bool, code: &str, t0: u64, t1: u64) -> Line {
    read(node, strict, t0, t1, Ending::Refused { code: code.to_owned() })
}

#[track_caller]
fn breaks(rules: &[u8], lines: &[Line]) {
    let told = history(lines, STALENESS_MS);
    assert_eq!(told.iter().map(|it| it.rule).collect::<Vec<_>>(), rules, "{told:#?}");
}

#[test]
fn rule_2_indexes_follow_real_time() {
    breaks(&[2], &[started(5, 0, 10), revoked(4, 20, 30)]);
    breaks(&[2], &[started(5, 0, 10), revoked(5, 5, 30)]);
    breaks(&[], &[started(5, 0, 10), revoked(4, 10, 30)]);
    breaks(&[], &[started(5, 0, 10), revoked(6, 20, 30)]);
}

#[test]
fn rule_3_no_strict_accept_after_the_acknowledgement() {
    breaks(&[3], &[started(1, 0, 10), revoked(2, 20, 30), yes(2, true, 31, 40)]);
    breaks(&[], &[started(1, 0, 10), revoked(2, 20, 30), yes(2, true, 30, 40)]);
    breaks(&[], &[started(1, 0, 10), perhaps_revoked(20, 30), yes(2, true, 31, 40)]);
    breaks(&[3], &[started(1, 0, 10), all_revoked(2, None, 20, 30), yes(2, true, 31, 40)]);
    breaks(&[], &[started(1, 0, 10), all_revoked(2, Some("s"), 20, 30), yes(2, true, 31, 40)]);
    // The start stands behind the wide revocation in the log.
    breaks(&[], &[started(3, 0, 40), all_revoked(2, None, 20, 30), yes(2, true, 41, 50)]);
}

#[test]
fn rule_4_one_instant_of_ending_fits_all() {
    breaks(&[4, 7], &[started(1, 0, 10), perhaps_revoked(20, 30), no(2, true, "session_revoked", 31, 40), yes(2, true, 41, 50)]);
    breaks(&[4, 12], &[started(1, 0, 10), perhaps_revoked(20, 30), no(3, true, "session_revoked", 31, 40), yes(2, true, 41, 50)]);
    breaks(&[], &[started(1, 0, 10), perhaps_revoked(20, 30), no(2, true, "session_revoked", 31, 60), yes(2, true, 41, 50)]);
    // The only ending that can be the cause was over before the accept began.
    breaks(&[3, 4], &[started(1, 0, 10), revoked(2, 20, 30), yes(2, true, 35, 60), no(3, true, "session_revoked", 40, 65)]);
}

#[test]
fn rule_5_a_refusal_has_its_cause() {
    breaks(&[5], &[started(1, 0, 10), no(2, false, "session_revoked", 20, 30)]);
    breaks(&[5], &[started(1, 0, 10), no(2, false, "session_revoked", 20, 30), revoked(2, 31, 40)]);
    breaks(&[], &[started(1, 0, 10), no(2, false, "session_revoked", 20, 30), revoked(2, 29, 40)]);
    breaks(&[], &[started(1, 0, 10), no(2, false, "node_stale", 20, 30)]);
}

#[test]
fn rule_6_a_local_read_is_late_by_at_most_max_staleness() {
    let s = STALENESS_MS * 1_000;
    breaks(&[6], &[started(1, 0, 10), revoked(2, 20, 30), yes(2, false, 30 + s, 40 + s)]);
    breaks(&[], &[started(1, 0, 10), revoked(2, 20, 30), yes(2, false, 29 + s, 40 + s)]);
}

#[test]
fn rules_7_and_12_what_ended_stays_ended() {
    let s = STALENESS_MS * 1_000;
    breaks(&[7], &[started(1, 0, 10), revoked(2, 20, 90), no(2, false, "session_revoked", 31, 40), yes(2, false, 41, 50)]);
    // Another node may lag behind, but not longer than max_staleness.
    breaks(&[], &[started(1, 0, 10), revoked(2, 20, 90), no(2, false, "session_revoked", 31, 40), yes(3, false, 41, 50)]);
    breaks(&[12], &[started(1, 0, 10), perhaps_revoked(20, 90), no(2, false, "session_revoked", 31, 40), yes(3, false, 41 + s, 50 + s)]);
}

#[test]
fn rule_10_an_acknowledged_session_is_found() {
    breaks(&[10], &[started(1, 0, 10), no(3, false, "session_not_found", 10, 30)]);
    breaks(&[], &[started(1, 0, 10), no(3, false, "session_not_found", 9, 30)]);
}

/// A cluster in one variable: every operation takes effect at one instant within its time, so the history is good.
fn good_history(chance: &mut Chance) -> Vec<Line> {
    let (mut at, mut index, mut lines) = (0, 0, vec![]);
    let (mut active, mut told_by) = (false, [false; 4]);
    for step in 0..40 {
        let (t0, effect) = (at, at + 1 + chance.below(5));
        let t1 = effect + chance.below(5);
        at = t1 + 1 + chance.below(3);
        let (node, strict) = (1 + chance.below(3), chance.percent(33));
        if step == 0 {
            index += 1;
            active = true;
            lines.push(started(index, t0, t1));
        } else if chance.percent(6) {
            index += 1;
            active = false;
            lines.push(revoked(index, t0, t1));
        } else if active {
            lines.push(yes(node, strict, t0, t1));
        } else {
            told_by[usize::try_from(node).expect("a small number")] = true;
            lines.push(no(node, strict, "session_revoked", t0, t1));
        }
    }
    lines
}

#[test]
fn good_histories_pass_and_every_planted_lie_is_caught() {
    let mut chance = Chance::of_this_run("checker");
    let (mut planted, mut caught) = (0, 0);
    for _ in 0..1_000 {
        let good = good_history(&mut chance);
        let told = history(&good, STALENESS_MS);
        assert!(told.is_empty(), "a good history is called bad: {told:#?}");
        for bad in lies(&good) {
            planted += 1;
            caught += usize::from(!history(&bad, STALENESS_MS).is_empty());
        }
    }
    assert!(planted > 500, "only {planted} lies were planted");
    assert_eq!(caught, planted, "a lie went unnoticed");
}

/// The same history with one thing changed that cannot have happened.
fn lies(good: &[Line]) -> Vec<Vec<Line>> {
    let mut bad = Vec::new();
    let done: Vec<usize> = (0..good.len()).filter(|at| index(&good[*at]).is_some()).collect();
    if let [.., before, last] = done[..] {
        // Two writes that did not overlap swap their indexes.
        let mut lines = good.to_vec();
        let moved = lines[before].ending.clone();
        lines[before].ending = std::mem::replace(&mut lines[last].ending, moved);
        bad.push(lines);
    }
    if let Some(at) = good.iter().position(|it| says(it, "session_revoked")) {
        // A refusal is forged before the first revocation, or turned into a strict accept after it.
        let mut lines = good.to_vec();
        lines[at].t0 = good[0].t1 + 1;
        lines[at].t1 = good[0].t1 + 1;
        if good.iter().find(|it| matches!(it.operation, Operation::RevokeSession { .. })).is_some_and(|it| it.t0 > lines[at].t1) {
            bad.push(lines);
        }
        let mut lines = good.to_vec();
        let Operation::Read { strict, .. } = &mut lines[at].operation else { unreachable!("only reads are refused") };
        *strict = true;
        lines[at].ending = Ending::Accepted;
        bad.push(lines);
    }
    bad
}
