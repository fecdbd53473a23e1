//! The replicated settings: lifetimes, limits, what may be exchanged.

use super::AcrTable;
use super::tagged::tagged;
use serde::{Deserialize, Serialize};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A named set of lifetimes (NIST SP 800-63B-4, sections 2.1.3, 2.2.3, 2.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// 30 days, no idle time-out.
    #[default]
    Aal1,
    /// 24 hours, idle after one hour.
    Aal2,
    /// 12 hours, idle after 15 minutes.
    Aal3,
}

tagged! {
    /// Whether an expired JWT may be exchanged for a fresh one.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum RefreshByExpiredJwt {
        /// Never.
        1 => Off(()),
        /// Until so many milliseconds after its expiry; `None` means the session's idle time-out, else one hour.
        2 => Within(Option<u64>),
        /// As long as the session is active.
        3 => On(()),
    }
}

tagged! {
    /// What happens at the limit of active sessions per user.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum LimitMode {
        /// The oldest session ends.
        1 => EvictOldest(()),
        /// The new one is refused.
        2 => Refuse(()),
    }
}

/// How many active sessions one user may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionLimit {
    /// The number.
    pub max: u64,
    /// What happens at it.
    pub mode: LimitMode,
}

/// The settings that all nodes share, because they are in the replicated state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// Absolute lifetime of a session that names none, milliseconds.
    pub session_ttl_ms: u64,
    /// The longest absolute lifetime that may be asked for.
    pub session_ttl_max_ms: u64,
    /// Idle time-out of a session that names none.
    pub idle_timeout_ms: Option<u64>,
    /// The longest idle time-out that may be asked for; `None`: no cap.
    pub idle_timeout_max_ms: Option<u64>,
    /// Life of a JWT, seconds.
    pub jwt_ttl_seconds: u64,
    /// Tolerance on `exp` and `iat`, seconds.
    pub leeway_seconds: u64,
    /// How old the knowledge behind a `local` answer may be, milliseconds.
    pub max_staleness_ms: u64,
    /// Whether an expired JWT may be exchanged.
    pub refresh_by_expired_jwt: RefreshByExpiredJwt,
    /// Whether a factor added to a session gives it a new token.
    pub rotate_on_reauthentication: bool,
    /// How long an ended session can be explained, milliseconds.
    pub tombstone_retention_ms: u64,
    /// Active sessions and tombstones in all.
    pub sessions_max: u64,
    /// Active sessions of one user; `None`: only the total counts.
    pub sessions_per_user: Option<SessionLimit>,
    /// Which factors make which assurance level.
    pub acr: AcrTable,
    /// Lead time of the next key before it signs, milliseconds.
    pub key_lead_ms: u64,
}

impl Policy {
    /// The policy that a preset stands for.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        let (session_ttl_ms, idle_timeout_ms) = match preset {
            Preset::Aal1 => (30 * DAY_MS, None),
            Preset::Aal2 => (DAY_MS, Some(HOUR_MS)),
            Preset::Aal3 => (12 * HOUR_MS, Some(15 * MINUTE_MS)),
        };
        Self {
            session_ttl_ms,
            session_ttl_max_ms: session_ttl_ms,
            idle_timeout_ms,
            idle_timeout_max_ms: idle_timeout_ms,
            jwt_ttl_seconds: 300,
            leeway_seconds: 5,
            max_staleness_ms: 2_000,
            refresh_by_expired_jwt: RefreshByExpiredJwt::Within(None),
            rotate_on_reauthentication: true,
            tombstone_retention_ms: DAY_MS,
            sessions_max: 5_000_000,
            sessions_per_user: None,
            acr: AcrTable::default(),
            key_lead_ms: DAY_MS,
        }
    }

    /// How long a revocation made under this policy is kept, milliseconds: until the last JWT it concerns could no longer be accepted anywhere.
    #[must_use]
    pub fn revocation_retention_ms(&self) -> u64 {
        let jwt_seconds = self.jwt_ttl_seconds.saturating_add(self.leeway_seconds);
        jwt_seconds.saturating_mul(1000).saturating_add(self.max_staleness_ms).saturating_add(10_000)
    }

    /// How long after its expiry a JWT may still be exchanged, milliseconds; `None`: as long as the session is active.
    #[must_use]
    pub fn exchange_window_ms(&self, idle_timeout_ms: Option<u64>) -> Option<u64> {
        match self.refresh_by_expired_jwt {
            RefreshByExpiredJwt::Off(()) => Some(0),
            RefreshByExpiredJwt::Within(ms) => Some(ms.or(idle_timeout_ms).unwrap_or(HOUR_MS)),
            RefreshByExpiredJwt::On(()) => None,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::preset(Preset::default())
    }
}
