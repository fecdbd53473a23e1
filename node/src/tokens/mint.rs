//! Minting: the signed statement that a session was active when it was made (RFC 9068, with `sid` and `rev`).

use super::Keys;
use super::json::{self, JsonError};
use crate::domain::{Acr, Moment, Policy, Session};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// The longest JWT that is minted, bytes: claims of the size that a session may have fit, and the whole fits into one header line of the
/// usual proxies (8 KiB in nginx and Apache).
pub const MINTED_MAX_BYTES: usize = 8_000;
/// How deep a session's own claims may be nested, the object itself included.
pub const CLAIMS_DEPTH_MAX: usize = 16;

/// Claims that a session's own may not shadow: those of RFC 7519 section 4.1, those that Curfew sets, and those by which a JWT would claim
/// to be something else (bound to a key, on behalf of somebody, an event, an entry of a status list). In order.
pub const RESERVED_CLAIMS: &[&str] = &[
    "acr",
    "act",
    "amr",
    "aud",
    "auth_time",
    "azp",
    "client_id",
    "cnf",
    "events",
    "exp",
    "iat",
    "iss",
    "jti",
    "may_act",
    "nbf",
    "rev",
    "sid",
    "status",
    "sub",
    "sub_id",
];

/// Why no JWT could be minted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The cluster has no key that signs.
    #[error("there is no signing key")]
    NoKey,
    /// The session's absolute expiry leaves it no whole second.
    #[error("the session expires before its JWT would")]
    Expired,
    /// It would have so many bytes.
    #[error("the JWT would have {0} bytes; at most {MINTED_MAX_BYTES} are allowed")]
    TooLarge(usize),
    /// The session's own claims are no object that can be read in one way.
    #[error("the claims of the session cannot be read: {0}")]
    Claims(JsonError),
    /// The session is for nobody.
    #[error("the session has no audience")]
    NoAudience,
    /// The signature could not be made.
    #[error("the signing key does not sign")]
    Signing,
}

/// What a JWT is minted from.
#[derive(Clone, Copy, Debug)]
pub struct Mint<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// The session that it speaks of; that it is active is for the caller to know.
    pub session: &'a Session,
    /// How long it lives, and which factors make which level.
    pub policy: &'a Policy,
    /// Cluster time.
    pub now: Moment,
    /// Drawn anew for each JWT.
    pub jti: [u8; 16],
}

/// A JWT, and what it says of itself.
#[derive(Clone)]
pub struct Minted {
    /// The text that its holder presents.
    pub jwt: Arc<str>,
    /// Its `iat`.
    pub issued_at: Moment,
    /// Its `exp`.
    pub expires_at: Moment,
    /// The key that signed it.
    pub kid: Arc<str>,
    /// The version of the session record that it was made from.
    pub version: u64,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jwt: _, issued_at, expires_at, kid, version } = self;
        write!(f, "Minted {{ jwt: .., issued_at: {issued_at}, expires_at: {expires_at}, kid: {kid}, version: {version} }}")
    }
}

impl Keys {
    /// Mints a JWT. It lives as long as the policy says, and never past the session's absolute expiry.
    ///
    /// # Errors
    /// See [`MintError`].
    pub fn mint(&self, mint: Mint<'_>) -> Result<Minted, MintError> {
        let signer = self.signer().ok_or(MintError::NoKey)?;
        let (iat, exp) = life(&mint)?;
        let mut jwt = signer.header.clone();
        URL_SAFE_NO_PAD.encode_string(payload(&mint, iat, exp)?, &mut jwt);
        within(jwt.len())?;
        let signature = signer.sign(&jwt).ok_or(MintError::Signing)?;
        jwt.push('.');
        jwt.push_str(&signature);
        Ok(Minted { jwt: jwt.into(), issued_at: at(iat), expires_at: at(exp), kid: signer.kid.clone(), version: mint.session.version })
    }

    /// Whether a JWT from `mint` would fit, without signing one: to be asked before a session is started or changed, with a `rev` not less
    /// than the one it will get.
    ///
    /// # Errors
    /// What [`mint`](Self::mint) would say.
    pub fn fits(&self, mint: Mint<'_>) -> Result<(), MintError> {
        let signer = self.signer().ok_or(MintError::NoKey)?;
        let (iat, exp) = life(&mint)?;
        let payload_bytes = base64::encoded_len(payload(&mint, iat, exp)?.len(), false).unwrap_or(usize::MAX);
        within(signer.header.len().saturating_add(payload_bytes))
    }
}

/// A dot and 64 bytes in base64url.
const SIGNATURE_BYTES: usize = 1 + 86;

fn within(message_bytes: usize) -> Result<(), MintError> {
    let jwt_bytes = message_bytes.saturating_add(SIGNATURE_BYTES);
    if jwt_bytes > MINTED_MAX_BYTES { Err(MintError::TooLarge(jwt_bytes)) } else { Ok(()) }
}

/// `iat` and `exp`, whole seconds.
fn life(mint: &Mint<'_>) -> Result<(u64, u64), MintError> {
    let iat = mint.now.unix_seconds();
    let exp = iat.saturating_add(mint.policy.jwt_ttl_seconds).min(mint.session.expires_at.unix_seconds());
    if exp <= iat { Err(MintError::Expired) } else { Ok((iat, exp)) }
}

