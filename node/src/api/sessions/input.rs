//! What callers may put into a session, and how much of it. Every bound has a name, and an answer that names the field.

use crate::api::error::{Kind, Problem};
use crate::api::json::{self, Fields, required};
use crate::domain::{Acr, Factor, Moment, Policy, check_user_id};
use crate::tokens;
use serde_json::{Map, Value};

/// The longest canonical text of a session's attributes, bytes.
pub(crate) const ATTRIBUTES_MAX_BYTES: usize = 4096;
/// The longest canonical text of a session's claims, bytes.
pub(crate) const CLAIMS_MAX_BYTES: usize = 4096;
/// The deepest nesting of attributes and claims.
pub(crate) const OBJECT_DEPTH_MAX: usize = 16;
/// The most factors of a session.
pub(crate) const FACTORS_MAX: usize = 16;
/// The longest method of a factor, characters.
const METHOD_MAX: usize = 64;
/// The most audiences of a session.
const AUDIENCE_MAX: usize = 16;
/// The longest audience, bytes.
const AUDIENCE_ENTRY_MAX_BYTES: usize = 255;

/// What a session is started with, checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewSession {
    pub(crate) user_id: String,
    pub(crate) ttl_ms: u64,
    pub(crate) idle_timeout_ms: Option<u64>,
    pub(crate) attributes: String,
    pub(crate) claims: String,
    pub(crate) factors: Vec<Factor>,
    /// `None`: the cluster's default.
    pub(crate) audience: Option<Vec<String>>,
}

impl NewSession {
    /// Reads the body of a start.
    ///
    /// # Errors
    /// Names the first field that cannot be.
    pub(crate) fn read(mut body: Fields, policy: &Policy, now: Moment) -> Result<Self, Problem> {
        let new = Self {
            user_id: user_id(required("user_id", body.text("user_id")?)?)?,
            ttl_ms: lifetime(&mut body, "ttl_seconds", Some(policy.session_ttl_max_ms))?.unwrap_or(policy.session_ttl_ms),
            idle_timeout_ms: lifetime(&mut body, "idle_timeout_seconds", policy.idle_timeout_max_ms)?.or(policy.idle_timeout_ms),
            attributes: attributes(&body.object("attributes")?.unwrap_or_default())?,
            claims: claims(&body.object("claims")?.unwrap_or_default())?,
            factors: factors(&mut body, policy, now)?,
            audience: audience(&mut body)?,
        };
        body.finish()?;
        Ok(new)
    }
}

/// Checks a user id.
///
/// # Errors
/// Says which rule is broken.
pub(crate) fn user_id(text: String) -> Result<String, Problem> {
    check_user_id(&text).map_err(|error| Problem::field(error.to_string()))?;
    Ok(text)
}

/// A lifetime in whole seconds, as milliseconds.
///
/// # Errors
/// [`Kind::AbovePolicyCap`] that says what the cap is; a field error for 0.
pub(crate) fn lifetime(body: &mut Fields, member: &str, cap_ms: Option<u64>) -> Result<Option<u64>, Problem> {
    let Some(seconds) = body.number(member)? else { return Ok(None) };
    if seconds == 0 {
        return Err(Problem::field(format!("{member} must be at least 1")));
    }
    let ms = seconds.saturating_mul(1000);
    match cap_ms {
        Some(cap) if ms > cap => Err(above_cap(member, cap)),
        _ => Ok(Some(ms)),
    }
}

/// The policy allows less.
pub(crate) fn above_cap(member: &str, cap_ms: u64) -> Problem {
    Problem::new(Kind::AbovePolicyCap, format!("{member} may be at most {}, the cap of the policy", cap_ms / 1000))
}

/// Checks attributes and makes them canonical.
///
/// # Errors
/// When they are too large or too deep.
pub(crate) fn attributes(members: &Map<String, Value>) -> Result<String, Problem> {
    object("attributes", members, ATTRIBUTES_MAX_BYTES)
}

