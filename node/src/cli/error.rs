//! How a command ends when it is not done.

use crate::config::ConfigError;

/// Exit code of what was refused or failed.
const FAILED: u8 = 1;
/// Exit code of a usage or configuration that cannot work.
pub(super) const USAGE: u8 = 2;

/// Why a command is not done, in the user's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The arguments cannot mean anything, or what they need is not there.
    #[error("{0}")]
    Usage(String),
    /// The settings cannot be used.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The server refused.
    #[error("{0}")]
    Refused(String),
    /// No answer came.
    #[error("{0}")]
    Failed(String),
    /// Whoever read our output has gone away: there is nobody left to do it for.
    #[error("the reader of the output has gone away")]
    ReaderGone,
}

impl CliError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Config(_) => USAGE,
            Self::Refused(_) | Self::Failed(_) | Self::ReaderGone => FAILED,
        }
    }
}
