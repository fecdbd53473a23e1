//! What the clients saw, one line per operation, on one clock: the evidence that [`crate::check`] judges.

use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

/// How an operation ended, as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Ending {
    /// A write that was acknowledged at this index.
    Done {
        /// Where it stands in the log.
        index: u64,
    },
    /// A read that found the session active.
    Accepted,
    /// Certainly not done, or a read that said no; the problem's code.
    Refused {
        /// As in the problem document.
        code: String,
    },
    /// Perhaps done: 504, a time-out, a connection that broke.
    Unknown,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Operation {
    /// Start a session; its id is known only when the start was done.
    Start {
        /// Whose.
        user: String,
        /// The session that came back.
        session: Option<String>,
    },
    /// Authenticate, or another read that says whether the session is active.
    Read {
        /// Which.
        session: String,
        /// At which read level.
        strict: bool,
    },
    /// End one session.
    RevokeSession {
        /// Which.
        session: String,
    },
    /// End all sessions of a user, but perhaps one.
    RevokeUser {
        /// Whose.
        user: String,
        /// Not this one.
        except: Option<String>,
    },
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Who asked.
    pub client: String,
    /// The node that was asked.
    pub node: u64,
    /// What was asked.
    pub operation: Operation,
    /// When the request began, microseconds of `CLOCK_MONOTONIC`.
    pub t0: u64,
    /// When its answer had come, or when the client gave up.
    pub t1: u64,
    /// What came of it.
    pub ending: Ending,
}

/// Where all clients of a cluster write to.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Line>>>);

impl Recorder {
    /// Adds a line.
    pub fn add(&self, line: Line) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// All lines so far, by the beginning of the request.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lines.sort_by_key(|it| it.t0);
        lines
    }
}