fn at(seconds: u64) -> Moment {
    Moment(0).plus_ms(seconds.saturating_mul(1000))
}

/// The claims, in the order in which they are written.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Audience<'a>,
    client_id: &'a str,
    exp: u64,
    iat: u64,
    jti: String,
    sid: String,
    rev: u64,
    auth_time: u64,
    acr: Acr,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    amr: Vec<&'a str>,
    #[serde(flatten)]
    own: Map<String, Value>,
}

/// `aud`: text when it is one, an array when there are several (RFC 7519 section 4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(&'a [String]),
}

fn payload(mint: &Mint<'_>, iat: u64, exp: u64) -> Result<Vec<u8>, MintError> {
    let session = mint.session;
    let claims = Claims {
        iss: mint.issuer,
        sub: &session.user_id,
        aud: audience(session)?,
        client_id: &session.client_id,
        exp,
        iat,
        jti: URL_SAFE_NO_PAD.encode(mint.jti),
        sid: session.id.to_string(),
        rev: session.rev,
        auth_time: auth_time(session).unix_seconds(),
        acr: mint.policy.acr.level(&session.factors),
        amr: methods(session),
        own: own_claims(session)?,
    };
    Ok(serde_json::to_vec(&claims).expect("claims are text, numbers and JSON values with text as names"))
}

fn audience(session: &Session) -> Result<Audience<'_>, MintError> {
    match session.audience.as_slice() {
        [] => Err(MintError::NoAudience),
        [one] => Ok(Audience::One(one)),
        several => Ok(Audience::Several(several)),
    }
}

/// When the user last proved something; the start of the session if no factor is recorded.
fn auth_time(session: &Session) -> Moment {
    session.factors.iter().map(|factor| factor.at).max().unwrap_or(session.started_at)
}

/// The methods of the factors, each once, in the order of their first use.
fn methods(session: &Session) -> Vec<&str> {
    let mut methods = Vec::new();
    for factor in &session.factors {
        if !methods.contains(&factor.method.as_str()) {
            methods.push(factor.method.as_str());
        }
    }
    methods
}

