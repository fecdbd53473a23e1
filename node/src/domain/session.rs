//! The session: the server-side record, and the pure questions that can be asked of it.

use super::tagged::tagged;
use super::{LogIndex, Moment, SessionId, TokenHash};
use serde::{Deserialize, Serialize};

/// One authentication factor that the application has verified.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Factor {
    /// An authentication method reference (RFC 8176), such as `pwd` or `otp`.
    pub method: String,
    /// When it was verified.
    pub at: Moment,
}

/// The record of a session, as every node holds it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Its public name.
    pub id: SessionId,
    /// The index of its start entry: its key in the state, and what wide revocations compare with.
    pub rev: LogIndex,
    /// Whose it is.
    pub user_id: String,
    /// The hash of its present session token.
    pub token: TokenHash,
    /// The application name of the API key that started it; fixed.
    pub client_id: String,
    /// When it started, by cluster time.
    pub started_at: Moment,
    /// When it was last seen; at most a touch interval old.
    pub last_seen_at: Moment,
    /// Its absolute expiry.
    pub expires_at: Moment,
    /// Milliseconds without being seen after which it ends.
    pub idle_timeout_ms: Option<u64>,
    /// A JSON object, canonical text.
    pub attributes: String,
    /// A JSON object, canonical text; goes into the JWTs.
    pub claims: String,
    /// What the user has proven.
    pub factors: Vec<Factor>,
    /// Whom its JWTs are for; never empty.
    pub audience: Vec<String>,
    /// Counts the changes of the record, from 1.
    pub version: u64,
    /// Why it ended; `None` while nothing in the record has ended it.
    pub ended: Option<Ending>,
}

/// How a session ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// The moment of the end, by cluster time.
    pub at: Moment,
    /// The log index of the entry that ended it.
    pub index: LogIndex,
    /// Why.
    pub cause: Cause,
}

tagged! {
    /// Why a session ended.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum Cause {
        /// Somebody revoked it.
        1 => Revoked(Revoked),
        /// Its time had come.
        2 => Expired(Expired),
        /// A newer session of the same user took its place.
        3 => Evicted(Evicted),
    }
}

/// A revocation as seen from one session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// The name of the API key that revoked it.
    pub by: String,
    /// What the caller gave as reason.
    pub reason: Option<String>,
}

/// An expiry as seen from one session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Expired {
    /// Whether it was the idle time-out (`true`) or the absolute lifetime.
    pub idle: bool,
}

/// An eviction as seen from one session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evicted {
    /// The session that was started in its place.
    pub by: SessionId,
}

/// The next moment at which time itself ends a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// When.
    pub at: Moment,
    /// Whether the idle time-out comes first.
    pub idle: bool,
}

/// What a session is at a given moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Active.
    Active,
    /// Ended, by an entry of the log.
    Ended(Ending),
    /// Past a deadline that no entry has recorded yet.
    PastDeadline(Deadline),
}

impl Session {
    /// When the idle time-out ends it, if it has one.
    #[must_use]
    pub fn idle_expires_at(&self) -> Option<Moment> {
        self.idle_timeout_ms.map(|ms| self.last_seen_at.plus_ms(ms))
    }

    /// The first deadline that it will meet.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        match self.idle_expires_at() {
            Some(at) if at < self.expires_at => Deadline { at, idle: true },
            _ => Deadline { at: self.expires_at, idle: false },
        }
    }

    /// What its own record says of it at `now`. Cut-offs of wide revocations are the state's to add.
    #[must_use]
    pub fn standing_by_record(&self, now: Moment) -> Standing {
        if let Some(ending) = &self.ended {
            return Standing::Ended(ending.clone());
        }
        let deadline = self.deadline();
        if now >= deadline.at { Standing::PastDeadline(deadline) } else { Standing::Active }
    }

    /// How often being seen is worth an entry: a tenth of the idle time-out, ten minutes without one. Milliseconds.
    #[must_use]
    pub fn touch_interval_ms(&self) -> u64 {
        self.idle_timeout_ms.map_or(600_000, |ms| (ms / 10).max(1))
    }
}
