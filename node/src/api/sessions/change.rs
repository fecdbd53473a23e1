//! Changing a session: merge patches on attributes and claims (RFC 7396), and a factor more.

use super::shape::SessionAnswer;
use super::start::{Rules, must_fit};
use super::{find, input, judge};
use crate::actors::PatchError;
use crate::api::call::{Answer, Call, about};
use crate::api::error::{Kind, Problem};
use crate::api::json::Fields;
use crate::api::level::Level;
use crate::api::{Shared, endings, position};
use crate::command::{Outcome, Patch, Refusal};
use crate::dice;
use crate::domain::{Factor, LogIndex, Moment, Policy, Session, Standing, TokenHash};
use crate::tokens::SessionToken;
use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The types that the body may have.
const PATCH_TYPES: &[&str] = &["application/json", "application/merge-patch+json"];

/// `PATCH /v1/sessions/{session_id}`
pub(crate) async fn patch(mut call: Call) -> Answer {
    let id = find::id_of(&call.part("session_id")?)?;
    let expected_version = expected_version(call.header("if-match")?)?;
    let body = call.body_of_type(PATCH_TYPES).await?;
    let rules = Rules::of(&call.shared)?;
    let wish = Wish::read(body, expected_version, &rules.policy, rules.now)?;
    let token = wish.new_token(&rules.policy);
    let present = find::by_id(&call.shared, Level::Local, id).await?;
    judge::must_be_changeable(&present.standing, id)?;
    let (index, session) = change(&call.shared, &present.session, wish, token.as_ref().map(SessionToken::hash), rules).await?;
    let mut answer = SessionAnswer::of(&session, &Standing::Active)?;
    if let Some(token) = &token {
        answer = answer.with_token(token);
    }
    let mut response = HttpResponse::Ok().insert_header((ETAG, format!("\"{}\"", session.version))).json(answer);
    position::put(&mut response, position::of(&call.shared, index)?);
    about(&call.shared, &mut response, &id.0);
    Ok(response)
}

/// Has the change computed from the record as it is when its turn has come.
async fn change(
    shared: &web::Data<Shared>,
    present: &Arc<Session>,
    wish: Wish,
    token: Option<TokenHash>,
    rules: Rules,
) -> Result<(LogIndex, Arc<Session>), Problem> {
    let unconditional = wish.expected_version.is_none();
    let keys = shared.clone();
    let compute = move |present: &Session| -> Result<Patch, Problem> {
        let patch = wish.computed_from(present, token)?;
        must_fit(&keys, &wish.draft(present, &patch), &rules)?;
        Ok(patch)
    };
    let done = shared.actors.patch(present, compute).await.map_err(|error| match error {
        PatchError::Unwanted(problem) => problem,
        PatchError::Propose(error) => error.into(),
    })?;
    match done.outcome {
        Outcome::Session(session) => Ok((done.index, session)),
        Outcome::Refused(Refusal::VersionConflict(_)) if unconditional => {
            Err(Problem::new(Kind::Overloaded, "others changed the session again and again meanwhile; nothing was done"))
        }
        Outcome::Refused(refusal) => Err(endings::refused(refusal)),
        Outcome::Done(()) | Outcome::Count(_) => Err(endings::surprise("patch")),
    }
}

/// What is to become of one of the two objects.
#[derive(Debug, PartialEq)]
enum Merge {
    /// Nothing.
    Keep,
    /// Nothing stays in it.
    Clear,
    /// A merge patch.
    Patch(Map<String, Value>),
}

impl Merge {
    fn read(body: &mut Fields, member: &str) -> Result<Self, Problem> {
        if body.is_null(member) {
            return Ok(Self::Clear);
        }
        Ok(body.object(member)?.map_or(Self::Keep, Self::Patch))
    }

    /// The object afterwards, `None` if it stays as it is.
    fn applied_to(&self, present: &str) -> Option<Map<String, Value>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(Map::new()),
            Self::Patch(patch) => {
                let mut members = serde_json::from_str(present).unwrap_or_default();
                input::merge(&mut members, patch.clone());
                Some(members)
            }
        }
    }
}

/// The body of a change.
#[derive(Debug)]
struct Wish {
    expected_version: Option<u64>,
    attributes: Merge,
    claims: Merge,
    add_factor: Option<Factor>,
}

impl Wish {
    fn read(mut body: Fields, expected_version: Option<u64>, policy: &Policy, now: Moment) -> Result<Self, Problem> {
        let wish = Self {
            expected_version,
            attributes: Merge::read(&mut body, "attributes")?,
            claims: Merge::read(&mut body, "claims")?,
            add_factor: body.fields("add_factor")?.map(|factor| input::factor(factor, policy, now)).transpose()?,
        };
        body.finish()?;
        Ok(wish)
    }

    /// A factor added is a reauthentication: whoever had the old token must not share in it.
    fn new_token(&self, policy: &Policy) -> Option<SessionToken> {
        let rotates = self.add_factor.is_some() && policy.rotate_on_reauthentication;
        rotates.then(|| SessionToken::from_bytes(dice::token_bytes()))
    }

