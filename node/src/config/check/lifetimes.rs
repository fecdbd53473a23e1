//! Which lifetimes hold together.

use super::Check;
use crate::config::{Config, ExchangeSetting};
use crate::domain::{Policy, Preset};

const TEN_YEARS_SECONDS: u64 = 10 * 365 * 86_400;
const AAL3_TTL_MAX_SECONDS: u64 = 12 * 3_600;
const AAL3_IDLE_MAX_SECONDS: u64 = 15 * 60;

impl Check<'_> {
    pub(super) fn policy(&mut self, config: &Config) {
        let policy = &config.policy;
        self.within("policy.jwt_ttl_seconds", policy.jwt_ttl_seconds, 10..=3_600);
        self.within("policy.leeway_seconds", policy.leeway_seconds, 0..=30);
        self.within("policy.tombstone_retention_seconds", policy.tombstone_retention_seconds, 60..=30 * 86_400);
        self.within("policy.sessions_max", policy.sessions_max, 1..=50_000_000);
        self.within("policy.key_lead_seconds", policy.key_lead_seconds, 60..=30 * 86_400);
        if let Some(max) = policy.sessions_per_user_max {
            self.within("policy.sessions_per_user_max", max, 1..=10_000);
        }
        if let ExchangeSetting::Within(Some(seconds)) = policy.refresh_by_expired_jwt {
            self.within("policy.refresh_by_expired_jwt", seconds, 1..=TEN_YEARS_SECONDS);
        }
    }

    pub(super) fn lifetimes(&mut self, config: &Config) {
        let policy = config.policy.policy();
        let (ttl, ttl_max) = (policy.session_ttl_ms / 1000, policy.session_ttl_max_ms / 1000);
        self.within("policy.session_ttl_seconds", ttl, 60..=TEN_YEARS_SECONDS);
        self.within("policy.session_ttl_max_seconds", ttl_max, ttl..=TEN_YEARS_SECONDS);
        if let Some(idle) = policy.idle_timeout_ms.map(|ms| ms / 1000) {
            let idle_max = policy.idle_timeout_max_ms.map_or(ttl_max, |ms| (ms / 1000).min(ttl_max));
            let least = 2 * config.policy.jwt_ttl_seconds.min(3_600);
            if idle < least {
                self.refuse(
                    "policy.idle_timeout_seconds",
                    format!("{idle} is less than two lives of a JWT (policy.jwt_ttl_seconds): at least {least}"),
                );
            } else if idle > idle_max {
                self.refuse("policy.idle_timeout_seconds", format!("{idle} is above the cap: at most {idle_max}"));
            }
        }
        self.aal3(config, &policy);
    }

    fn aal3(&mut self, config: &Config, policy: &Policy) {
        if config.policy.preset != Preset::Aal3 {
            return;
        }
        let ttl_key = if config.policy.session_ttl_max_seconds.is_some() { "policy.session_ttl_max_seconds" } else { "policy.session_ttl_seconds" };
        if policy.session_ttl_max_ms > AAL3_TTL_MAX_SECONDS * 1000 {
            self.refuse(ttl_key, format!("preset aal3 allows at most {AAL3_TTL_MAX_SECONDS} (12 hours, NIST SP 800-63B-4 section 2.3.3)"));
        }
        let idle_key =
            if config.policy.idle_timeout_max_seconds.is_some() { "policy.idle_timeout_max_seconds" } else { "policy.idle_timeout_seconds" };
        if policy.idle_timeout_max_ms.is_none_or(|ms| ms > AAL3_IDLE_MAX_SECONDS * 1000) {
            self.refuse(idle_key, format!("preset aal3 allows at most {AAL3_IDLE_MAX_SECONDS} (15 minutes, NIST SP 800-63B-4 section 2.3.3)"));
        }
    }
}
