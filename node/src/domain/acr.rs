//! Authentication assurance levels, computed from the methods of a session's factors.

use super::Factor;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An authentication context class, in rising order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acr {
    /// Any factor, or none recorded.
    Aal1,
    /// Two factors of different kinds.
    Aal2,
    /// Two factors, one of them hardware that resists phishing.
    Aal3,
}

impl fmt::Display for Acr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aal1 => "aal1",
            Self::Aal2 => "aal2",
            Self::Aal3 => "aal3",
        })
    }
}

/// Which sets of methods (RFC 8176) reach which level: a level is reached when all methods of one of its sets are present.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AcrTable {
    /// The sets that reach `aal2`.
    pub aal2: Vec<Vec<String>>,
    /// The sets that reach `aal3`.
    pub aal3: Vec<Vec<String>>,
}

impl AcrTable {
    /// The level that these factors reach.
    #[must_use]
    pub fn level(&self, factors: &[Factor]) -> Acr {
        let has = |set: &Vec<String>| !set.is_empty() && set.iter().all(|method| factors.iter().any(|factor| factor.method == *method));
        if self.aal3.iter().any(has) {
            Acr::Aal3
        } else if self.aal2.iter().any(has) {
            Acr::Aal2
        } else {
            Acr::Aal1
        }
    }
}

impl Default for AcrTable {
    fn default() -> Self {
        let sets = |sets: &[&[&str]]| sets.iter().map(|set| set.iter().map(ToString::to_string).collect()).collect();
        Self {
            aal2: sets(&[&["mfa"], &["pwd", "otp"], &["pwd", "sms"], &["pwd", "swk"], &["pwd", "hwk"], &["swk", "pin"], &["swk", "user"]]),
            aal3: sets(&[&["hwk", "pin"], &["hwk", "user"], &["pwd", "hwk"]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Moment;

    #[test]
    fn a_level_needs_all_methods_of_one_of_its_sets() {
        let table = AcrTable::default();
        let factors = |methods: &[&str]| methods.iter().map(|m| Factor { method: (*m).to_owned(), at: Moment(0) }).collect::<Vec<_>>();
        assert_eq!(table.level(&[]), Acr::Aal1);
        assert_eq!(table.level(&factors(&["pwd"])), Acr::Aal1);
        assert_eq!(table.level(&factors(&["otp"])), Acr::Aal1);
        assert_eq!(table.level(&factors(&["otp", "pwd"])), Acr::Aal2);
        assert_eq!(table.level(&factors(&["pwd", "hwk"])), Acr::Aal3);
    }
}
