//! Showing one session, and the sessions of a user.

use super::find::{self, Found};
use super::input;
use super::shape::{SessionAnswer, SessionShape};
use crate::api::call::{Answer, Call, about};
use crate::api::cursor::{self, List};
use crate::api::error::Problem;
use crate::api::level::Level;
use crate::api::page::page;
use actix_web::HttpResponse;
use actix_web::http::header::ETAG;
use serde::Serialize;

/// `GET /v1/sessions/{session_id}`
pub(crate) async fn show(call: Call) -> Answer {
    let id = find::id_of(&call.part("session_id")?)?;
    let level = Level::parse(call.query.get("consistency"), Level::Local)?;
    let found = find::by_id(&call.shared, level, id).await?;
    let mut response =
        HttpResponse::Ok().insert_header((ETAG, format!("\"{}\"", found.session.version))).json(SessionAnswer::of(&found.session, &found.standing)?);
    about(&call.shared, &mut response, &id.0);
    Ok(response)
}

#[derive(Serialize)]
struct Page<'a> {
    sessions: Vec<SessionShape<'a>>,
    next_cursor: Option<String>,
}

/// `GET /v1/users/{user_id}/sessions`
pub(crate) async fn list(call: Call) -> Answer {
    let user_id = input::user_id(call.part("user_id")?)?;
    let level = Level::parse(call.query.get("consistency"), Level::Local)?;
    let active_only = match call.query.get("status") {
        None | Some("active") => true,
        Some("all") => false,
        Some(_) => return Err(Problem::field("status must be active or all")),
    };
    let (limit, after) = page(&call.query, List::Sessions)?;
    let now = level.ready(&call.shared).await?;
    let mut found: Vec<Found> = {
        let state = call.shared.cluster.view().read();
        let sessions = state.sessions_of_user(&user_id, active_only, now, after, limit + 1);
        sessions.iter().map(|session| Found::of(&state, session, now)).collect()
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|last| cursor::write(List::Sessions, last.session.rev));
    let sessions = found.iter().map(|found| SessionShape::of(&found.session, &found.standing)).collect::<Result<_, _>>()?;
    let mut response = HttpResponse::Ok().json(Page { sessions, next_cursor });
    about(&call.shared, &mut response, user_id.as_bytes());
    Ok(response)
}
