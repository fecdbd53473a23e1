//! What is wrong with a configuration, in the operator's words.

use std::fmt;

/// One thing that is wrong: which key, where its value came from, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, as `section.key`; empty when no single key is at fault.
    pub key: String,
    /// Where its value came from.
    pub source: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{} ", self.key)?;
        }
        if !self.source.is_empty() {
            write!(f, "({})", self.source)?;
        }
        if self.key.is_empty() && self.source.is_empty() { f.write_str(&self.message) } else { write!(f, ": {}", self.message) }
    }
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn of(key: &str, source: impl Into<String>, message: impl Into<String>) -> Self {
        Self { problems: vec![Problem { key: key.to_owned(), source: source.into(), message: message.into() }] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = self.problems.as_slice() {
            return problem.fmt(f);
        }
        write!(f, "{} settings cannot be used", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}
