//! Why the disk could not be opened, and why it could not be used any longer.

use std::io;
use std::path::PathBuf;

/// What an operator does with a node whose disk can no longer be trusted.
const REPLACE: &str = "remove this node from the cluster and add it again under a new id with an empty data directory; never start it with this one";

/// Why a data directory could not be opened; each text is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another handle of this one, has the directory open.
    #[error("{0} is in use by another process: stop it first, or choose another data directory")]
    Locked(PathBuf),
    /// Files, but none of ours.
    #[error("{0} is not empty and was not made by curfew: choose an empty data directory, or empty this one")]
    Foreign(PathBuf),
    /// Others may write here.
    #[error("{path} can be written by others (mode {mode:o}): run chmod 700 on it and make sure that its content is yours")]
    Permissions {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Written by a release with another format.
    #[error("{path} has store format {found}; this release knows format {known}: start the release that wrote it, or a newer one")]
    UnknownFormat {
        /// The header file.
        path: PathBuf,
        /// The version found.
        found: String,
        /// The version known here.
        known: u32,
    },
    /// Something does not add up, and this node cannot say what is true.
    #[error("{what} is damaged ({why}): {REPLACE}")]
    Damaged {
        /// The file or directory.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Less is on disk than what was promised.
    #[error("this disk forgot what it had promised ({0}): {REPLACE}")]
    Forgot(String),
    /// The file system refused.
    #[error("{path} cannot be used: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The database refused.
    #[error("the database {path} cannot be opened: {why}")]
    Database {
        /// Its directory.
        path: PathBuf,
        /// Its answer.
        why: String,
    },
    /// A store error while the disk was brought in order.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an operation failed. After any failure of a write the store answers every call with that first error, and the process must end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A write, a sync or a read failed.
    #[error("{what} failed: {why}")]
    Failed {
        /// What was being done, and to which file.
        what: String,
        /// The system's answer.
        why: String,
    },
    /// Bytes came back other than they were written.
    #[error("{what} is damaged ({why}): {REPLACE}")]
    Damaged {
        /// The file or directory, and the index or key in it.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The caller broke an order that the store relies on; nothing was written.
    #[error("refused: {0}")]
    Refused(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Damaged { .. } => io::ErrorKind::InvalidData,
            StoreError::Refused(_) => io::ErrorKind::InvalidInput,
            StoreError::Failed { .. } | StoreError::Closed => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
