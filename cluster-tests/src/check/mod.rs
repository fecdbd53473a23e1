//! Judges what was seen, without looking at any log: what the clients observed must have been possible.

mod feeds;
mod sessions;

pub use feeds::feeds;
pub use sessions::history;

use std::fmt;

/// A promise that was broken, and by which lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The number of the rule in the list of invariants.
    pub rule: u8,
    /// In one sentence.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}: {}", self.rule, self.what)
    }
}

/// Fails when there is a violation, naming all.
///
/// # Panics
/// Then.
#[track_caller]
pub fn none_of(violations: &[Violation]) {
    let told: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(told.is_empty(), "{} promises were broken:\n{}", told.len(), told.join("\n"));
}
