//! `[policy]`: what a cluster is formed with. Once formed, the replicated policy counts.

use crate::domain::{LimitMode, Policy, Preset, RefreshByExpiredJwt, SessionLimit};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// `[policy]`: a preset, and what differs from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// A named set of lifetimes: `aal1`, `aal2`, `aal3`.
    pub preset: Preset,
    /// Absolute lifetime of a session that names none; absent: the preset's.
    pub session_ttl_seconds: Option<u64>,
    /// The longest absolute lifetime that may be asked for; absent: the preset's or `session_ttl_seconds`, whichever is longer.
    pub session_ttl_max_seconds: Option<u64>,
    /// Idle time-out of a session that names none; absent: the preset's.
    pub idle_timeout_seconds: Option<u64>,
    /// The longest idle time-out that may be asked for; absent: the preset's or `idle_timeout_seconds`, whichever is longer.
    pub idle_timeout_max_seconds: Option<u64>,
    /// Life of a JWT.
    pub jwt_ttl_seconds: u64,
    /// Tolerance on `exp` and `iat`.
    pub leeway_seconds: u64,
    /// How old the knowledge behind a `local` answer may be.
    pub max_staleness_ms: u64,
    /// Whether an expired JWT may be exchanged for a fresh one.
    pub refresh_by_expired_jwt: ExchangeSetting,
    /// Whether a factor added to a session gives it a new token.
    pub rotate_on_reauthentication: bool,
    /// How long an ended session can be explained.
    pub tombstone_retention_seconds: u64,
    /// Active sessions and tombstones in all.
    pub sessions_max: u64,
    /// Active sessions of one user; absent: only the total counts.
    pub sessions_per_user_max: Option<u64>,
    /// What happens at the limit per user.
    pub sessions_per_user_mode: LimitModeSetting,
    /// How long the next signing key is published before it may sign.
    pub key_lead_seconds: u64,
}

impl Default for PolicySettings {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            preset: Preset::default(),
            session_ttl_seconds: None,
            session_ttl_max_seconds: None,
            idle_timeout_seconds: None,
            idle_timeout_max_seconds: None,
            jwt_ttl_seconds: policy.jwt_ttl_seconds,
            leeway_seconds: policy.leeway_seconds,
            max_staleness_ms: policy.max_staleness_ms,
            refresh_by_expired_jwt: ExchangeSetting::Within(None),
            rotate_on_reauthentication: policy.rotate_on_reauthentication,
            tombstone_retention_seconds: policy.tombstone_retention_ms / 1000,
            sessions_max: policy.sessions_max,
            sessions_per_user_max: None,
            sessions_per_user_mode: LimitModeSetting::EvictOldest,
            key_lead_seconds: policy.key_lead_ms / 1000,
        }
    }
}

impl PolicySettings {
    /// The policy that these settings stand for.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let preset = Policy::preset(self.preset);
        let session_ttl_ms = ms(self.session_ttl_seconds).unwrap_or(preset.session_ttl_ms);
        let idle_timeout_ms = ms(self.idle_timeout_seconds).or(preset.idle_timeout_ms);
        Policy {
            session_ttl_ms,
            session_ttl_max_ms: ms(self.session_ttl_max_seconds).unwrap_or(preset.session_ttl_max_ms.max(session_ttl_ms)),
            idle_timeout_ms,
            idle_timeout_max_ms: ms(self.idle_timeout_max_seconds).or(room_for(idle_timeout_ms, preset.idle_timeout_max_ms)),
            jwt_ttl_seconds: self.jwt_ttl_seconds,
            leeway_seconds: self.leeway_seconds,
            max_staleness_ms: self.max_staleness_ms,
            refresh_by_expired_jwt: self.refresh_by_expired_jwt.into(),
            rotate_on_reauthentication: self.rotate_on_reauthentication,
            tombstone_retention_ms: self.tombstone_retention_seconds.saturating_mul(1000),
            sessions_max: self.sessions_max,
            sessions_per_user: self.sessions_per_user_max.map(|max| SessionLimit { max, mode: self.sessions_per_user_mode.into() }),
            acr: preset.acr,
            key_lead_ms: self.key_lead_seconds.saturating_mul(1000),
        }
    }
}

fn ms(seconds: Option<u64>) -> Option<u64> {
    seconds.map(|seconds| seconds.saturating_mul(1000))
}

/// A cap that leaves room for the value under it; no cap stays none.
fn room_for(value: Option<u64>, cap: Option<u64>) -> Option<u64> {
    cap.map(|cap| value.map_or(cap, |value| cap.max(value)))
}

/// What happens at the limit of active sessions per user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitModeSetting {
    /// The oldest session ends.
    EvictOldest,
    /// The new one is refused.
    Refuse,
}

impl From<LimitModeSetting> for LimitMode {
    fn from(setting: LimitModeSetting) -> Self {
        match setting {
            LimitModeSetting::EvictOldest => Self::EvictOldest(()),
            LimitModeSetting::Refuse => Self::Refuse(()),
        }
    }
}

/// `"off"`, `"on"`, `"within"` or `{ within_seconds = N }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeSetting {
    /// An expired JWT is never exchanged.
    Off,
    /// Until so many seconds after its expiry; `None`: the session's idle time-out, else one hour.
    Within(Option<u64>),
    /// As long as the session is active.
    On,
}

impl From<ExchangeSetting> for RefreshByExpiredJwt {
    fn from(setting: ExchangeSetting) -> Self {
        match setting {
            ExchangeSetting::Off => Self::Off(()),
            ExchangeSetting::Within(seconds) => Self::Within(ms(seconds)),
            ExchangeSetting::On => Self::On(()),
        }
    }
}

const EXCHANGES: &str = r#""off", "on", "within" or { within_seconds = N }"#;

impl Serialize for ExchangeSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::On => serializer.serialize_str("on"),
            Self::Within(None) => serializer.serialize_str("within"),
            Self::Within(Some(seconds)) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("within_seconds", seconds)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for ExchangeSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExchangeVisitor)
    }
}

struct ExchangeVisitor;

impl<'de> Visitor<'de> for ExchangeVisitor {
    type Value = ExchangeSetting;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXCHANGES)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ExchangeSetting, E> {
        match text {
            "off" => Ok(ExchangeSetting::Off),
            "on" => Ok(ExchangeSetting::On),
            "within" => Ok(ExchangeSetting::Within(None)),
            other => Err(E::custom(format!("{other:?} is not {EXCHANGES}"))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExchangeSetting, A::Error> {
        match map.next_entry::<String, u64>()? {
            Some((key, seconds)) if key == "within_seconds" && map.next_key::<String>()?.is_none() => Ok(ExchangeSetting::Within(Some(seconds))),
            _ => Err(A::Error::custom(format!("expected {EXCHANGES}"))),
        }
    }
}
