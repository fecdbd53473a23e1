//! Verifying a JWT: the rules VER-1 to VER-12 of the token standards, stricter than the library's.
//!
//! What comes out is proven to be signed by this cluster and to be meant for the asker; whether its session is active is for the state to
//! say. Each refusal has one cause, for the operator; the caller hears only that the token is invalid.

use super::Keys;
use super::expect::{Expect, Verified};
use super::json::JsonError;
use super::jws::{Jws, JwsError, VerifyingKey};
use super::keys::Known;
use super::mint::Minted;
use crate::domain::{LogIndex, SessionId};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt;

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

impl Keys {
    /// Verifies a JWT.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify(&self, jwt: &str, expect: Expect<'_>) -> Result<Verified, VerifyError> {
        let (jws, key, kid) = self.read(jwt)?;
        key.check(&jws)?;
        expect.check(&jws.payload, kid)
    }

    /// Checks all of a JWT but its signature. What it says can be used to find a JWT that this node minted; nothing else, before it is
    /// [proven](Unproven::prove).
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn inspect<'a>(&'a self, jwt: &'a str, expect: Expect<'_>) -> Result<Unproven<'a>, VerifyError> {
        let (jws, key, kid) = self.read(jwt)?;
        key.check_alg(&jws)?;
        let claims = expect.check(&jws.payload, kid)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Factor, Moment, Policy, Session, TokenHash};
    use crate::tokens::expect::INTEGER_MAX;
    use crate::tokens::fixtures::{NOW, NOW_SECONDS, expect, header, keys, mint, object, session, sign, with};
    use proptest::prelude::*;

    #[test]
    fn what_was_minted_verifies_and_says_what_was_meant() {
        let keys = keys();
        let minted = keys.mint(mint(&session(), &Policy::default())).unwrap();
        let expected = Verified {
            sid: session().id,
            rev: 4711,
            sub: "user-123".to_owned(),
            kid: keys.signing_kid().unwrap().to_owned(),
            iat: NOW_SECONDS,
            exp: NOW_SECONDS + 300,
            expired: false,
            audience: vec!["billing".to_owned()],
            jti: "AwMDAwMDAwMDAwMDAwMDAw".to_owned(),
        };
        assert_eq!(keys.verify(&minted.jwt, expect()), Ok(expected));
    }

    #[test]
    fn who_asks_for_no_audience_learns_whom_it_is_for() {
        let (keys, session) = (keys(), Session { audience: vec!["a".to_owned(), "b".to_owned()], ..session() });
        let minted = keys.mint(mint(&session, &Policy::default())).unwrap();
        let anyone = Expect { audience: None, ..expect() };
        assert_eq!(keys.verify(&minted.jwt, anyone).unwrap().audience, session.audience);
        assert_eq!(keys.verify(&minted.jwt, Expect { audience: Some("b"), ..anyone }).map(|verified| verified.rev), Ok(4711));
        assert_eq!(keys.verify(&minted.jwt, Expect { audience: Some("c"), ..anyone }), Err(VerifyError::Audience));
        assert_eq!(keys.verify(&minted.jwt, Expect { issuer: "https://other.example", ..anyone }), Err(VerifyError::Issuer));
    }

    #[test]
    fn a_jwt_that_this_node_minted_is_recognised_by_its_bytes_and_skips_only_the_signature() {
        let keys = keys();
        let minted = keys.mint(mint(&session(), &Policy::default())).unwrap();
        let unsigned = format!("{}.{}", minted.jwt.rsplit_once('.').unwrap().0, "A".repeat(86));
        // A slot that says it minted this text: the only way to be believed without a signature.
        let slot = Minted { jwt: unsigned.as_str().into(), ..minted.clone() };
        let inspect = |jwt| keys.inspect(jwt, expect()).unwrap();

        assert_eq!(inspect(&unsigned).sid(), session().id);
        assert_eq!(inspect(&unsigned).rev(), 4711);
        assert!(inspect(&unsigned).prove(Some(&slot)).is_ok());
        assert_eq!(inspect(&unsigned).prove(Some(&minted)), Err(VerifyError::Jws(JwsError::Signature)));
        assert_eq!(inspect(&unsigned).prove(None), Err(VerifyError::Jws(JwsError::Signature)));
        assert!(inspect(&minted.jwt).prove(Some(&slot)).is_ok(), "another slot only costs the signature");
        assert_eq!(keys.inspect(&unsigned, Expect { audience: Some("x"), ..expect() }).unwrap_err(), VerifyError::Audience);
        let late = Expect { now: NOW.plus_ms(400_000), ..expect() };
        assert_eq!(keys.inspect(&minted.jwt, late).unwrap_err(), VerifyError::Expired);
        assert_eq!(format!("{:?}", inspect(&minted.jwt)), "Unproven(..)");
    }

    fn any_session() -> impl Strategy<Value = Session> {
        let texts = (r"[^\p{Cc}]{1,40}", r"[^\p{Cc}]{1,20}", prop::collection::vec(r"[^\p{Cc}]{1,12}", 1..6));
        let factors = prop::collection::vec(("[a-z]{1,8}", 0..NOW.0), 0..6);
        let own = prop::collection::btree_map(".{0,6}", (any::<i64>(), ".{0,10}"), 0..6);
        (any::<[u8; 16]>(), 0..=INTEGER_MAX, texts, factors, own, 1_000u64..1 << 42).prop_map(|(id, rev, texts, factors, own, left_ms)| Session {
            id: SessionId(id),
            rev,
            user_id: texts.0,
            client_id: texts.1,
            audience: texts.2,
            factors: factors.into_iter().map(|(method, at)| Factor { method, at: Moment(at) }).collect(),
            claims: serde_json::to_string(&own).unwrap(),
            expires_at: NOW.plus_ms(left_ms),
            token: TokenHash([0; 32]),
            ..session()
        })
    }

    proptest! {
        #[test]
        fn any_session_comes_back_from_its_jwt(session in any_session(), leeway_seconds in 0u64..30) {
            let keys = keys();
            let minted = keys.mint(mint(&session, &Policy::default())).unwrap();
            for audience in session.audience.iter().map(|name| Some(name.as_str())).chain([None]) {
                let verified = keys.verify(&minted.jwt, Expect { audience, leeway_seconds, ..expect() }).unwrap();
                prop_assert_eq!((verified.sid, verified.rev, &verified.sub), (session.id, session.rev, &session.user_id));
                prop_assert_eq!(&verified.audience, &session.audience);
                prop_assert_eq!((Moment(verified.iat * 1000), Moment(verified.exp * 1000)), (minted.issued_at, minted.expires_at));
                prop_assert!(minted.expires_at <= session.expires_at);
            }
        }

        #[test]
        fn no_flipped_bit_passes(session in any_session(), flip: prop::sample::Index) {
            let keys = keys();
            let minted = keys.mint(mint(&session, &Policy::default())).unwrap();
            let mut bytes = minted.jwt.as_bytes().to_vec();
            let bit = flip.index(8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            // The highest bit of a byte makes it no text at all, which is refused before it gets here.
            if let Ok(jwt) = String::from_utf8(bytes) {
                let anyone = Expect { audience: None, ..expect() };
                prop_assert!(keys.verify(&jwt, anyone).is_err());
                prop_assert!(keys.inspect(&jwt, anyone).and_then(|unproven| unproven.prove(Some(&minted))).is_err());
            }
        }

        #[test]
        fn no_text_makes_verification_panic(text in ".*", head in ".*", body in ".*") {
            let keys = keys();
            let _ = keys.verify(&text, expect());
            let _ = keys.verify(&sign(&keys, head.as_bytes(), body.as_bytes()), expect());
            let good_head = object(&header(keys.signing_kid().unwrap()));
            prop_assert!(keys.verify(&sign(&keys, good_head.as_bytes(), body.as_bytes()), expect()).is_err());
        }
    }

    #[test]
    fn a_refusal_repeats_nothing_of_the_token() {
        let keys = keys();
        let head = object(&with(header("SECRET"), "alg", "\"SECRET\""));
        for token in [sign(&keys, head.as_bytes(), b"SECRET"), "SECRET".to_owned(), "SECRET.SECRET.SECRET".to_owned()] {
            let error = keys.verify(&token, expect()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("SECRET"), "{error}");
        }
        assert_eq!(keys.verify("", expect()).unwrap_err().to_string(), "the token is not three parts of base64url");
    }
}
