//! What is expected of a JWT's claims, and what they say once they have met it (VER-9, VER-10, VER-12).
//!
//! A claim of the wrong type is refused, never taken for absent. Nothing here looks at a signature.

use super::VerifyError;
use super::json;
use super::mint::CLAIMS_DEPTH_MAX;
use crate::domain::{LogIndex, Moment, SessionId};
use serde_json::{Map, Value};

/// The largest integer that every JSON reader reads alike (RFC 8259 section 6).
pub(super) const INTEGER_MAX: u64 = 1 << 53;

/// What the asker expects of a JWT.
#[derive(Clone, Copy, Debug)]
pub struct Expect<'a> {
    /// `iss`, exactly.
    pub issuer: &'a str,
    /// One of `aud`, exactly; `None`: whoever it is for.
    pub audience: Option<&'a str>,
    /// Tolerance on `exp`, `iat` and `nbf`, seconds.
    pub leeway_seconds: u64,
    /// Cluster time.
    pub now: Moment,
    /// The longest life that any JWT of this cluster had, seconds.
    pub max_ttl_seconds: u64,
    /// For exchange: an expired JWT is no error, but [`Verified::expired`]. Everything else is checked as ever.
    pub allow_expired: bool,
}

/// What a JWT that has been verified says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The session.
    pub sid: SessionId,
    /// The index of the session's start entry.
    pub rev: LogIndex,
    /// The user.
    pub sub: String,
    /// The key that signed it.
    pub kid: String,
    /// When it was issued, seconds since the epoch.
    pub iat: u64,
    /// When it expires, seconds since the epoch.
    pub exp: u64,
    /// Whether that has come, leeway included; only ever true if [`Expect::allow_expired`].
    pub expired: bool,
    /// Whom it is for; not empty.
    pub audience: Vec<String>,
    /// Its own id.
    pub jti: String,
}

impl Expect<'_> {
    /// Checks the claims of a JWT: their types, and that they are what is expected.
    pub(super) fn check(&self, payload: &[u8], kid: String) -> Result<Verified, VerifyError> {
        let claims = json::object(payload, CLAIMS_DEPTH_MAX).map_err(VerifyError::Claims)?;
        if text(&claims, "iss")? != self.issuer {
            return Err(VerifyError::Issuer);
        }
        let audience = audience(&claims)?;
        if self.audience.is_some_and(|asker| !audience.iter().any(|name| name == asker)) {
            return Err(VerifyError::Audience);
        }
        if claims.contains_key("cnf") {
            return Err(VerifyError::Bound);
        }
        text(&claims, "client_id")?;
        let (iat, exp) = (integer(&claims, "iat")?, integer(&claims, "exp")?);
        Ok(Verified {
            sid: text(&claims, "sid")?.parse().map_err(|_| VerifyError::Claim("sid"))?,
            rev: integer(&claims, "rev")?,
            sub: text(&claims, "sub")?.to_owned(),
            jti: text(&claims, "jti")?.to_owned(),
            expired: self.check_times(&claims, iat, exp)?,
            kid,
            iat,
            exp,
            audience,
        })
    }

    /// Whether it has expired; an error if that, or anything else about its times, is a reason to refuse it.
    fn check_times(&self, claims: &Map<String, Value>, iat: u64, exp: u64) -> Result<bool, VerifyError> {
        // All values are at most 2^53 seconds, so that milliseconds fit.
        let leeway_ms = self.leeway_seconds.saturating_mul(1000);
        let ahead = |seconds: u64| seconds * 1000 > self.now.0.saturating_add(leeway_ms);
        if exp <= iat || exp - iat > self.max_ttl_seconds {
            return Err(VerifyError::Life);
        }
        if ahead(iat) {
            return Err(VerifyError::IssuedInFuture);
        }
        if claims.contains_key("nbf") && ahead(integer(claims, "nbf")?) {
            return Err(VerifyError::NotYet);
        }
        let expired = self.now.0 >= (exp * 1000).saturating_add(leeway_ms);
        if expired && !self.allow_expired { Err(VerifyError::Expired) } else { Ok(expired) }
    }
}

/// A claim that must be text and not empty.
fn text<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, VerifyError> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(VerifyError::Claim(name))
}

/// A claim that must be an integer, written as one.
fn integer(claims: &Map<String, Value>, name: &'static str) -> Result<u64, VerifyError> {
    claims.get(name).and_then(Value::as_u64).filter(|integer| *integer <= INTEGER_MAX).ok_or(VerifyError::Claim(name))
}

