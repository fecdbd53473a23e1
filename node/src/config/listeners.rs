//! `[api]`, `[admin]`, `[peer]`: three listeners, three doors.

use super::{Address, Listen};
use serde::{Deserialize, Serialize};

/// `[api]`: the listener for applications, verifiers and proxies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    /// Where it listens.
    pub listen: Listen,
    /// The address that other nodes and the CLI are told; absent: the own entry of `cluster.peers`, else `listen`.
    pub advertise: Option<Address>,
    /// The largest request body, bytes; a larger one is answered with 413.
    pub body_max_bytes: u64,
    /// Says that a proxy in front terminates TLS; without it, an address off loopback is refused.
    pub behind_tls_proxy: bool,
    /// Threads that answer HTTP requests.
    pub workers: u64,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { listen: Listen::loopback(7400), advertise: None, body_max_bytes: 65_536, behind_tls_proxy: false, workers: 2 }
    }
}

/// `[admin]`: the listener for operators, the CLI and Prometheus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// Where it listens.
    pub listen: Listen,
    /// Says that a proxy in front terminates TLS; without it, an address off loopback is refused.
    pub behind_tls_proxy: bool,
    /// Whether `/metrics` is answered without a key.
    pub metrics_public: bool,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { listen: Listen::loopback(7401), behind_tls_proxy: false, metrics_public: false }
    }
}

/// `[peer]`: the listener for the other nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerSettings {
    /// Where it listens; loopback only until there is TLS between nodes.
    pub listen: Listen,
    /// The address that the other nodes are told; absent: the own entry of `cluster.peers`, else `listen`.
    pub advertise: Option<Address>,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self { listen: Listen::loopback(7402), advertise: None }
    }
}
