//! Sessions as callers see them.

use crate::api::error::{Kind, Problem};
use crate::domain::{Cause, Ending, Factor, LogIndex, Moment, Session, SessionId, Standing};
use crate::tokens::{Minted, SessionToken};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt::Display;

/// The reason that stands in a session which made room for a newer one.
const EVICTED: &str = "session limit";

/// A session, and what is given back with it.
#[derive(Serialize)]
pub(crate) struct SessionAnswer<'a> {
    session: SessionShape<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_jwt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "display_if_there")]
    jwt_expires_at: Option<Moment>,
}

impl<'a> SessionAnswer<'a> {
    /// The session alone.
    pub(crate) fn of(session: &'a Session, standing: &'a Standing) -> Result<Self, Problem> {
        Ok(Self { session: SessionShape::of(session, standing)?, session_token: None, session_jwt: None, jwt_expires_at: None })
    }

    /// With a new session token: the only time that it is shown.
    pub(crate) fn with_token(self, token: &SessionToken) -> Self {
        Self { session_token: Some(token.reveal()), ..self }
    }

    /// With a JWT.
    pub(crate) fn with_jwt(self, minted: &'a Minted) -> Self {
        Self { session_jwt: Some(&minted.jwt), jwt_expires_at: Some(minted.expires_at), ..self }
    }
}

/// A session as callers see it.
#[derive(Serialize)]
pub(crate) struct SessionShape<'a> {
    #[serde(serialize_with = "display")]
    session_id: SessionId,
    user_id: &'a str,
    status: &'static str,
    #[serde(serialize_with = "display")]
    started_at: Moment,
    #[serde(serialize_with = "display")]
    last_seen_at: Moment,
    #[serde(serialize_with = "display")]
    expires_at: Moment,
    #[serde(serialize_with = "display_if_there")]
    idle_expires_at: Option<Moment>,
    attributes: &'a RawValue,
    factors: Vec<FactorShape<'a>>,
    claims: &'a RawValue,
    audience: &'a [String],
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "display_if_there")]
    ended_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<RevokedShape<'a>>,
}

impl<'a> SessionShape<'a> {
    /// The session and what it is at the moment of `standing`.
    ///
    /// # Errors
    /// [`Kind::Internal`] if the record holds what never was JSON.
    pub(crate) fn of(session: &'a Session, standing: &'a Standing) -> Result<Self, Problem> {
        Ok(Self {
            session_id: session.id,
            user_id: &session.user_id,
            status: status(standing),
            started_at: session.started_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            idle_expires_at: session.idle_expires_at(),
            attributes: raw(&session.attributes)?,
            factors: session.factors.iter().map(FactorShape::of).collect(),
            claims: raw(&session.claims)?,
            audience: &session.audience,
            version: session.version,
            ended_at: ended_at(standing),
            revoked: revoked(standing),
        })
    }
}

#[derive(Serialize)]
struct FactorShape<'a> {
    method: &'a str,
    #[serde(serialize_with = "display")]
    at: Moment,
}

impl<'a> FactorShape<'a> {
    fn of(factor: &'a Factor) -> Self {
        Self { method: &factor.method, at: factor.at }
    }
}

#[derive(Serialize)]
struct RevokedShape<'a> {
    reason: Option<&'a str>,
    by: String,
    #[serde(serialize_with = "display")]
    at: Moment,
    index: LogIndex,
}

fn status(standing: &Standing) -> &'static str {
    match standing {
        Standing::Active => "active",
        Standing::PastDeadline(_) => "expired",
        Standing::Ended(ending) => match ending.cause {
            Cause::Expired(_) => "expired",
            Cause::Revoked(_) | Cause::Evicted(_) => "revoked",
        },
    }
}

fn ended_at(standing: &Standing) -> Option<Moment> {
    match standing {
        Standing::Active => None,
        Standing::PastDeadline(deadline) => Some(deadline.at),
        Standing::Ended(ending) => Some(ending.at),
    }
}