/// `aud`: text, or an array of texts that is not empty.
fn audience(claims: &Map<String, Value>) -> Result<Vec<String>, VerifyError> {
    let wrong = VerifyError::Claim("aud");
    let name = |value: &Value| value.as_str().filter(|name| !name.is_empty()).map(ToOwned::to_owned);
    match claims.get("aud") {
        Some(Value::Array(names)) if !names.is_empty() => names.iter().map(name).collect::<Option<_>>().ok_or(wrong),
        Some(one) => name(one).map(|name| vec![name]).ok_or(wrong),
        None => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Policy;
    use crate::tokens::fixtures::{NOW, NOW_SECONDS, claims, expect, header, keys, mint, object, session, sign, with};

    /// `now < exp + leeway`, to the millisecond (RFC 7519 section 4.1.4: refused on or after).
    #[test]
    fn a_jwt_ends_exactly_when_it_says() {
        let keys = keys();
        let jwt = keys.mint(mint(&session(), &Policy::default())).unwrap().jwt;
        let exp_ms = (NOW_SECONDS + 300) * 1000;
        for (leeway_seconds, now_ms, expired) in
            [(0, exp_ms - 1, false), (0, exp_ms, true), (5, exp_ms + 4_999, false), (5, exp_ms + 5_000, true), (5, u64::MAX, true)]
        {
            let expect = Expect { leeway_seconds, now: Moment(now_ms), ..expect() };
            let verdict = keys.verify(&jwt, expect).map(|verified| verified.expired);
            assert_eq!(verdict, if expired { Err(VerifyError::Expired) } else { Ok(false) }, "{leeway_seconds} {now_ms}");
            let for_exchange = keys.verify(&jwt, Expect { allow_expired: true, ..expect }).map(|verified| verified.expired);
            assert_eq!(for_exchange, Ok(expired), "{leeway_seconds} {now_ms}");
        }
    }

    #[test]
    fn a_jwt_from_the_future_waits_for_its_time() {
        let keys = keys();
        let jwt = keys.mint(mint(&session(), &Policy::default())).unwrap().jwt;
        for (leeway_seconds, behind_ms, verdict) in
            [(0, 0, Ok(())), (0, 1, Err(VerifyError::IssuedInFuture)), (5, 5_000, Ok(())), (5, 5_001, Err(VerifyError::IssuedInFuture))]
        {
            let expect = Expect { leeway_seconds, now: Moment(NOW_SECONDS * 1000 - behind_ms), ..expect() };
            assert_eq!(keys.verify(&jwt, expect).map(drop), verdict, "{leeway_seconds} {behind_ms}");
        }
    }

    #[test]
    fn leeway_without_measure_overflows_nothing() {
        let keys = keys();
        let head = object(&header(keys.signing_kid().unwrap()));
        let body = object(&with(with(claims(), "exp", "9007199254740992"), "iat", "9007199254740991"));
        let token = sign(&keys, head.as_bytes(), body.as_bytes());
        let expect = Expect { leeway_seconds: u64::MAX, max_ttl_seconds: u64::MAX, now: Moment(u64::MAX), ..expect() };
        assert_eq!(keys.verify(&token, expect).map(|verified| verified.expired), Err(VerifyError::Expired));
        assert!(keys.verify(&token, Expect { now: Moment(0), ..expect }).is_ok());
    }

    #[test]
    fn for_exchange_everything_but_expiry_is_still_checked() {
        let keys = keys();
        let for_exchange = Expect { allow_expired: true, now: NOW.plus_ms(86_400_000), ..expect() };
        let head = object(&header(keys.signing_kid().unwrap()));
        let token = |claim, json| sign(&keys, head.as_bytes(), object(&with(claims(), claim, json)).as_bytes());
        assert_eq!(keys.verify(&token("rev", "1"), for_exchange).map(|verified| verified.expired), Ok(true));
        assert_eq!(keys.verify(&token("iss", "\"x\""), for_exchange), Err(VerifyError::Issuer));
        assert_eq!(keys.verify(&token("aud", "\"x\""), for_exchange), Err(VerifyError::Audience));
        assert_eq!(keys.verify(&token("cnf", "{}"), for_exchange), Err(VerifyError::Bound));
        assert_eq!(keys.verify(&token("iat", "1"), for_exchange), Err(VerifyError::Life));
        let tampered = token("rev", "1").replace(".", "_.");
        assert!(keys.verify(&tampered, for_exchange).is_err());
    }
}
