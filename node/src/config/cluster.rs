//! `[node]` and `[cluster]`: who this node is, and with whom it stands.

use super::Address;
use crate::domain::NodeId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[node]`: who this node is and where it keeps its data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSettings {
    /// Its number in the cluster, from 1; never reused.
    pub id: NodeId,
    /// The directory of all that it keeps; a relative path starts at the working directory.
    pub data_dir: PathBuf,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self { id: 1, data_dir: PathBuf::from("./curfew-data") }
    }
}

/// `[cluster]`: the cluster that this node is part of.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterSettings {
    /// The members that form the cluster together, this node included, the same list on all of them. Empty: a node of its own.
    pub peers: Vec<MemberAddresses>,
    /// Peer addresses of a cluster that exists already and that this node waits to be added to.
    pub join: Vec<Address>,
    /// `iss` of every JWT; fixed when the cluster forms.
    pub issuer: Option<String>,
    /// `aud` of the JWTs of a session that names none; fixed when the cluster forms.
    pub default_audience: Option<String>,
    /// The file of the cluster secret, one a line: the first wraps, all unwrap.
    pub secret_file: Option<PathBuf>,
    /// The file of the root API key.
    pub root_key_file: Option<PathBuf>,
}

/// One member and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberAddresses {
    /// Its number.
    pub id: NodeId,
    /// Its peer listener.
    pub peer: Address,
    /// Its `api` listener.
    pub api: Address,
}

/// The issuer of a cluster whose settings name none.
const ISSUER: &str = "http://127.0.0.1:7400";
/// The default audience of a cluster whose settings name none.
const DEFAULT_AUDIENCE: &str = "curfew";

impl ClusterSettings {
    /// The member with this number, if `peers` names it.
    #[must_use]
    pub fn member(&self, id: NodeId) -> Option<&MemberAddresses> {
        self.peers.iter().find(|member| member.id == id)
    }

    /// Whether this node stands for itself: it forms a cluster of one without asking anybody.
    #[must_use]
    pub fn alone(&self) -> bool {
        self.peers.is_empty() && self.join.is_empty()
    }

    /// The issuer that a cluster formed by this node gets.
    #[must_use]
    pub fn issuer_at_init(&self) -> &str {
        self.issuer.as_deref().unwrap_or(ISSUER)
    }

    /// The default audience that a cluster formed by this node gets.
    #[must_use]
    pub fn default_audience_at_init(&self) -> &str {
        self.default_audience.as_deref().unwrap_or(DEFAULT_AUDIENCE)
    }
}
