//! Query strings and parts of paths, read strictly: nothing unknown, nothing twice, no credential.

use super::error::{Kind, Problem};
use super::json::printable;
use crate::domain::SESSION_TOKEN_PREFIX;

/// Names under which people send credentials; a parameter of that name is refused whatever it holds.
const CREDENTIAL_NAMES: &[&str] =
    &["access_token", "api_key", "apikey", "authorization", "bearer", "curfew_api_key", "jwt", "key", "session_jwt", "session_token", "token"];

/// The parameters of a request, each at most once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string of which only these parameters are known.
    ///
    /// # Errors
    /// [`Kind::CredentialInQuery`] before everything else; then malformed, unknown and repeated parameters by name.
    pub(crate) fn parse(text: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let malformed = || Problem::new(Kind::InvalidRequest, "the query string is not percent-encoded UTF-8");
            pairs.push((decode(name, true).ok_or_else(malformed)?, decode(value, true).ok_or_else(malformed)?));
        }
        if pairs.iter().any(|(name, value)| is_credential(name, value)) {
            let detail = "credentials are taken from the Authorization header and the body only, because query strings end up in logs";
            return Err(Problem::new(Kind::CredentialInQuery, detail));
        }
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(Problem::new(Kind::UnknownField, format!("the parameter {} is not known", printable(name))));
            }
            if pairs.iter().take(at).any(|(earlier, _)| earlier == name) {
                return Err(Problem::field(format!("the parameter {name} stands there twice")));
            }
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter, if there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A whole number in a range, if there.
    ///
    /// # Errors
    /// A field error that names the parameter and the range.
    pub(crate) fn number(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
        let wrong = || Problem::field(format!("{name} must be a whole number from {} to {}", range.start(), range.end()));
        number.filter(|number| range.contains(number)).map(Some).ok_or_else(wrong)
    }
}

fn is_credential(name: &str, value: &str) -> bool {
    let looks_like_jwt = value.starts_with("eyJ") && value.matches('.').count() == 2;
    let named = CREDENTIAL_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known));
    named || looks_like_jwt || value.contains(SESSION_TOKEN_PREFIX) || value.to_ascii_lowercase().starts_with("bearer ")
}

/// Decodes percent-encoding strictly; in forms, a plus is a space. `None` when malformed or not UTF-8.
pub(crate) fn decode(text: &str, form: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? * 16 + hex(rest.next()?)?,
            b'+' if form => b' ',
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_read_once_and_by_name() {
        let query = Query::parse("status=all&limit=10&cursor=a%2Bb+c", &["status", "limit", "cursor"]).expect("well-formed");
        assert_eq!((query.get("status"), query.get("cursor"), query.get("after")), (Some("all"), Some("a+b c"), None));
        assert_eq!(query.number("limit", 1..=1000).expect("in range"), Some(10));
        assert!(query.number("limit", 1..=9).expect_err("out of range").detail().contains("from 1 to 9"));
        assert_eq!(Query::parse("verbose", &["verbose"]).expect("a bare name").get("verbose"), Some(""));
    }

    #[test]
    fn what_is_unknown_repeated_or_malformed_is_refused() {
        let kind = |text: &str| Query::parse(text, &["limit"]).expect_err("refused").kind();
        assert_eq!(kind("limt=1"), Kind::UnknownField);
        assert_eq!(kind("limit=1&limit=2"), Kind::InvalidField);
        assert_eq!(kind("limit=%f"), Kind::InvalidRequest);
        assert_eq!(kind("limit=%ff"), Kind::InvalidRequest);
        let number = |text: &str| Query::parse(text, &["limit"]).expect("well-formed").number("limit", 1..=1000).is_err();
        for wrong in ["limit=", "limit=+1", "limit=-1", "limit=0", "limit=1001", "limit=99999999999999999999", "limit=1.0", "limit=a"] {
            assert!(number(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_credential_is_refused_wherever_it_hides() {
        for wrong in ["access_token=x", "Session_Token=x", "nonce=cft_abc", "limit=cft%5Fabc", "nonce=eyJh.eyJi.c", "nonce=Bearer%20x", "%74oken=1"] {
            let problem = Query::parse(wrong, &["nonce", "limit"]).expect_err("a credential");
            assert_eq!(problem.kind(), Kind::CredentialInQuery, "{wrong}");
            assert!(!problem.detail().contains("cft_"));
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_reading_panic(text in ".*") {
            let _ = Query::parse(&text, &["limit"]);
        }
    }
}