fn revoked(standing: &Standing) -> Option<RevokedShape<'_>> {
    let Standing::Ended(Ending { at, index, cause }) = standing else { return None };
    let (reason, by) = match cause {
        Cause::Expired(_) => return None,
        Cause::Revoked(revoked) => (revoked.reason.as_deref(), revoked.by.clone()),
        Cause::Evicted(evicted) => (Some(EVICTED), evicted.by.to_string()),
    };
    Some(RevokedShape { reason, by, at: *at, index: *index })
}

fn raw(text: &str) -> Result<&RawValue, Problem> {
    serde_json::from_str(text).map_err(|_| Problem::new(Kind::Internal, "the session's record cannot be read"))
}

/// Writes a value as it is said.
pub(crate) fn display<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Writes a value as it is said, `null` when it is not there.
pub(crate) fn display_if_there<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::{Deadline, Evicted, Expired, Revoked, TokenHash};
    use serde_json::{Value, json};

    /// A session for tests: started at 1 s, an hour long, ten minutes of idling.
    pub(crate) fn session() -> Session {
        Session {
            id: SessionId([1; 16]),
            rev: 7,
            user_id: "user-123".to_owned(),
            token: TokenHash([2; 32]),
            client_id: "root".to_owned(),
            started_at: Moment(1_000),
            last_seen_at: Moment(2_000),
            expires_at: Moment(3_601_000),
            idle_timeout_ms: Some(600_000),
            attributes: r#"{"ip_address":"203.0.113.9"}"#.to_owned(),
            claims: r#"{"role":"admin"}"#.to_owned(),
            factors: vec![Factor { method: "pwd".to_owned(), at: Moment(500) }],
            audience: vec!["billing".to_owned()],
            version: 1,
            ended: None,
        }
    }

    fn shown(session: &Session, standing: &Standing) -> Value {
        serde_json::to_value(SessionAnswer::of(session, standing).expect("a readable record")).expect("a shape is JSON")
    }

    #[test]
    fn an_active_session_has_the_shape_of_the_contract() {
        let expected = json!({"session": {"session_id": "ses_AQEBAQEBAQEBAQEBAQEBAQ", "user_id": "user-123", "status": "active",
            "started_at": "1970-01-01T00:00:01.000Z", "last_seen_at": "1970-01-01T00:00:02.000Z", "expires_at": "1970-01-01T01:00:01.000Z",
            "idle_expires_at": "1970-01-01T00:10:02.000Z", "attributes": {"ip_address": "203.0.113.9"},
            "factors": [{"method": "pwd", "at": "1970-01-01T00:00:00.500Z"}], "claims": {"role": "admin"}, "audience": ["billing"], "version": 1}});
        assert_eq!(shown(&session(), &Standing::Active), expected);
        let without_idle = Session { idle_timeout_ms: None, ..session() };
        assert_eq!(shown(&without_idle, &Standing::Active)["session"]["idle_expires_at"], Value::Null);
    }

    #[test]
    fn an_ended_session_says_when_and_why() {
        let ended = |cause| Standing::Ended(Ending { at: Moment(9_000), index: 42, cause });
        let at = json!("1970-01-01T00:00:09.000Z");
        let said = |standing: &Standing| {
            let session = shown(&session(), standing)["session"].take();
            (session["status"].clone(), session["ended_at"].clone(), session.get("revoked").cloned())
        };
        let revoked = ended(Cause::Revoked(Revoked { by: "root".to_owned(), reason: Some("logout".to_owned()) }));
        assert_eq!(said(&revoked), (json!("revoked"), at.clone(), Some(json!({"reason": "logout", "by": "root", "at": at, "index": 42}))));
        let (status, _, why) = said(&ended(Cause::Evicted(Evicted { by: SessionId([3; 16]) })));
        assert_eq!((status, why.map(|why| why["reason"].clone())), (json!("revoked"), Some(json!("session limit"))));
        assert_eq!(said(&ended(Cause::Expired(Expired { idle: true }))), (json!("expired"), at.clone(), None));
        assert_eq!(said(&Standing::PastDeadline(Deadline { at: Moment(9_000), idle: false })), (json!("expired"), at, None));
    }
}
