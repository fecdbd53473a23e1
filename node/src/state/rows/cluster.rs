//! Key space 1: who the cluster is. Key: none, there is one row. Written by the first command, and there for good.

use crate::domain::ClusterId;
use crate::state::table::Record;
use serde::{Deserialize, Serialize};

/// What a cluster is from its first command on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// Which cluster.
    pub cluster_id: ClusterId,
    /// `iss` of every JWT.
    pub issuer: String,
    /// `aud` of a JWT whose session names none.
    pub default_audience: String,
    /// What `apply` may do: 1 in this release.
    pub format_level: u32,
}

impl Record for ClusterFacts {
    const TAG: u8 = 1;
    type Key = ();

    fn key(&self) {}
}
