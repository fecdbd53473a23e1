//! Presenting a credential: is the session active, and here is a JWT.

use super::find::{self, Found};
use super::input;
use super::judge::{self, Demand};
use super::shape::SessionAnswer;
use crate::actors::ActError;
use crate::api::call::{Answer, Call, about, refuse_idempotency_key};
use crate::api::error::{Kind, Problem};
use crate::api::json::Fields;
use crate::api::level::Level;
use crate::api::scope::Scope;
use crate::api::{Shared, endings, jwt, position};
use crate::command::{Extend, Outcome};
use crate::domain::{LogIndex, Moment, Policy, Session, SessionId, Standing};
use crate::state::State;
use crate::tokens::{Minted, SessionToken, Verified};
use actix_web::HttpResponse;
use std::sync::Arc;
use std::time::Duration;

/// How long an unknown session is waited for when its JWT says where it started.
const START_WAIT_MAX: Duration = Duration::from_secs(2);

/// `POST /v1/sessions/authenticate`
pub(crate) async fn authenticate(mut call: Call) -> Answer {
    let wish = Wish::read(call.body().await?)?;
    if wish.extend_ms.is_some() {
        call.caller.need(Scope::SessionsWrite)?;
        refuse_idempotency_key(call.headers())?;
    }
    let presented = wish.credential.open(&call.shared)?;
    let (session, active_at) = accept(&call.shared, wish.level, &presented, &wish.demand).await?;
    let (session, extended_at) = match wish.extend_ms {
        Some(ttl_ms) => extend(&call.shared, session.id, ttl_ms).await?,
        None => (session, None),
    };
    let (session, minted) = match serve(&call.shared, &session, active_at).await {
        Ok(served) => served,
        // It ended between the look and the mint: a second look says how.
        Err(ActError::Ended) => {
            return Err(accept(&call.shared, wish.level, &presented, &wish.demand).await.err().unwrap_or_else(|| ActError::Ended.into()));
        }
        Err(error) => return Err(error.into()),
    };
    let mut response = HttpResponse::Ok().json(SessionAnswer::of(&session, &Standing::Active)?.with_jwt(&minted));
    if let Some(index) = extended_at {
        position::put(&mut response, position::of(&call.shared, index)?);
    }
    about(&call.shared, &mut response, &session.id.0);
    Ok(response)
}

/// Notes that the session was seen, and has its JWT, whose life begins when the session was found active.
async fn serve(shared: &Shared, session: &Arc<Session>, active_at: Moment) -> Result<(Arc<Session>, Minted), ActError> {
    let session = shared.actors.seen(session, shared.cluster.now()).await?;
    let minted = shared.actors.jwt(&session, active_at).await?;
    Ok((session, minted))
}

/// A credential, as far as it can be told without the session.
enum Presented {
    Token(SessionToken),
    Jwt(Verified),
}

/// What the state says of it, and when.
type Verdict = Result<(Arc<Session>, Moment), Problem>;

/// Finds the session and decides. Nothing that is not there is called unknown before a barrier (G10); for a JWT, having applied the
/// session's start is barrier enough.
async fn accept(shared: &Shared, level: Level, presented: &Presented, demand: &Demand) -> Verdict {
    let decide = |state: &State, now: Moment| decide(state, presented, demand, now);
    let verdict = match presented {
        Presented::Token(_) => find::look(shared, level, decide).await?,
        Presented::Jwt(verified) => {
            let now = level.ready(shared).await?;
            let found = decide(&shared.cluster.view().read(), now);
            if found.is_some() { found } else { after_start(shared, level, verified.rev, decide).await? }
        }
    };
    verdict.unwrap_or_else(|| Err(Problem::new(Kind::SessionNotFound, "no session with this credential is remembered")))
}

