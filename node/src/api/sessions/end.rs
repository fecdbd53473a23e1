//! Ending sessions before their time, by any credential or name of them.

use super::{find, input};
use crate::api::call::{Answer, Call, about};
use crate::api::error::{Kind, Problem};
use crate::api::json::Fields;
use crate::api::jwt;
use crate::api::level::Level;
use crate::api::{Shared, endings, position};
use crate::command::{Outcome, Revoke, Selector, UserSelector};
use crate::domain::{LogIndex, SessionId, check_reason};
use crate::telemetry::names;
use crate::tokens::SessionToken;
use actix_web::HttpResponse;
use serde::Serialize;

/// What came of it.
#[derive(Serialize)]
struct Ended {
    revoked: u64,
    index: LogIndex,
    position: String,
    elapsed_ms: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

/// `POST /v1/sessions/revoke`
pub(crate) async fn revoke(mut call: Call) -> Answer {
    let wish = Wish::read(call.body().await?)?;
    let selector = wish.target.selector(&call.shared)?;
    if wish.dry_run {
        return rehearse(&call, &selector).await;
    }
    if call.query.get("consistency").is_some() {
        return Err(Problem::field("consistency is for dry runs; a revocation is always strict"));
    }
    end(&call, selector, wish.reason).await
}

/// `DELETE /v1/sessions/{session_id}`
pub(crate) async fn delete(call: Call) -> Answer {
    let id = find::id_of(&call.part("session_id")?)?;
    end(&call, Selector::SessionId(id), None).await
}

async fn end(call: &Call, selector: Selector, reason: Option<String>) -> Answer {
    let tag = tag_of(&selector);
    let revoke = Revoke { selector, reason, by: call.caller.name.to_owned() };
    let done = call.shared.actors.end(revoke).await.map_err(Problem::from)?;
    match done.outcome {
        Outcome::Count(revoked) => {
            metrics::counter!(names::SESSIONS_REVOKED_TOTAL).increment(revoked);
            answer(call, revoked, done.index, false, &tag)
        }
        Outcome::Refused(refusal) => Err(endings::refused(refusal)),
        Outcome::Done(()) | Outcome::Session(_) => Err(endings::surprise("revoke")),
    }
}

/// Counts what a revocation would end, and ends nothing.
async fn rehearse(call: &Call, selector: &Selector) -> Answer {
    position::wait(&call.shared, call.headers()).await?;
    let level = Level::parse(call.query.get("consistency"), Level::Strict)?;
    let now = level.ready(&call.shared).await?;
    let (revoked, index) = {
        let state = call.shared.cluster.view().read();
        (state.count_revocable(selector, now), state.last_applied())
    };
    answer(call, revoked, index, true, &tag_of(selector))
}

fn answer(call: &Call, revoked: u64, index: LogIndex, dry_run: bool, tag: &[u8]) -> Answer {
    let at = position::of(&call.shared, index)?;
    let elapsed_ms = call.shared.clock.boot().ms_since(call.started);
    let mut response = HttpResponse::Ok().json(Ended { revoked, index, position: at.to_string(), elapsed_ms, dry_run });
    position::put(&mut response, at);
    about(&call.shared, &mut response, tag);
    Ok(response)
}

/// What the log line is about.
fn tag_of(selector: &Selector) -> Vec<u8> {
    match selector {
        Selector::SessionId(id) => id.0.to_vec(),
        Selector::Token(hash) => hash.0.to_vec(),
        Selector::User(user) => user.user_id.as_bytes().to_vec(),
    }
}

/// What the caller wants ended.
#[derive(Debug)]
enum Target {
    Id(SessionId),
    Token(SessionToken),
    Jwt(String),
    User(UserSelector),
}

impl Target {
    fn selector(self, shared: &Shared) -> Result<Selector, Problem> {
        Ok(match self {
            Self::Id(id) => Selector::SessionId(id),
            Self::Token(token) => Selector::Token(token.hash()),
            Self::User(user) => Selector::User(user),
            Self::Jwt(jwt) => {
                let of_whom = jwt::verify(shared, &jwt);
                Selector::SessionId(of_whom.map_err(|problem| in_body(&problem, "session_jwt"))?.sid)
            }
        })
    }
}

/// A credential that is only a name here is a wrong value, not a failure to authenticate.
fn in_body(problem: &Problem, member: &str) -> Problem {
    match problem.kind() {
        Kind::TokenInvalid => Problem::field(format!("{member}: {}", problem.detail())),
        kind => Problem::new(kind, problem.detail()),
    }
}

/// The body of a revocation.
#[derive(Debug)]
struct Wish {
    target: Target,
    reason: Option<String>,
    dry_run: bool,
}

impl Wish {
    fn read(mut body: Fields) -> Result<Self, Problem> {
        let reason = body.text("reason")?;
        if let Some(reason) = &reason {
            check_reason(reason).map_err(|error| Problem::field(error.to_string()))?;
        }
        match body.text("confirm")?.as_deref() {
            None | Some("quorum") => {}
            Some("everywhere") => {
                return Err(Problem::new(Kind::NotImplemented, "confirm=everywhere is not supported by this release; nothing was revoked"));
            }
            Some(_) => return Err(Problem::field("confirm must be quorum or everywhere")),
        }
        let dry_run = body.flag("dry_run")?.unwrap_or(false);
        let target = target(&mut body);
        // An unknown member is said first: it may be the selector that the caller meant.
        body.finish()?;
        Ok(Self { target: target?, reason, dry_run })
    }
}

fn target(body: &mut Fields) -> Result<Target, Problem> {
    let (id, token, jwt) = (body.text("session_id")?, body.text("session_token")?, body.text("session_jwt")?);
    let (user_id, except) = (body.text("user_id")?, body.text("except_session_id")?);
    if except.is_some() && user_id.is_none() {
        return Err(Problem::field("except_session_id goes with user_id only"));
    }
    match (id, token, jwt, user_id) {
        (Some(id), None, None, None) => find::id_of(&id).map(Target::Id),
        (None, Some(token), None, None) => token_target(&token),
        (None, None, Some(jwt), None) => Ok(Target::Jwt(jwt)),
        (None, None, None, Some(user_id)) => user_target(user_id, except.as_deref()),
        _ => Err(Problem::field("exactly one of session_id, session_token, session_jwt and user_id must say what to revoke")),
    }
}

fn token_target(token: &str) -> Result<Target, Problem> {
    SessionToken::parse(token).map(Target::Token).map_err(|_| Problem::field("session_token is not a session token"))
}

fn user_target(user_id: String, except: Option<&str>) -> Result<Target, Problem> {
    let except_session_id = except.map(str::parse).transpose().map_err(|error| Problem::field(format!("except_session_id: {error}")))?;
    Ok(Target::User(UserSelector { user_id: input::user_id(user_id)?, except_session_id }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::json;
    use serde_json::{Value, json};

    fn read(body: &Value) -> Result<Wish, Problem> {
        Wish::read(json::parse_object(body.to_string().as_bytes())?)
    }

    fn refused(body: &Value) -> (Kind, String) {
        let problem = read(body).expect_err(&format!("{body} was accepted"));
        (problem.kind(), problem.detail().to_owned())
    }

    #[test]
    fn exactly_one_thing_says_what_to_end() {
        let (id, token) = (SessionId([1; 16]).to_string(), SessionToken::from_bytes([2; 32]).reveal());
        for body in [json!({"session_id": id}), json!({"session_token": token}), json!({"session_jwt": "x"}), json!({"user_id": "u"})] {
            assert!(read(&body).is_ok(), "{body}");
        }
        for body in [
            json!({}),
            json!({"session_id": id, "user_id": "u"}),
            json!({"session_id": id, "session_token": token}),
            json!({"session_jwt": "x", "user_id": "u"}),
        ] {
            assert!(refused(&body).1.contains("exactly one"), "{body}");
        }
    }

    #[test]
    fn the_exception_is_the_users() {
        let id = SessionId([1; 16]).to_string();
        let wish =
            read(&json!({"user_id": "u", "except_session_id": id, "reason": "logout", "confirm": "quorum", "dry_run": true})).expect("all of it");
        assert!(wish.dry_run && wish.reason.as_deref() == Some("logout"));
        assert!(matches!(wish.target, Target::User(user) if user.except_session_id == Some(SessionId([1; 16]))));
        assert!(refused(&json!({"session_id": id, "except_session_id": id})).1.contains("user_id"));
    }

    #[test]
    fn what_could_be_mistaken_for_done_is_refused() {
        assert_eq!(refused(&json!({"user_id": "u", "confirm": "everywhere"})).0, Kind::NotImplemented);
        assert_eq!(refused(&json!({"issued_before": "2026-01-01T00:00:00.000Z"})).0, Kind::UnknownField);
        assert_eq!(refused(&json!({"user_id": "u", "issued_before": "2026-01-01T00:00:00.000Z"})).0, Kind::UnknownField);
    }

    #[test]
    fn the_answer_names_the_field() {
        let id = SessionId([1; 16]).to_string();
        for (body, names) in [
            (json!({"session_id": "ses_x"}), "session_id"),
            (json!({"session_id": 7}), "session_id"),
            (json!({"session_token": "cft_x"}), "session_token"),
            (json!({"user_id": ""}), "user_id"),
            (json!({"user_id": "u", "except_session_id": "x"}), "except_session_id"),
            (json!({"session_id": id, "reason": "a\nb"}), "reason"),
            (json!({"session_id": id, "reason": "r".repeat(256)}), "reason"),
            (json!({"session_id": id, "confirm": "all"}), "confirm"),
            (json!({"session_id": id, "dry_run": "yes"}), "dry_run"),
        ] {
            assert!(refused(&body).1.contains(names), "{body}");
        }
    }
}
