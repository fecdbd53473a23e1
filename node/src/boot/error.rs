//! Why a node could not start.

use crate::config::ConfigError;
use crate::store::OpenError;

/// Why a node could not start; each text is one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port.
    #[error("{key} = \"{address}\" cannot be listened on: {why}; choose another with {variable} or in the configuration file")]
    Port {
        /// The setting.
        key: &'static str,
        /// Its value.
        address: String,
        /// The system's answer.
        why: String,
        /// The environment variable that changes it.
        variable: &'static str,
    },
    /// The data directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What the data directory holds.
    #[error("{0}")]
    Store(String),
    /// A secret could not be read or kept.
    #[error("{0}")]
    Secret(String),
    /// The settings are another cluster's.
    #[error("{key} is \"{own}\" here, but the cluster was formed with \"{theirs}\": set it to that, or leave it out")]
    OtherCluster {
        /// The setting.
        key: &'static str,
        /// Its value here.
        own: String,
        /// Its value in the cluster.
        theirs: String,
    },
    /// The engine.
    #[error("Raft could not start: {0}")]
    Raft(String),
    /// Threads or sockets.
    #[error("the process could not start its parts: {0}")]
    Runtime(String),
}
