//! Verifying a JWT: the rules VER-1 to VER-12 of the token standards, stricter than the library's.
//!
//! What comes out is proven to be signed by this cluster and to be meant for the asker; whether its session is active is for the state to
//! say. Each refusal has one cause, for the operator; the caller hears only that the token is invalid.

use super::Keys;
use super::json::{self, JsonError};
use super::jws::{Jws, JwsError, VerifyingKey};
use super::keys::Known;
use super::mint::{CLAIMS_DEPTH_MAX, Minted};
use crate::domain::{LogIndex, Moment, SessionId};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::{Map, Value};
use std::fmt;

/// The largest integer that every JSON reader reads alike (RFC 8259 section 6).
const INTEGER_MAX: u64 = 1 << 53;
/// The longest `kid` that is looked up, bytes.
const KID_MAX_BYTES: usize = 64;

/// Why a JWT is refused. It never repeats anything of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is no JWS, or not signed by its key.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// `typ` is absent, or not `at+jwt`: another kind of token of this or another issuer.
    #[error("the token is not of the type at+jwt")]
    Typ,
    /// `kid` is absent, or not 1 to 64 characters of base64url.
    #[error("the token names no key")]
    Kid,
    /// `kid` names no key of this cluster.
    #[error("the token names a key that this cluster does not have")]
    UnknownKey,
    /// The key has been retired.
    #[error("the key of the token has been retired")]
    RetiredKey,
    /// The key was withdrawn.
    #[error("the key of the token was withdrawn")]
    WithdrawnKey,
    /// The payload is no object that can be read in one way.
    #[error("the claims of the token cannot be read: {0}")]
    Claims(JsonError),
    /// A claim is absent or has the wrong type.
    #[error("the claim {0} is absent or of the wrong type")]
    Claim(&'static str),
    /// `iss` is somebody else.
    #[error("the token is from another issuer")]
    Issuer,
    /// `aud` does not contain the asker.
    #[error("the token is for another audience")]
    Audience,
    /// It has a `cnf`, which cannot be checked here and must not be ignored.
    #[error("the token is bound to a key that cannot be checked")]
    Bound,
    /// `exp` is not after `iat`, or further from it than any JWT of this cluster.
    #[error("the life of the token is none, or longer than allowed")]
    Life,
    /// `iat` is ahead of cluster time.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// `nbf` is ahead of cluster time.
    #[error("the token is not valid yet")]
    NotYet,
    /// `exp` has come.
    #[error("the token has expired")]
    Expired,
}

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

impl Keys {
    /// Verifies a JWT.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify(&self, jwt: &str, expect: Expect<'_>) -> Result<Verified, VerifyError> {
        let (jws, key, kid) = self.read(jwt)?;
        key.check(&jws)?;
        check_claims(&jws.payload, kid, &expect)
    }

    /// Checks all of a JWT but its signature. What it says can be used to find a JWT that this node minted; nothing else, before it is
    /// [proven](Unproven::prove).
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn inspect<'a>(&'a self, jwt: &'a str, expect: Expect<'_>) -> Result<Unproven<'a>, VerifyError> {
        let (jws, key, kid) = self.read(jwt)?;
        key.check_alg(&jws)?;
        let claims = check_claims(&jws.payload, kid, &expect)?;
        Ok(Unproven { jwt, jws, key, claims })
    }

    /// The parts of a JWT and the key that it names.
    fn read<'a>(&self, jwt: &'a str) -> Result<(Jws<'a>, &VerifyingKey, String), VerifyError> {
        let mut jws = Jws::parse(jwt)?;
        if !jws.typ.as_deref().is_some_and(is_access_token) {
            return Err(VerifyError::Typ);
        }
        let kid = jws.kid.take().filter(|kid| is_kid(kid)).ok_or(VerifyError::Kid)?;
        match self.known(&kid) {
            Some(Known::Verifies(key)) => Ok((jws, key, kid)),
            Some(Known::Retired) => Err(VerifyError::RetiredKey),
            Some(Known::Withdrawn) => Err(VerifyError::WithdrawnKey),
            None => Err(VerifyError::UnknownKey),
        }
    }
}

/// A JWT whose signature has not been checked yet.
pub struct Unproven<'a> {
    jwt: &'a str,
    jws: Jws<'a>,
    key: &'a VerifyingKey,
    claims: Verified,
}

impl Unproven<'_> {
    /// The session that it claims to speak of.
    #[must_use]
    pub fn sid(&self) -> SessionId {
        self.claims.sid
    }

    /// The index that it claims for the session's start entry.
    #[must_use]
    pub fn rev(&self) -> LogIndex {
        self.claims.rev
    }

    /// Proves it: by its bytes, when it is `known`, a JWT that this node minted itself; else by its signature.
    ///
    /// # Errors
    /// [`JwsError::Signature`].
    pub fn prove(self, known: Option<&Minted>) -> Result<Verified, VerifyError> {
        let recognised = known.is_some_and(|known| verify_slices_are_equal(known.jwt.as_bytes(), self.jwt.as_bytes()).is_ok());
        if !recognised {
            self.key.check(&self.jws)?;
        }
        Ok(self.claims)
    }
}

impl fmt::Debug for Unproven<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unproven(..)")
    }
}

/// RFC 9068 section 4; media types are compared without regard to case.
fn is_access_token(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

/// Before anything is looked up by it (RFC 8725 section 3.10).
fn is_kid(kid: &str) -> bool {
    (1..=KID_MAX_BYTES).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn check_claims(payload: &[u8], kid: String, expect: &Expect<'_>) -> Result<Verified, VerifyError> {
    let claims = json::object(payload, CLAIMS_DEPTH_MAX).map_err(VerifyError::Claims)?;
    if text(&claims, "iss")? != expect.issuer {
        return Err(VerifyError::Issuer);
    }
    let audience = audience(&claims)?;
    if expect.audience.is_some_and(|asker| !audience.iter().any(|name| name == asker)) {
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
        expired: check_times(&claims, iat, exp, expect)?,
        kid,
        iat,
        exp,
        audience,
    })
}

/// Whether it has expired; an error if that, or anything else about its times, is a reason to refuse it.
fn check_times(claims: &Map<String, Value>, iat: u64, exp: u64, expect: &Expect<'_>) -> Result<bool, VerifyError> {
    // All values are at most 2^53 seconds, so that milliseconds fit.
    let leeway_ms = expect.leeway_seconds.saturating_mul(1000);
    let ahead = |seconds: u64| seconds * 1000 > expect.now.0.saturating_add(leeway_ms);
    if exp <= iat || exp - iat > expect.max_ttl_seconds {
        return Err(VerifyError::Life);
    }
    if ahead(iat) {
        return Err(VerifyError::IssuedInFuture);
    }
    if claims.contains_key("nbf") && ahead(integer(claims, "nbf")?) {
        return Err(VerifyError::NotYet);
    }
    let expired = expect.now.0 >= (exp * 1000).saturating_add(leeway_ms);
    if expired && !expect.allow_expired { Err(VerifyError::Expired) } else { Ok(expired) }
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