/// Checks claims and makes them canonical.
///
/// # Errors
/// When they are too large or too deep, or shadow a registered claim.
pub(crate) fn claims(members: &Map<String, Value>) -> Result<String, Problem> {
    if let Some(reserved) = members.keys().find(|name| tokens::RESERVED_CLAIMS.contains(&name.as_str())) {
        return Err(Problem::field(format!("claims.{reserved} is a registered claim, which only Curfew sets")));
    }
    object("claims", members, CLAIMS_MAX_BYTES)
}

fn object(name: &str, members: &Map<String, Value>, max_bytes: usize) -> Result<String, Problem> {
    if json::depth_of(members) > OBJECT_DEPTH_MAX {
        return Err(Problem::field(format!("{name} may nest at most {OBJECT_DEPTH_MAX} deep")));
    }
    let text = json::canonical(members);
    if text.len() > max_bytes {
        return Err(Problem::field(format!("{name} may have at most {max_bytes} bytes as JSON, not {}", text.len())));
    }
    Ok(text)
}

fn factors(body: &mut Fields, policy: &Policy, now: Moment) -> Result<Vec<Factor>, Problem> {
    let entries = body.list_of_fields("factors", FACTORS_MAX)?.unwrap_or_default();
    entries.into_iter().map(|entry| factor(entry, policy, now)).collect()
}

/// Reads one factor.
///
/// # Errors
/// Names the field that cannot be.
pub(crate) fn factor(mut entry: Fields, policy: &Policy, now: Moment) -> Result<Factor, Problem> {
    let (method_name, at_name) = (entry.name("method"), entry.name("at"));
    let method = required(&method_name, entry.text("method")?)?;
    if !(1..=METHOD_MAX).contains(&method.len()) || !method.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Problem::field(format!("{method_name} must be 1 to {METHOD_MAX} visible ASCII characters")));
    }
    let at = required(&at_name, entry.moment("at")?)?;
    if at > now.plus_ms(policy.leeway_seconds * 1000) {
        return Err(Problem::field(format!("{at_name} must not be in the future; it is {now} here")));
    }
    entry.finish()?;
    Ok(Factor { method, at })
}

fn audience(body: &mut Fields) -> Result<Option<Vec<String>>, Problem> {
    let Some(entries) = body.list_of_texts("audience", AUDIENCE_MAX)? else { return Ok(None) };
    if entries.is_empty() {
        return Err(Problem::field("audience must name somebody, or be left out"));
    }
    for (at, entry) in entries.iter().enumerate() {
        if !(1..=AUDIENCE_ENTRY_MAX_BYTES).contains(&entry.len()) || entry.chars().any(char::is_control) {
            return Err(Problem::field(format!("audience[{at}] must be 1 to {AUDIENCE_ENTRY_MAX_BYTES} bytes without control characters")));
        }
    }
    Ok(Some(entries))
}

/// Reads the name of an assurance level.
///
/// # Errors
/// A field error that lists the levels.
pub(crate) fn acr(text: &str) -> Result<Acr, Problem> {
    match text {
        "aal1" => Ok(Acr::Aal1),
        "aal2" => Ok(Acr::Aal2),
        "aal3" => Ok(Acr::Aal3),
        _ => Err(Problem::field("required_acr must be aal1, aal2 or aal3")),
    }
}

