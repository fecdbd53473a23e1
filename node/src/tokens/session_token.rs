//! The session token: an opaque secret that lives as long as its session.

use crate::domain::{InvalidId, SESSION_TOKEN_PREFIX, TokenHash, decode_exact};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// 256 random bits, shown once and stored only as a hash. It can be compared only by that hash.
pub struct SessionToken([u8; 32]);

impl SessionToken {
    /// Takes bytes that the dice have drawn.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads `cft_` and 43 characters of base64url.
    ///
    /// # Errors
    /// Says what a session token looks like, and nothing of the text.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let body = text.strip_prefix(SESSION_TOKEN_PREFIX);
        body.and_then(decode_exact).map(Self).ok_or(InvalidId("a session token is cft_ and 43 characters of base64url"))
    }

    /// The text that its holder presents. The only way to see it, and to be used only for the answer that hands it out.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{SESSION_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }

    /// SHA-256 of its 32 bytes: by it the session is found. 256 random bits need no salt and no slow hash.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(sha256(&self.0))
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_comes_back_as_it_was_shown(bytes: [u8; 32]) {
            let token = SessionToken::from_bytes(bytes);
            let text = token.reveal();
            prop_assert_eq!(text.len(), 47);
            let read = SessionToken::parse(&text).unwrap();
            prop_assert_eq!(read.reveal(), text);
            prop_assert_eq!(read.hash(), token.hash());
        }

        #[test]
        fn two_tokens_have_two_hashes(one: [u8; 32], two: [u8; 32]) {
            prop_assume!(one != two);
            prop_assert_ne!(SessionToken::from_bytes(one).hash(), SessionToken::from_bytes(two).hash());
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".*") {
            let _ = SessionToken::parse(&text);
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        let good = SessionToken::from_bytes([0xff; 32]).reveal();
        let body = good.strip_prefix("cft_").unwrap();
        let wrong = [
            String::new(),
            "cft_".to_owned(),
            body.to_owned(),
            format!("CFT_{body}"),
            format!("{good}="),
            format!(" {good}"),
            format!("{good}A"),
            good[..46].to_owned(),
            // The last character of 32 bytes carries two unused bits; they must be zero.
            format!("{}9", &good[..46]),
            good.replace('_', "/"),
        ];
        for text in wrong {
            let error = SessionToken::parse(&text).expect_err(&text);
            assert_eq!(error.to_string(), "a session token is cft_ and 43 characters of base64url");
        }
    }

    #[test]
    fn the_stored_hash_is_sha_256_and_nothing_else_is_printed() {
        let token = SessionToken::from_bytes([0; 32]);
        assert_eq!(token.hash().0[..4], [0x66, 0x68, 0x7a, 0xad], "SHA-256 of 32 zero bytes");
        assert_eq!(format!("{token:?} {:?}", token.hash()), "SessionToken(..) TokenHash(..)");
    }
}
