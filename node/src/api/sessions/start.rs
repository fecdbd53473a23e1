//! Starting a session.

use super::input::NewSession;
use super::shape::SessionAnswer;
use crate::api::auth::Caller;
use crate::api::call::{Answer, Call, about};
use crate::api::error::Problem;
use crate::api::{Shared, endings, jwt, position};
use crate::command::{Outcome, Start};
use crate::dice;
use crate::domain::{Moment, Policy, Session, Standing};
use crate::telemetry::names;
use crate::tokens::{Mint, SessionToken};
use actix_web::HttpResponse;
use actix_web::http::header::{ETAG, LOCATION};
use std::sync::Arc;

/// A start index that no log comes to, for asking whether a JWT would fit; the largest that a JWT can carry exactly.
const REV_MAX: u64 = (1 << 53) - 1;

/// `POST /v1/sessions`
pub(crate) async fn create(mut call: Call) -> Answer {
    let body = call.body().await?;
    let rules = Rules::of(&call.shared)?;
    let new = NewSession::read(body, &rules.policy, rules.now)?;
    let token = SessionToken::from_bytes(dice::token_bytes());
    let start = start(new, &rules, &token, &call.caller);
    must_fit(&call.shared, &draft(&start, rules.now), &rules)?;
    let done = call.shared.actors.start(start).await.map_err(Problem::from)?;
    let session = match done.outcome {
        Outcome::Session(session) => session,
        Outcome::Refused(refusal) => return Err(endings::refused(refusal)),
        Outcome::Done(()) | Outcome::Count(_) => return Err(endings::surprise("start")),
    };
    metrics::counter!(names::SESSIONS_STARTED_TOTAL).increment(1);
    let standing = at_present(&call.shared, &session);
    let minted = match standing {
        // Counted from its start, the JWT cannot outlive the memory of a revocation that this node has not seen.
        Standing::Active => Some(call.shared.actors.jwt(&session, session.started_at).await),
        _ => None,
    };
    let minted = minted.transpose().map_err(|cause| endings::after_done("the session was started", cause))?;
    let mut answer = SessionAnswer::of(&session, &standing)?.with_token(&token);
    if let Some(minted) = &minted {
        answer = answer.with_jwt(minted);
    }
    let mut response = HttpResponse::Created()
        .insert_header((LOCATION, format!("/v1/sessions/{}", session.id)))
        .insert_header((ETAG, format!("\"{}\"", session.version)))
        .json(answer);
    position::put(&mut response, position::of(&call.shared, done.index)?);
    about(&call.shared, &mut response, &session.id.0);
    Ok(response)
}

/// What the session is by now: a start that had to be tried again may answer one that has ended since its first try.
fn at_present(shared: &Shared, session: &Session) -> Standing {
    let now = shared.cluster.now();
    let state = shared.cluster.view().read();
    let present = state.session_by_rev(session.rev).map_or(session, |present| &**present);
    state.standing(present, now)
}

/// What the cluster says of new sessions.
pub(super) struct Rules {
    pub(super) policy: Arc<Policy>,
    issuer: String,
    default_audience: String,
    pub(super) now: Moment,
}

impl Rules {
    pub(super) fn of(shared: &Shared) -> Result<Self, Problem> {
        let now = shared.cluster.now();
        let state = shared.cluster.view().read();
        let cluster = state.cluster().ok_or_else(endings::not_formed)?;
        Ok(Self { policy: state.policy().clone(), issuer: cluster.issuer.clone(), default_audience: cluster.default_audience.clone(), now })
    }
}

fn start(new: NewSession, rules: &Rules, token: &SessionToken, caller: &Caller) -> Start {
    Start {
        session_id: dice::session_id(),
        token: token.hash(),
        user_id: new.user_id,
        client_id: caller.application.to_owned(),
        ttl_ms: new.ttl_ms,
        idle_timeout_ms: new.idle_timeout_ms,
        attributes: new.attributes,
        claims: new.claims,
        factors: new.factors,
        audience: new.audience.unwrap_or_else(|| vec![rules.default_audience.clone()]),
    }
}

/// Makes sure before a session starts or changes that its JWTs can be made: claims, audience and user id are bounded each, the JWT in all.
pub(super) fn must_fit(shared: &Shared, draft: &Session, rules: &Rules) -> Result<(), Problem> {
    let session = Session { rev: REV_MAX, ..draft.clone() };
    let mint = Mint { issuer: &rules.issuer, session: &session, policy: &rules.policy, now: rules.now, jti: [0; 16] };
    jwt::keys(shared)?.fits(mint).map_err(endings::not_minted)
}

/// The session as it will be, for asking.
fn draft(start: &Start, now: Moment) -> Session {
    Session {
        id: start.session_id,
        rev: REV_MAX,
        user_id: start.user_id.clone(),
        token: start.token,
        client_id: start.client_id.clone(),
        started_at: now,
        last_seen_at: now,
        expires_at: now.plus_ms(start.ttl_ms),
        idle_timeout_ms: start.idle_timeout_ms,
        attributes: String::new(),
        claims: start.claims.clone(),
        factors: start.factors.clone(),
        audience: start.audience.clone(),
        version: 1,
        ended: None,
    }
}