async fn after_start(
    shared: &Shared,
    level: Level,
    rev: LogIndex,
    decide: impl Fn(&State, Moment) -> Option<Verdict>,
) -> Result<Option<Verdict>, Problem> {
    let reached = shared.cluster.caught_up(rev, START_WAIT_MAX).await.map_err(Problem::from);
    // A JWT that says it is from a part of the log that nobody has written was not made by this cluster.
    reached.map_err(|problem| if problem.kind() == Kind::PositionAhead { jwt::invalid() } else { problem })?;
    let now = level.ready(shared).await?;
    Ok(decide(&shared.cluster.view().read(), now))
}

/// The order of causes: not valid, not found (`None`), revoked or expired, too old to be exchanged, too little proven.
fn decide(state: &State, presented: &Presented, demand: &Demand, now: Moment) -> Option<Verdict> {
    let session = match presented {
        Presented::Token(token) => state.session_by_token(&token.hash()),
        Presented::Jwt(verified) => state.session(&verified.sid),
    }?;
    Some(judge_all(&Found::of(state, session, now), state.policy(), presented, demand, now).map(|()| (session.clone(), now)))
}

fn judge_all(found: &Found, policy: &Policy, presented: &Presented, demand: &Demand, now: Moment) -> Result<(), Problem> {
    let session = &found.session;
    if let Presented::Jwt(verified) = presented {
        must_speak_of(verified, session)?;
    }
    judge::must_be_active(&found.standing)?;
    if let Presented::Jwt(verified) = presented
        && verified.expired
    {
        judge::must_be_exchangeable(verified.exp, session, policy, now)?;
    }
    judge::must_satisfy(demand, session, policy, now)
}

/// A JWT whose signature is good and whose session is another one than it says comes from another life of the cluster.
fn must_speak_of(verified: &Verified, session: &Session) -> Result<(), Problem> {
    let same = verified.rev == session.rev && verified.sub == session.user_id && verified.audience == session.audience;
    if same { Ok(()) } else { Err(jwt::invalid()) }
}

async fn extend(shared: &Shared, session_id: SessionId, ttl_ms: u64) -> Result<(Arc<Session>, Option<LogIndex>), Problem> {
    let done = shared.actors.extend(Extend { session_id, ttl_ms }).await.map_err(Problem::from)?;
    match done.outcome {
        Outcome::Session(session) => Ok((session, Some(done.index))),
        Outcome::Refused(refusal) => Err(endings::refused_credential(refusal, shared.cluster.now())),
        Outcome::Done(()) | Outcome::Count(_) => Err(endings::surprise("extend")),
    }
}

/// A credential as it was sent.
#[derive(Debug)]
enum Credential {
    Token(SessionToken),
    Jwt(String),
}

impl Credential {
    fn open(self, shared: &Shared) -> Result<Presented, Problem> {
        match self {
            Self::Token(token) => Ok(Presented::Token(token)),
            Self::Jwt(jwt) => jwt::verify(shared, &jwt).map(Presented::Jwt),
        }
    }
}

/// The body of an authenticate.
struct Wish {
    credential: Credential,
    level: Level,
    extend_ms: Option<u64>,
    demand: Demand,
}

impl Wish {
    fn read(mut body: Fields) -> Result<Self, Problem> {
        let credential = (body.text("session_token")?, body.text("session_jwt")?);
        let wish = (
            Level::parse(body.text("consistency")?.as_deref(), Level::Local)?,
            input::lifetime(&mut body, "extend_seconds", None)?,
            Demand {
                max_factor_age_seconds: body.number("max_factor_age_seconds")?,
                required_acr: body.text("required_acr")?.as_deref().map(input::acr).transpose()?,
            },
        );
        body.finish()?;
        let credential = match credential {
            (Some(token), None) => Credential::Token(SessionToken::parse(&token).map_err(|_| malformed())?),
            (None, Some(jwt)) => Credential::Jwt(jwt),
            _ => return Err(Problem::field("exactly one of session_token and session_jwt must be there")),
        };
        let (level, extend_ms, demand) = wish;
        Ok(Self { credential, level, extend_ms, demand })
    }
}

