//! What subscribers were told: ordered, unique, whole, without a gap.

use super::Violation;
use crate::feed::Told;
use std::collections::{BTreeMap, BTreeSet};

/// Checks what each subscriber was told against the revocations that were acknowledged, by index (rule 17).
///
/// Over all connections of a subscriber, until a `resync`, positions rise strictly for revocations and never fall, no revocation comes twice and none
/// between the first and the last position is missing; one index has the same bytes everywhere.
#[must_use]
pub fn feeds(subscribers: &[Vec<Told>], acknowledged: &BTreeSet<u64>) -> Vec<Violation> {
    let mut told = Vec::new();
    let mut bytes: BTreeMap<u64, &Told> = BTreeMap::new();
    for subscriber in subscribers {
        told.extend(order(subscriber));
        told.extend(gaps(subscriber, acknowledged));
        for event in subscriber.iter().filter(|it| it.event == "revocation") {
            let Some(index) = event.index() else {
                told.push(broken("a revocation without a position", &[event]));
                continue;
            };
            let first = bytes.entry(index).or_insert(event);
            if first.data != event.data {
                told.push(broken("one index has two texts", &[first, event]));
            }
        }
    }
    told
}

/// Positions rise, within and across connections, until a `resync` starts over: a revocation stands above all that came before, a `hello` or a
/// heartbeat not below it (else whoever resumes from there is told twice).
fn order(subscriber: &[Told]) -> Vec<Violation> {
    let mut told = Vec::new();
    let mut last: Option<&Told> = None;
    for event in subscriber {
        match event.event.as_str() {
            "resync" => last = None,
            _ if event.id.is_none() => {}
            "revocation" => {
                if let Some(before) = last.filter(|it| it.index() >= event.index()) {
                    told.push(broken("a revocation at or below what was told before", &[before, event]));
                }
                last = Some(event);
            }
            _ => {
                if let Some(before) = last.filter(|it| it.index() > event.index()) {
                    told.push(broken("a position below what was told before", &[before, event]));
                }
                if last.is_none_or(|it| it.index() < event.index()) {
                    last = Some(event);
                }
            }
        }
    }
    told
}

/// Every acknowledged revocation between the first and the last position of a run without `resync` was told.
fn gaps(subscriber: &[Told], acknowledged: &BTreeSet<u64>) -> Vec<Violation> {
    let mut told = Vec::new();
    for run in subscriber.split(|it| it.event == "resync") {
        let (Some(first), Some(last)) = (run.iter().find_map(Told::index), run.iter().filter_map(Told::index).max()) else { continue };
        let last = last.max(first);
        let seen: BTreeSet<u64> = run.iter().filter(|it| it.event == "revocation").filter_map(Told::index).collect();
        // The first position is where the stream began: what stands there or before need not be told.
        let missing: Vec<u64> = acknowledged.range(first..=last).filter(|it| **it > first && !seen.contains(it)).copied().collect();
        if !missing.is_empty() {
            told.push(Violation { rule: 17, what: format!("revocations {missing:?} were skipped between {first} and {last}") });
        }
    }
    told
}

fn broken(what: &str, events: &[&Told]) -> Violation {
    let told: Vec<String> = events.iter().map(|it| format!("    {it:?}")).collect();
    Violation { rule: 17, what: format!("{what}:\n{}", told.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(connection: u64, event: &str, index: u64) -> Told {
        Told { connection, node: 1, at: 0, id: Some(format!("7f3ac210.{index}")), event: event.to_owned(), data: format!("{{\"index\":{index}}}") }
    }

    #[track_caller]
    fn verdict(events: Vec<Told>, acknowledged: &[u64]) -> usize {
        feeds(&[events], &acknowledged.iter().copied().collect()).len()
    }

    #[test]
    fn what_is_told_in_order_and_whole_is_good() {
        let good = vec![
            told(1, "hello", 3),
            told(1, "revocation", 4),
            told(1, "heartbeat", 6),
            told(2, "hello", 6),
            told(2, "revocation", 7),
            told(2, "heartbeat", 7),
        ];
        assert_eq!(verdict(good, &[2, 4, 7]), 0);
        let resynced = vec![told(1, "revocation", 4), told(2, "hello", 9), told(2, "resync", 9), told(2, "revocation", 4), told(2, "revocation", 10)];
        assert_eq!(verdict(resynced, &[4, 10]), 0);
    }

    #[test]
    fn gaps_repetitions_and_reversals_are_caught() {
        assert_eq!(verdict(vec![told(1, "hello", 3), told(1, "heartbeat", 6)], &[4]), 1, "skipped in silence");
        assert_eq!(verdict(vec![told(1, "revocation", 4), told(2, "revocation", 4)], &[4]), 1, "told twice across a resume");
        assert_eq!(verdict(vec![told(1, "revocation", 5), told(1, "revocation", 4)], &[]), 1, "out of order");
        assert_eq!(verdict(vec![told(1, "heartbeat", 6), told(1, "revocation", 5)], &[]), 1, "a heartbeat ran ahead");
        assert_eq!(verdict(vec![told(1, "hello", 6), told(1, "revocation", 5)], &[]), 1, "the hello ran ahead");
        assert_eq!(verdict(vec![told(1, "heartbeat", 6), told(2, "hello", 5)], &[]), 1, "the hello fell back");
        let mut other = told(1, "revocation", 4);
        other.data.push(' ');
        assert_eq!(feeds(&[vec![told(1, "revocation", 4)], vec![other]], &BTreeSet::new()).len(), 1, "bytes differ");
    }
}