/// Applies a merge patch to an object (RFC 7396): `null` takes a member away, an object is merged, all else replaces.
pub(crate) fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, change) in patch {
        match change {
            Value::Null => {
                target.remove(&name);
            }
            Value::Object(inner) => {
                let place = target.entry(name).or_insert(Value::Null);
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                if let Value::Object(members) = place {
                    merge(members, inner);
                }
            }
            plain => {
                target.insert(name, plain);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Preset;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: Moment = Moment(1_767_261_600_000);

    fn read_under(policy: &Policy, body: &Value) -> Result<NewSession, Problem> {
        NewSession::read(json::parse_object(body.to_string().as_bytes())?, policy, NOW)
    }

    fn read(body: &Value) -> Result<NewSession, Problem> {
        read_under(&Policy::default(), body)
    }

    fn refused(body: &Value) -> (Kind, String) {
        let problem = read(body).expect_err(&format!("{body} was accepted"));
        (problem.kind(), problem.detail().to_owned())
    }

    #[test]
    fn only_the_user_is_required_and_the_policy_fills_in_the_rest() {
        let policy = Policy::preset(Preset::Aal2);
        let new = read_under(&policy, &json!({"user_id": "user-123"})).expect("enough");
        assert_eq!((new.ttl_ms, new.idle_timeout_ms), (policy.session_ttl_ms, policy.idle_timeout_ms));
        assert_eq!((new.attributes.as_str(), new.claims.as_str(), new.audience), ("{}", "{}", None));
        assert_eq!(refused(&json!({})).1, "user_id is required");
    }

    #[test]
    fn everything_that_may_be_said_is_taken() {
        let new = read(&json!({"user_id": "u", "ttl_seconds": 60, "idle_timeout_seconds": 30, "attributes": {"b": 1, "a": "x"},
            "factors": [{"method": "pwd", "at": "2026-01-01T10:00:05.000Z"}], "claims": {"role": "admin"}, "audience": ["billing"]}));
        let new = new.expect("the example of the contract");
        assert_eq!((new.ttl_ms, new.idle_timeout_ms, new.attributes.as_str()), (60_000, Some(30_000), r#"{"a":"x","b":1}"#));
        assert_eq!(new.factors, [Factor { method: "pwd".to_owned(), at: NOW.plus_ms(5_000) }]);
        assert_eq!((new.claims.as_str(), new.audience), (r#"{"role":"admin"}"#, Some(vec!["billing".to_owned()])));
    }

    #[test]
    fn every_bound_is_kept_to_the_last_byte() {
        // (what is allowed, what is one more, what the answer says)
        let of = |member: &str, value: Value| json!({"user_id": "u", member: value});
        let factor = |method: &str, at: &str| json!([{"method": method, "at": at}]);
        let past = "2026-01-01T00:00:00.000Z";
        let many = |count: usize| Value::from(vec![json!({"method": "pwd", "at": past}); count]);
        let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"a": inner}));
        let bounds = [
            (json!({"user_id": "u".repeat(255)}), json!({"user_id": "u".repeat(256)}), "255"),
            (of("attributes", json!({"a": "x".repeat(4088)})), of("attributes", json!({"a": "x".repeat(4089)})), "4096"),
            (of("claims", json!({"a": "x".repeat(4088)})), of("claims", json!({"a": "x".repeat(4089)})), "4096"),
            (of("attributes", nested(16)), of("attributes", nested(17)), "16"),
            (of("claims", nested(16)), of("claims", nested(17)), "16"),
            (of("factors", many(16)), of("factors", many(17)), "16"),
            (of("factors", factor(&"m".repeat(64), past)), of("factors", factor(&"m".repeat(65), past)), "64"),
            (of("factors", factor("pwd", "2026-01-01T10:00:05.000Z")), of("factors", factor("pwd", "2026-01-01T10:00:05.001Z")), "future"),
            (of("audience", json!(vec!["a"; 16])), of("audience", json!(vec!["a"; 17])), "16"),
            (of("audience", json!(["a".repeat(255)])), of("audience", json!(["a".repeat(256)])), "255"),
            (of("ttl_seconds", json!(2_592_000)), of("ttl_seconds", json!(2_592_001)), "2592000"),
        ];
        for (allowed, beyond, says) in bounds {
            assert!(read(&allowed).is_ok(), "{allowed} was refused");
            let (_, detail) = refused(&beyond);
            assert!(detail.contains(says), "{detail:?} does not say {says}");
        }
    }

    #[test]
    fn caps_have_their_own_code_and_say_what_they_are() {
        let policy = Policy::preset(Preset::Aal3);
        let kind =
            |member: &str, value: u64| read_under(&policy, &json!({"user_id": "u", member: value})).map_err(|p| (p.kind(), p.detail().to_owned()));
        let (code, detail) = kind("ttl_seconds", 43_201).expect_err("above");
        assert!(code == Kind::AbovePolicyCap && detail.contains("ttl_seconds") && detail.contains("43200"));
        assert_eq!(kind("idle_timeout_seconds", 901).expect_err("above").0, Kind::AbovePolicyCap);
        assert!(kind("idle_timeout_seconds", 900).is_ok());
        assert_eq!(kind("ttl_seconds", u64::MAX).expect_err("above").0, Kind::AbovePolicyCap);
        assert_eq!(kind("ttl_seconds", 0).expect_err("nothing").0, Kind::InvalidField);
    }

    #[test]
    fn the_answer_names_the_field() {
        let past = "2026-01-01T00:00:00.000Z";
        for (body, names) in [
            (json!({"user_id": 7}), "user_id"),
            (json!({"user_id": ""}), "user_id"),
            (json!({"user_id": "a\u{7}b"}), "user_id"),
            (json!({"user_id": "u", "ttl_seconds": "1"}), "ttl_seconds"),
            (json!({"user_id": "u", "ttl_seconds": -1}), "ttl_seconds"),
            (json!({"user_id": "u", "ttl_seconds": 1.5}), "ttl_seconds"),
            (json!({"user_id": "u", "attributes": []}), "attributes"),
            (json!({"user_id": "u", "factors": [{"method": "pwd", "at": past}, {"at": past}]}), "factors[1].method"),
            (json!({"user_id": "u", "factors": [{"method": "p w", "at": past}]}), "factors[0].method"),
            (json!({"user_id": "u", "factors": [{"method": "pwd"}]}), "factors[0].at"),
            (json!({"user_id": "u", "factors": [7]}), "factors[0]"),
            (json!({"user_id": "u", "claims": {"iss": "me"}}), "claims.iss"),
            (json!({"user_id": "u", "audience": []}), "audience"),
            (json!({"user_id": "u", "audience": ["a", ""]}), "audience[1]"),
        ] {
            let (kind, detail) = refused(&body);
            assert!(kind == Kind::InvalidField && detail.contains(names), "{body}: {detail:?} does not name {names}");
        }
        let unknown = refused(&json!({"user_id": "u", "ttl": 1}));
        assert_eq!((unknown.0, unknown.1.as_str()), (Kind::UnknownField, "the member ttl is not known"));
        let unknown = refused(&json!({"user_id": "u", "factors": [{"method": "pwd", "at": past, "id": 1}]}));
        assert_eq!(unknown.1, "the member factors[0].id is not known");
    }

    #[test]
    fn no_registered_claim_can_be_shadowed() {
        for reserved in tokens::RESERVED_CLAIMS {
            assert!(refused(&json!({"user_id": "u", "claims": {*reserved: 1}})).1.contains(reserved), "{reserved}");
        }
    }

    /// The examples of RFC 7396, appendix A, that patch an object with an object.
    #[test]
    fn patches_merge_as_the_rfc_says() {
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let (Value::Object(mut target), Value::Object(patch)) = (target, patch) else { panic!("objects") };
            merge(&mut target, patch);
            assert_eq!(Value::Object(target), result);
        }
    }

    proptest! {
        #[test]
        fn no_start_makes_reading_panic(user in ".*", ttl: u64, method in ".*", at in ".*", audience in proptest::collection::vec(".*", 0..3)) {
            let _ = read(&json!({"user_id": user, "ttl_seconds": ttl, "factors": [{"method": method, "at": at}], "audience": audience}));
        }
    }
}
