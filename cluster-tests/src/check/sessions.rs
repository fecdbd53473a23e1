//! The life of sessions. A session only moves from absent to active to ended, so no search is needed: every answer puts a bound on the moment of
//! its creation or of its ending, and the bounds must leave room.

use super::Violation;
use crate::history::{Ending, Line, Operation};
use std::collections::{BTreeMap, HashMap};

/// Checks a history, in any order; `max_staleness_ms` is the policy's.
///
/// Rules by number: 2 indexes follow real time and none is given twice; 3 no strict accept after an acknowledged ending; 4 one instant of ending
/// fits all strict answers; 5 every `session_revoked` has a cause; 6 no local accept later than `max_staleness` after an acknowledged ending;
/// 7 a node that refused never accepts later; 10 what was acknowledged is never `session_not_found`; 12 what was shown ended never comes back.
#[must_use]
pub fn history(lines: &[Line], max_staleness_ms: u64) -> Vec<Violation> {
    let mut told = indexes(lines);
    for life in lives(lines).values() {
        told.extend(life.check(max_staleness_ms * 1_000));
    }
    told
}

/// Rule 2.
fn indexes(lines: &[Line]) -> Vec<Violation> {
    let mut done: Vec<(u64, &Line)> = lines.iter().filter_map(|it| Some((index(it)?, it))).collect();
    done.sort_by_key(|it| it.0);
    let mut told = Vec::new();
    // Walking from high to low: the earliest end of any write with a higher index must not lie before the start of this one.
    let mut earliest: Option<(u64, &Line)> = None;
    for pair in done.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        told.push(broken(2, "one index was given to two writes", &[pair[0].1, pair[1].1]));
    }
    for (index, line) in done.into_iter().rev() {
        if let Some((_, other)) = earliest.filter(|(above, other)| *above > index && other.t1 < line.t0) {
            told.push(broken(2, "a write that began after another was done has a lower index", &[other, line]));
        }
        if earliest.is_none_or(|(_, other)| line.t1 < other.t1) {
            earliest = Some((index, line));
        }
    }
    told
}

fn index(line: &Line) -> Option<u64> {
    match line.ending {
        Ending::Done { index } => Some(index),
        Ending::Accepted | Ending::Refused { .. } | Ending::Unknown => None,
    }
}

/// All that was seen of one session.
#[derive(Default)]
struct Life<'a> {
    start: Option<&'a Line>,
    /// Revocations that cover it, if they were done or may have been.
    endings: Vec<&'a Line>,
    reads: Vec<&'a Line>,
}

fn lives(lines: &[Line]) -> BTreeMap<&str, Life<'_>> {
    let mut lives: BTreeMap<&str, Life<'_>> = BTreeMap::new();
    let mut of_user: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in lines {
        match &line.operation {
            Operation::Start { user, session: Some(session) } => {
                lives.entry(session).or_default().start = Some(line);
                of_user.entry(user).or_default().push(session);
            }
            Operation::Read { session, .. } => lives.entry(session).or_default().reads.push(line),
            Operation::RevokeSession { session } if may_be_done(line) => lives.entry(session).or_default().endings.push(line),
            Operation::Start { .. } | Operation::RevokeSession { .. } | Operation::RevokeUser { .. } => {}
        }
    }
    for line in lines.iter().filter(|it| may_be_done(it)) {
        let Operation::RevokeUser { user, except } = &line.operation else { continue };
        for session in of_user.get(user.as_str()).into_iter().flatten().filter(|it| Some(**it) != except.as_deref()) {
            let life = lives.get_mut(session).expect("a started session has a life");
            if life.start.is_some_and(|start| covers(line, start)) {
                life.endings.push(line);
            }
        }
    }
    lives
}

fn may_be_done(line: &Line) -> bool {
    matches!(line.ending, Ending::Done { .. } | Ending::Unknown)
}

/// Whether a wide revocation reaches a session with this start: by index where both are known, else unless it was over before the start began.
fn covers(revocation: &Line, start: &Line) -> bool {
    match (index(revocation), index(start)) {
        (Some(revocation), Some(start)) => start < revocation,
        _ => true,
    }
}

