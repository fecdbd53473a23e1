//! What the tests of this room share: a cluster's keys, a session, and a forger who has the signing key.

use super::{Expect, Keys, Mint, first_keyring};
use crate::dice;
use crate::domain::{Factor, Keyring, Moment, Policy, Session, SessionId, TokenHash};
use crate::secret::{ClusterSecret, SecretRing};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub(super) const ISSUER: &str = "https://sessions.example.com";
pub(super) const AUDIENCE: &str = "billing";
/// 2026-01-01T10:00:00.500Z: half a second past a whole one, so that rounding shows.
pub(super) const NOW: Moment = Moment(1_767_261_600_500);
pub(super) const NOW_SECONDS: u64 = 1_767_261_600;

pub(super) fn ring() -> SecretRing {
    SecretRing::new(vec![ClusterSecret::from_bytes(&[7; 32]).unwrap()]).unwrap()
}

pub(super) fn keyring() -> Keyring {
    first_keyring(&ring(), NOW, &Policy::default(), [dice::bytes(), dice::bytes()])
}

pub(super) fn keys() -> Keys {
    Keys::open(&keyring(), &ring()).unwrap()
}

pub(super) fn session() -> Session {
    Session {
        id: SessionId([1; 16]),
        rev: 4711,
        user_id: "user-123".to_owned(),
        token: TokenHash([2; 32]),
        client_id: "web".to_owned(),
        started_at: NOW,
        last_seen_at: NOW,
        expires_at: NOW.plus_ms(86_400_000),
        idle_timeout_ms: None,
        attributes: "{}".to_owned(),
        claims: "{}".to_owned(),
        factors: Vec::new(),
        audience: vec![AUDIENCE.to_owned()],
        version: 1,
        ended: None,
    }
}

pub(super) fn factor(method: &str, at: Moment) -> Factor {
    Factor { method: method.to_owned(), at }
}

pub(super) fn mint<'a>(session: &'a Session, policy: &'a Policy) -> Mint<'a> {
    Mint { issuer: ISSUER, session, policy, now: NOW, jti: [3; 16] }
}

pub(super) fn expect() -> Expect<'static> {
    Expect { issuer: ISSUER, audience: Some(AUDIENCE), leeway_seconds: 5, now: NOW, max_ttl_seconds: 300, allow_expired: false }
}

/// The names and the JSON texts of an object's members, in order.
pub(super) type Members = Vec<(&'static str, String)>;

pub(super) fn header(kid: &str) -> Members {
    vec![("alg", r#""ES256""#.to_owned()), ("typ", r#""at+jwt""#.to_owned()), ("kid", format!("\"{kid}\""))]
}

pub(super) fn claims() -> Members {
    vec![
        ("iss", format!("\"{ISSUER}\"")),
        ("sub", r#""user-123""#.to_owned()),
        ("aud", format!("\"{AUDIENCE}\"")),
        ("client_id", r#""web""#.to_owned()),
        ("exp", (NOW_SECONDS + 300).to_string()),
        ("iat", NOW_SECONDS.to_string()),
        ("jti", r#""AAAA""#.to_owned()),
        ("sid", format!("\"{}\"", SessionId([1; 16]))),
        ("rev", "4711".to_owned()),
    ]
}

/// The same members with one replaced, or added at the end.
pub(super) fn with(mut members: Members, name: &'static str, json: &str) -> Members {
    match members.iter_mut().find(|(present, _)| *present == name) {
        Some((_, present)) => json.clone_into(present),
        None => members.push((name, json.to_owned())),
    }
    members
}

/// The same members without one.
pub(super) fn without(mut members: Members, name: &str) -> Members {
    members.retain(|(present, _)| *present != name);
    members
}

/// The object as JSON text.
pub(super) fn object(members: &Members) -> String {
    let members: Vec<String> = members.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
    format!("{{{}}}", members.join(","))
}

/// Signs any header and any payload with the key that signs: only the rules stand between this and acceptance.
pub(super) fn sign(keys: &Keys, header: &[u8], payload: &[u8]) -> String {
    sign_text(keys, &format!("{}.{}", encode(header), encode(payload)))
}

/// Signs a text as it is.
pub(super) fn sign_text(keys: &Keys, message: &str) -> String {
    format!("{message}.{}", keys.signer().unwrap().sign(message).unwrap())
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