fn malformed() -> Problem {
    Problem::new(Kind::TokenInvalid, "session_token is not a session token: cft_ and 43 characters of base64url")
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::session;
    use super::*;
    use crate::api::json;
    use crate::domain::Acr;
    use serde_json::{Value, json};

    fn read(body: &Value) -> Result<Wish, Problem> {
        Wish::read(json::parse_object(body.to_string().as_bytes())?)
    }

    #[test]
    fn one_credential_is_presented_and_the_rest_is_optional() {
        let token = SessionToken::from_bytes([7; 32]).reveal();
        let wish = read(&json!({"session_token": token})).expect("enough");
        assert_eq!((wish.level, wish.extend_ms, wish.demand), (Level::Local, None, Demand::default()));
        let wish =
            read(&json!({"session_jwt": "x", "consistency": "strict", "extend_seconds": 60, "max_factor_age_seconds": 0, "required_acr": "aal2"}));
        let wish = wish.expect("all of it");
        assert_eq!((wish.level, wish.extend_ms), (Level::Strict, Some(60_000)));
        assert_eq!(wish.demand, Demand { max_factor_age_seconds: Some(0), required_acr: Some(Acr::Aal2) });
    }

    #[test]
    fn malformed_requests_say_what_is_wrong() {
        let token = SessionToken::from_bytes([7; 32]).reveal();
        for (body, kind, says) in [
            (json!({}), Kind::InvalidField, "exactly one"),
            (json!({"session_token": token, "session_jwt": "x"}), Kind::InvalidField, "exactly one"),
            (json!({"session_token": "cft_x"}), Kind::TokenInvalid, "cft_"),
            (json!({"session_token": 7}), Kind::InvalidField, "session_token"),
            (json!({"session_jwt": "x", "consistency": "eventual"}), Kind::InvalidField, "consistency"),
            (json!({"session_jwt": "x", "extend_seconds": 0}), Kind::InvalidField, "extend_seconds"),
            (json!({"session_jwt": "x", "required_acr": "aal4"}), Kind::InvalidField, "required_acr"),
            (json!({"session_jwt": "x", "confirm": 1}), Kind::UnknownField, "confirm"),
        ] {
            let problem = read(&body).err().unwrap_or_else(|| panic!("{body} was accepted"));
            assert!(problem.kind() == kind && problem.detail().contains(says), "{body}: {problem:?}");
            assert!(!problem.detail().contains(&token), "a credential was repeated");
        }
    }

    fn verified() -> Verified {
        let session = session();
        Verified {
            sid: session.id,
            rev: session.rev,
            sub: session.user_id,
            kid: "kid".to_owned(),
            iat: 2,
            exp: 302,
            expired: false,
            audience: session.audience,
            jti: "jti".to_owned(),
        }
    }

    #[test]
    fn a_jwt_must_speak_of_the_session_that_is_there() {
        assert!(must_speak_of(&verified(), &session()).is_ok());
        for other in [
            Verified { rev: 8, ..verified() },
            Verified { sub: "user-124".to_owned(), ..verified() },
            Verified { audience: vec!["billing".to_owned(), "mail".to_owned()], ..verified() },
        ] {
            assert_eq!(must_speak_of(&other, &session()).expect_err("another").kind(), Kind::TokenInvalid);
        }
    }

    #[test]
    fn causes_come_in_their_order() {
        let expired = Presented::Jwt(Verified { expired: true, ..verified() });
        let demand = Demand { required_acr: Some(Acr::Aal3), ..Demand::default() };
        let late = Moment(302_000 + 600_000);
        let judged = |standing: Standing, presented: &Presented| {
            let found = Found { session: Arc::new(session()), standing };
            judge_all(&found, &Policy::default(), presented, &demand, late).expect_err("refused").kind()
        };
        let past = || Standing::PastDeadline(session().deadline());
        let other = Presented::Jwt(Verified { rev: 8, expired: true, ..verified() });
        assert_eq!(judged(past(), &other), Kind::TokenInvalid);
        assert_eq!(judged(past(), &expired), Kind::SessionExpired);
        assert_eq!(judged(Standing::Active, &expired), Kind::JwtTooOld);
        assert_eq!(judged(Standing::Active, &Presented::Jwt(verified())), Kind::Reauthenticate);
    }
}
