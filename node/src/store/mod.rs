//! The disk of one node: who it is, its Raft log, its tables and its snapshots.
//!
//! The store deals in bytes. It knows sled and the file system, and must not know sessions, openraft or any runtime: threads of its own do the
//! work, and what it tells others it tells through callbacks, one-shot answers and watches.

mod entry;
mod error;
mod settings;

pub use entry::{LogEntry, LogPos, Payload, Row, SnapshotMeta, Vote};
pub use error::{OpenError, StoreError};
pub use settings::Settings;
