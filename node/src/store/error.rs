//! What can go wrong with a disk: at opening (the operator reads it) and afterwards (the process ends with it).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a store does not open. Each text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works in the directory.
    #[error("{} is in use by another process: stop that process, or give this node a data directory of its own", .0.display())]
    Locked(PathBuf),
    /// The directory holds something, but no store; it is never overwritten.
    #[error("{} is not empty and is no curfew data directory: choose an empty directory, or one that curfew has made", .0.display())]
    Foreign(PathBuf),
    /// The store was written by a version of curfew that this one cannot read.
    #[error("{} has the store format {found:?}, and this curfew reads format {known}: start the version of curfew that wrote it", .path.display())]
    UnknownFormat {
        /// The header file.
        path: PathBuf,
        /// The format that it names.
        found: String,
        /// The format that this program reads.
        known: u16,
    },
    /// Others than the owner may write in the directory.
    #[error("{} may be written by others than its owner (mode {mode:03o}): run chmod 0700 on it", .path.display())]
    Permissions {
        /// The data directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The disk no longer knows what it has promised.
    #[error(
        "{} forgot what it promised ({what}): remove this node from the cluster and add it again under a new id with an empty data directory",
        .path.display()
    )]
    Forgot {
        /// The part of the data directory that came back short.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// Bytes came back other than they were written.
    #[error(
        "{} is damaged ({what}): remove this node from the cluster and add it again under a new id with an empty data directory",
        .path.display()
    )]
    Damaged {
        /// The damaged part.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The operating system, or the database, refused.
    #[error("cannot {doing} {}: {cause}", .path.display())]
    Failed {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// The answer.
        cause: io::Error,
    },
}

impl OpenError {
    pub(super) fn failed(doing: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Failed { doing, path: path.to_owned(), cause }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    pub(super) fn forgot(path: &Path, what: impl Into<String>) -> Self {
        Self::Forgot { path: path.to_owned(), what: what.into() }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { path, what } => Self::Damaged { path, what },
            StoreError::Failed { doing, path, cause } => Self::Failed { doing, path, cause: io::Error::new(cause.kind(), cause.to_string()) },
            other => Self::Failed { doing: "open", path: PathBuf::new(), cause: io::Error::other(other.to_string()) },
        }
    }
}

/// Why an open store could not do its work.
///
/// `Failed`, `Damaged` and `Panicked` end the store: every later call gets the same error, and the process must exit with it.
/// `Refused` is an answer to this one call, and nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A write, a sync or a read failed. A failed sync is never tried again.
    #[error("cannot {doing} {}: {cause}", .path.display())]
    Failed {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// The answer of the operating system or of the database.
        cause: Arc<io::Error>,
    },
    /// Bytes came back other than they were written.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged {
        /// The damaged file or database.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A thread of the store died of a bug.
    #[error("the {0} of the store ended by a panic")]
    Panicked(&'static str),
    /// The store is being closed.
    #[error("the store is closed")]
    Closed,
    /// The call asked for what the store does not do; nothing has changed.
    #[error("{0}")]
    Refused(&'static str),
}

impl StoreError {
    pub(super) fn failed(doing: &'static str, path: &Path, cause: io::Error) -> Self {
        Self::Failed { doing, path: path.to_owned(), cause: Arc::new(cause) }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// Whether the disk had no room left.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Failed { cause, .. } if cause.kind() == io::ErrorKind::StorageFull)
    }
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Failed { cause, .. } => Self::new(cause.kind(), error),
            StoreError::Damaged { .. } => Self::new(io::ErrorKind::InvalidData, error),
            _ => Self::other(error),
        }
    }
}