/// The session's own claims without those that are reserved: the callers refuse these too, but nothing signed may depend on that.
fn own_claims(session: &Session) -> Result<Map<String, Value>, MintError> {
    if session.claims == "{}" {
        return Ok(Map::new());
    }
    let mut own = json::object(session.claims.as_bytes(), CLAIMS_DEPTH_MAX).map_err(MintError::Claims)?;
    own.retain(|name, _| !RESERVED_CLAIMS.contains(&name.as_str()));
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Keyring, SessionId};
    use crate::tokens::fixtures::{ISSUER, NOW, NOW_SECONDS, factor, keys, mint, ring, session};
    use proptest::prelude::*;
    use serde_json::json;

    fn part(jwt: &str, at: usize) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(jwt.split('.').nth(at).unwrap()).unwrap()).unwrap()
    }

    fn claims_of(session: &Session) -> Value {
        part(&keys().mint(mint(session, &Policy::default())).unwrap().jwt, 1)
    }

    #[test]
    fn a_jwt_says_what_the_contract_says() {
        let keys = keys();
        let session = Session {
            factors: vec![factor("pwd", Moment(NOW.0 - 7_500)), factor("otp", Moment(NOW.0 - 9_000)), factor("pwd", Moment(NOW.0 - 60_000))],
            claims: r#"{"role":"admin","teams":["a","b"]}"#.to_owned(),
            version: 3,
            ..session()
        };
        let minted = keys.mint(mint(&session, &Policy::default())).unwrap();
        assert_eq!(part(&minted.jwt, 0), json!({"alg": "ES256", "typ": "at+jwt", "kid": keys.signing_kid()}));
        let expected = json!({
            "iss": ISSUER, "sub": "user-123", "aud": "billing", "client_id": "web", "exp": NOW_SECONDS + 300, "iat": NOW_SECONDS,
            "jti": "AwMDAwMDAwMDAwMDAwMDAw", "sid": SessionId([1; 16]).to_string(), "rev": 4711, "auth_time": NOW_SECONDS - 7,
            "acr": "aal2", "amr": ["pwd", "otp"], "role": "admin", "teams": ["a", "b"],
        });
        assert_eq!(part(&minted.jwt, 1), expected);
        assert_eq!((minted.issued_at, minted.expires_at), (Moment(NOW_SECONDS * 1000), Moment((NOW_SECONDS + 300) * 1000)));
        assert_eq!((Some(&*minted.kid), minted.version), (keys.signing_kid(), 3));
    }

    #[test]
    fn without_factors_the_start_of_the_session_is_the_authentication() {
        let claims = claims_of(&session());
        assert_eq!((&claims["auth_time"], &claims["acr"], claims.get("amr")), (&json!(NOW_SECONDS), &json!("aal1"), None));
        assert_eq!(claims.get("nbf"), None, "a not-before buys nothing and costs skew failures");
    }

    #[test]
    fn an_audience_of_several_is_an_array() {
        let session = Session { audience: vec!["a".to_owned(), "b".to_owned()], ..session() };
        assert_eq!(claims_of(&session)["aud"], json!(["a", "b"]));
        let nobody = Session { audience: Vec::new(), ..session };
        assert_eq!(keys().mint(mint(&nobody, &Policy::default())).unwrap_err(), MintError::NoAudience);
    }

    #[test]
    fn no_jwt_outlives_its_session() {
        let (keys, policy) = (keys(), Policy::default());
        let ends = |ms: u64| Session { expires_at: NOW.plus_ms(ms), ..session() };
        // Now is half a second past a whole one: 1,499 ms later no further second is whole.
        for (left_ms, life_seconds) in [(86_400_000, 300), (300_000, 300), (299_499, 299), (1_499, 1), (500, 1)] {
            let session = ends(left_ms);
            let minted = keys.mint(mint(&session, &policy)).unwrap();
            assert_eq!(minted.expires_at, Moment((NOW_SECONDS + life_seconds) * 1000), "{left_ms}");
            assert!(minted.expires_at <= session.expires_at);
        }
        for left_ms in [499, 0] {
            assert_eq!(keys.mint(mint(&ends(left_ms), &policy)).unwrap_err(), MintError::Expired, "{left_ms}");
        }
        let past = Session { expires_at: Moment(0), ..session() };
        assert_eq!(keys.mint(mint(&past, &policy)).unwrap_err(), MintError::Expired);
    }

    #[test]
    fn no_claim_of_a_session_shadows_a_reserved_one() {
        assert!(RESERVED_CLAIMS.is_sorted());
        let shadowed: Map<String, Value> = RESERVED_CLAIMS.iter().map(|name| ((*name).to_owned(), json!("shadow"))).collect();
        let session = Session { claims: serde_json::to_string(&shadowed).unwrap(), ..session() };
        let text = claims_of(&session).to_string();
        assert!(!text.contains("shadow"), "{text}");
    }

    #[test]
    fn claims_that_could_be_read_in_two_ways_are_not_signed() {
        let deep = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
        for (claims, error) in [
            (r#"{"a":1,"a":2}"#.to_owned(), JsonError::Duplicate),
            ("[]".to_owned(), JsonError::NotAnObject),
            (String::new(), JsonError::Malformed),
            (deep(CLAIMS_DEPTH_MAX), JsonError::TooDeep),
        ] {
            let session = Session { claims, ..session() };
            assert_eq!(keys().mint(mint(&session, &Policy::default())).unwrap_err(), MintError::Claims(error));
        }
        assert!(keys().mint(mint(&Session { claims: deep(CLAIMS_DEPTH_MAX - 1), ..session() }, &Policy::default())).is_ok());
    }

    #[test]
    fn a_cluster_without_keys_mints_nothing() {
        let keys = Keys::open(&Keyring::default(), &ring()).unwrap();
        assert_eq!(keys.mint(mint(&session(), &Policy::default())).unwrap_err(), MintError::NoKey);
        assert_eq!(keys.fits(mint(&session(), &Policy::default())).unwrap_err(), MintError::NoKey);
    }

    #[test]
    fn a_jwt_is_not_printed() {
        let minted = keys().mint(mint(&session(), &Policy::default())).unwrap();
        let printed = format!("{minted:?}");
        assert!(minted.jwt.split('.').all(|part| !printed.contains(part)), "{printed}");
        assert!(printed.contains(&*minted.kid));
    }

    proptest! {
        #[test]
        fn what_fits_is_what_can_be_minted(length in 5_000usize..6_500) {
            let keys = keys();
            let session = Session { claims: format!("{{\"a\":\"{}\"}}", "x".repeat(length)), ..session() };
            let policy = Policy::default();
            match (keys.mint(mint(&session, &policy)), keys.fits(mint(&session, &policy))) {
                (Ok(minted), Ok(())) => prop_assert!(minted.jwt.len() <= MINTED_MAX_BYTES),
                (Err(MintError::TooLarge(bytes)), Err(MintError::TooLarge(same))) => {
                    prop_assert_eq!(bytes, same);
                    prop_assert!(bytes > MINTED_MAX_BYTES);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    /// The bound is the bound to the byte: one more byte of claims is refused.
    #[test]
    fn the_largest_jwt_has_the_largest_size() {
        let (keys, policy) = (keys(), Policy::default());
        let sizes = (5_000..8_000).map_while(|length| {
            let session = Session { claims: format!("{{\"a\":\"{}\"}}", "x".repeat(length)), ..session() };
            keys.fits(mint(&session, &policy)).is_ok().then_some(length)
        });
        let longest = sizes.last().unwrap();
        let session = Session { claims: format!("{{\"a\":\"{}\"}}", "x".repeat(longest)), ..session() };
        let bytes = keys.mint(mint(&session, &policy)).unwrap().jwt.len();
        assert!((MINTED_MAX_BYTES - 1..=MINTED_MAX_BYTES).contains(&bytes), "{bytes}");
    }
}
