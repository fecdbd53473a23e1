//! Key space 10: the cluster time of the last entry. Key: none, there is one row. Only ever written with a later moment.

use crate::domain::Moment;
use crate::state::table::Record;
use serde::{Deserialize, Serialize};

/// The time below which the cluster never falls again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::state) struct ClusterTime {
    pub(in crate::state) last_at: Moment,
}

impl Record for ClusterTime {
    const TAG: u8 = 10;
    type Key = ();

    fn key(&self) {}
}
