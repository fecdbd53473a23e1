//! The settings of one node: what was typed in flags, environment and file, checked and turned into what the parts use.
//!
//! Flags win over `CURFEW__SECTION__KEY`, that over the file, that over the defaults. Every refusal names the key, where its value came from
//! and what is allowed. `configs/reference.toml` documents every key and is held against the defaults by a test. This room reads files; it
//! opens no port, writes nothing but a secret it is asked to keep, and knows nobody's business.

mod address;
mod check;
mod cluster;
mod error;
mod limits;
mod listeners;
mod load;
mod parts;
mod policy;
mod reset_root;
mod secrets;

pub use crate::telemetry::{LogFormat, LogSettings};
pub use address::{Address, Listen};
pub use cluster::{ClusterSettings, MemberAddresses, NodeSettings};
pub use error::{ConfigError, Problem};
pub use limits::{CONFIG_FILE_MAX_BYTES, MEMBERS_MAX, ROOT_KEY_MIN_CHARS, SECRET_FILE_MAX_BYTES};
pub use listeners::{AdminSettings, ApiSettings, PeerSettings};
pub use load::Flags;
pub use parts::{ActorsSettings, FeedSettings, RaftSettings, StoreSettings};
pub use policy::{ExchangeSetting, LimitModeSetting, PolicySettings};
pub use reset_root::{RESET_ROOT_FILE, ResetRootRequest};
pub use secrets::{CLUSTER_SECRET_FILE, ROOT_KEY_FILE, Secret, Secrets, keep_secret, keep_secret_again};

use serde::{Deserialize, Serialize};

/// All settings of a node. Made by [`Config::load`]; the default is what runs without any file.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who this node is and where it keeps its data.
    pub node: NodeSettings,
    /// The listener for applications, verifiers and proxies.
    pub api: ApiSettings,
    /// The listener for operators.
    pub admin: AdminSettings,
    /// The listener for the other nodes.
    pub peer: PeerSettings,
    /// The cluster that this node is part of.
    pub cluster: ClusterSettings,
    /// Elections, freshness, snapshots.
    pub raft: RaftSettings,
    /// The policy that a cluster is formed with.
    pub policy: PolicySettings,
    /// The revocation feed.
    pub feed: FeedSettings,
    /// Session actors.
    pub actors: ActorsSettings,
    /// The disk.
    pub store: StoreSettings,
    /// What is said on standard error.
    pub log: LogSettings,
}

impl Config {
    /// The address at which other nodes reach the peer listener: `peer.advertise`, else the own entry of `cluster.peers`, else `peer.listen`.
    #[must_use]
    pub fn peer_address(&self) -> Address {
        let own = self.cluster.member(self.node.id).map(|member| member.peer.clone());
        self.peer.advertise.clone().or(own).unwrap_or_else(|| self.peer.listen.into())
    }

    /// The address at which callers reach the `api` listener: `api.advertise`, else the own entry of `cluster.peers`, else `api.listen`.
    #[must_use]
    pub fn api_address(&self) -> Address {
        let own = self.cluster.member(self.node.id).map(|member| member.api.clone());
        self.api.advertise.clone().or(own).unwrap_or_else(|| self.api.listen.into())
    }
}
