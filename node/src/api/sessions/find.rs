//! Finding a session, with the one barrier that unknown ones are worth (G10).

use crate::api::Shared;
use crate::api::error::{Kind, Problem};
use crate::api::level::Level;
use crate::domain::{Moment, Session, SessionId, Standing};
use crate::state::State;
use std::sync::Arc;

/// A session and what it was when it was looked at.
pub(crate) struct Found {
    pub(crate) session: Arc<Session>,
    pub(crate) standing: Standing,
}

impl Found {
    /// Looks at a record through the state that holds it: the cut-offs of wide revocations count.
    pub(crate) fn of(state: &State, session: &Arc<Session>, now: Moment) -> Self {
        Self { session: session.clone(), standing: state.standing(session, now) }
    }
}

/// Looks something up in the state at this level. What is not there is looked for once more after a barrier, before it is called unknown:
/// another node may have acknowledged it a moment ago.
///
/// # Errors
/// When the level cannot be kept, or the barrier does not come about.
pub(crate) async fn look<T>(shared: &Shared, level: Level, find: impl Fn(&State, Moment) -> Option<T>) -> Result<Option<T>, Problem> {
    let now = level.ready(shared).await?;
    let found = find(&shared.cluster.view().read(), now);
    if found.is_some() || level == Level::Strict {
        return Ok(found);
    }
    let now = Level::Strict.ready(shared).await?;
    Ok(find(&shared.cluster.view().read(), now))
}

/// The session that the path names.
///
/// # Errors
/// [`Kind::UnknownSession`] after a barrier.
pub(crate) async fn by_id(shared: &Shared, level: Level, id: SessionId) -> Result<Found, Problem> {
    let found = look(shared, level, |state, now| state.session(&id).map(|session| Found::of(state, session, now))).await?;
    found.ok_or_else(|| unknown(id))
}

/// The session of the path is not remembered.
pub(crate) fn unknown(id: SessionId) -> Problem {
    Problem::new(Kind::UnknownSession, format!("no session {id} is remembered"))
}

/// The session id in the path.
///
/// # Errors
/// A field error that says how one looks.
pub(crate) fn id_of(text: &str) -> Result<SessionId, Problem> {
    text.parse().map_err(|error| Problem::field(format!("session_id: {error}")))
}