    fn computed_from(&self, present: &Session, token: Option<TokenHash>) -> Result<Patch, Problem> {
        if self.expected_version.is_some_and(|version| version != present.version) {
            return Err(Problem::new(Kind::VersionMismatch, format!("the session has version {}", present.version)));
        }
        if self.add_factor.is_some() && present.factors.len() >= input::FACTORS_MAX {
            return Err(Problem::field(format!("add_factor: the session has {} factors, as many as it may have", present.factors.len())));
        }
        Ok(Patch {
            session_id: present.id,
            expected_version: present.version,
            attributes: self.attributes.applied_to(&present.attributes).map(|members| input::attributes(&members)).transpose()?,
            claims: self.claims.applied_to(&present.claims).map(|members| input::claims(&members)).transpose()?,
            add_factor: self.add_factor.clone(),
            token,
        })
    }

    /// The session as it will be, for asking whether its JWTs fit.
    fn draft(&self, present: &Session, patch: &Patch) -> Session {
        let mut draft = present.clone();
        draft.factors.extend(self.add_factor.clone());
        draft.claims = patch.claims.clone().unwrap_or(draft.claims);
        draft
    }
}

/// Reads `If-Match`: a version in quotes, or `*` for any.
fn expected_version(header: Option<&str>) -> Result<Option<u64>, Problem> {
    let Some(text) = header.filter(|text| *text != "*") else { return Ok(None) };
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let version = quoted.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())).and_then(|digits| digits.parse().ok());
    version.map(Some).ok_or_else(|| Problem::field("If-Match must be one version in quotes, as in \"3\""))
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::session;
    use super::*;
    use crate::api::json;
    use serde_json::json;

    const NOW: Moment = Moment(1_767_261_600_000);

    fn read(body: &Value, version: Option<u64>) -> Result<Wish, Problem> {
        Wish::read(json::parse_object(body.to_string().as_bytes())?, version, &Policy::default(), NOW)
    }

    fn computed(body: &Value, present: &Session) -> Result<Patch, Problem> {
        read(body, None)?.computed_from(present, None)
    }

    #[test]
    fn what_is_not_named_stays_and_what_is_null_goes() {
        let present = Session { claims: r#"{"a":1,"b":{"c":2,"d":3}}"#.to_owned(), ..session() };
        let patch = computed(&json!({"claims": {"b": {"c": null}, "e": 4}}), &present).expect("a change");
        assert_eq!((patch.claims.as_deref(), patch.attributes, patch.expected_version), (Some(r#"{"a":1,"b":{"d":3},"e":4}"#), None, 1));
        let patch = computed(&json!({"attributes": null}), &present).expect("a change");
        assert_eq!((patch.attributes.as_deref(), patch.claims), (Some("{}"), None));
    }

    #[test]
    fn the_bounds_are_those_of_the_result() {
        let present = Session { claims: json!({"a": "x".repeat(2_000)}).to_string(), ..session() };
        assert!(computed(&json!({"claims": {"b": "x".repeat(2_000)}}), &present).is_ok());
        assert!(computed(&json!({"claims": {"b": "x".repeat(3_000)}}), &present).expect_err("too large").detail().contains("4096"));
        assert!(computed(&json!({"claims": {"a": null, "b": "x".repeat(3_000)}}), &present).is_ok(), "what goes makes room");
        assert!(computed(&json!({"claims": {"sub": "me"}}), &present).expect_err("reserved").detail().contains("sub"));
        let full = Session { factors: vec![session().factors[0].clone(); 16], ..session() };
        let factor = json!({"add_factor": {"method": "otp", "at": "2026-01-01T10:00:00.000Z"}});
        assert!(computed(&factor, &full).expect_err("seventeen").detail().contains("16"));
    }

    #[test]
    fn a_factor_added_rotates_the_token_unless_the_policy_says_no() {
        let factor = read(&json!({"add_factor": {"method": "otp", "at": "2026-01-01T10:00:00.000Z"}}), None).expect("a change");
        assert!(factor.new_token(&Policy::default()).is_some());
        assert!(factor.new_token(&Policy { rotate_on_reauthentication: false, ..Policy::default() }).is_none());
        assert!(read(&json!({"claims": {}}), None).expect("a change").new_token(&Policy::default()).is_none());
    }

    #[test]
    fn another_version_is_refused() {
        let wish = |version| read(&json!({"claims": {}}), version).expect("a change").computed_from(&session(), None);
        assert!(wish(Some(1)).is_ok() && wish(None).is_ok());
        assert_eq!(wish(Some(2)).expect_err("another").kind(), Kind::VersionMismatch);
        assert_eq!(expected_version(Some("\"3\"")).expect("a version"), Some(3));
        assert_eq!(expected_version(Some("*")).expect("any"), None);
        for wrong in ["3", "\"3", "\"\"", "W/\"3\"", "\"3\", \"4\"", "\"+3\"", "\"99999999999999999999\""] {
            assert!(expected_version(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_answer_names_the_field() {
        for (body, names) in [
            (json!({"attributes": []}), "attributes"),
            (json!({"add_factor": {"method": "pwd"}}), "add_factor.at"),
            (json!({"add_factor": {"method": "pwd", "at": "2026-01-01T10:00:00.000Z", "x": 1}}), "add_factor.x"),
            (json!({"user_id": "u"}), "user_id"),
        ] {
            assert!(read(&body, None).expect_err("refused").detail().contains(names), "{body}");
        }
    }
}