impl Life<'_> {
    fn check(&self, max_staleness_us: u64) -> Vec<Violation> {
        let mut told = self.revocations(max_staleness_us);
        told.extend(self.one_instant());
        told.extend(self.causes());
        told.extend(self.no_return(max_staleness_us));
        told.extend(self.never_lost());
        told
    }

    fn accepts(&self) -> impl Iterator<Item = &Line> {
        self.reads.iter().copied().filter(|it| it.ending == Ending::Accepted)
    }

    fn refusals(&self) -> impl Iterator<Item = &Line> {
        self.reads.iter().copied().filter(|it| says(it, "session_revoked") || says(it, "session_expired"))
    }

    fn acknowledged(&self) -> Option<&Line> {
        self.endings.iter().copied().filter(|it| index(it).is_some()).min_by_key(|it| it.t1)
    }

    /// Rules 3 and 6.
    fn revocations(&self, max_staleness_us: u64) -> Vec<Violation> {
        let Some(ending) = self.acknowledged() else { return Vec::new() };
        let late = self.accepts().filter_map(|accept| {
            let strict = is_strict(accept);
            let bound = if strict { ending.t1 + 1 } else { ending.t1 + max_staleness_us };
            let (rule, what) =
                if strict { (3, "a strict read accepted after") } else { (6, "a local read accepted longer than max_staleness after") };
            (accept.t0 >= bound).then(|| broken(rule, &format!("{what} the acknowledged ending"), &[ending, accept]))
        });
        late.collect()
    }

    /// Rule 4: the latest strict accept lies before the earliest strict refusal, and some ending reaches the gap between them.
    fn one_instant(&self) -> Vec<Violation> {
        let accept = self.accepts().filter(|it| is_strict(it)).max_by_key(|it| it.t0);
        let refusal = self.refusals().filter(|it| is_strict(it)).min_by_key(|it| it.t1);
        match (accept, refusal) {
            (Some(accept), Some(refusal)) if refusal.t1 < accept.t0 => {
                vec![broken(4, "a strict refusal was followed by a strict accept", &[refusal, accept])]
            }
            (Some(accept), Some(refusal)) if says(refusal, "session_revoked") && !self.endings.is_empty() => {
                let reaches = |it: &&Line| it.t0 <= refusal.t1 && (index(it).is_none() || it.t1 >= accept.t0);
                if self.endings.iter().any(reaches) {
                    Vec::new()
                } else {
                    vec![broken(4, "no ending fits between this accept and this refusal", &[accept, refusal])]
                }
            }
            _ => Vec::new(),
        }
    }

    /// Rule 5.
    fn causes(&self) -> Vec<Violation> {
        let first = self.endings.iter().map(|it| it.t0).min();
        let without = self.refusals().filter(|it| says(it, "session_revoked") && first.is_none_or(|t0| t0 > it.t1));
        without.map(|it| broken(5, "a session was called revoked before anybody asked for it", &[it])).collect()
    }

    /// Rules 7 and 12.
    fn no_return(&self, max_staleness_us: u64) -> Vec<Violation> {
        let mut first_of_node: HashMap<u64, &Line> = HashMap::new();
        for refusal in self.refusals() {
            let first = first_of_node.entry(refusal.node).or_insert(refusal);
            if refusal.t1 < first.t1 {
                *first = refusal;
            }
        }
        let first = self.refusals().min_by_key(|it| it.t1);
        let mut told = Vec::new();
        for accept in self.accepts() {
            if let Some(refusal) = first_of_node.get(&accept.node).filter(|it| it.t1 < accept.t0) {
                told.push(broken(7, "a node accepted what it had refused before", &[refusal, accept]));
            } else if let Some(refusal) = first.filter(|it| it.t1 + if is_strict(accept) { 0 } else { max_staleness_us } < accept.t0) {
                told.push(broken(12, "a session that was shown ended came back", &[refusal, accept]));
            }
        }
        told
    }

    /// Rule 10.
    fn never_lost(&self) -> Vec<Violation> {
        let Some(start) = self.start.filter(|it| index(it).is_some()) else { return Vec::new() };
        let lost = self.reads.iter().filter(|it| says(it, "session_not_found") && it.t0 >= start.t1);
        lost.map(|it| broken(10, "an acknowledged session was not found", &[start, it])).collect()
    }
}

fn is_strict(line: &Line) -> bool {
    matches!(line.operation, Operation::Read { strict: true, .. })
}

fn says(line: &Line, code: &str) -> bool {
    matches!(&line.ending, Ending::Refused { code: it } if it == code)
}

fn broken(rule: u8, what: &str, lines: &[&Line]) -> Violation {
    let told: Vec<String> = lines.iter().map(|it| format!("    {it:?}")).collect();
    Violation { rule, what: format!("{what}:\n{}", told.join("\n")) }
}

#[cfg(test)]
mod tests;
