//! A revocation as callers see it: one flat JSON object, whatever its scope.

use crate::domain::{LogIndex, Moment, Revocation, RevocationEntry, Scope, SessionId};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// One revocation of an entry, serialised as `GET /v1/revocations` shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedRevocation {
    entry: Arc<RevocationEntry>,
    nth: usize,
}

impl ListedRevocation {
    /// All revocations of an entry, in its order.
    pub(super) fn all(entry: &Arc<RevocationEntry>) -> impl Iterator<Item = Self> + '_ {
        (0..entry.revocations.len()).map(|nth| Self { entry: entry.clone(), nth })
    }

    /// The index of the log entry that made it.
    #[must_use]
    pub fn index(&self) -> LogIndex {
        self.entry.index
    }
}

impl Serialize for ListedRevocation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Body::new(&self.entry, &self.entry.revocations[self.nth]).serialize(serializer)
    }
}

/// The revocations of one entry as a JSON array.
pub(super) struct All<'a>(pub(super) &'a RevocationEntry);

impl Serialize for All<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(Some(self.0.revocations.len()))?;
        for revocation in &self.0.revocations {
            array.serialize_element(&Body::new(self.0, revocation))?;
        }
        array.end()
    }
}

/// Serialises what has a text form as a JSON string.
pub(super) fn as_text<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_text_if_any<T: std::fmt::Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

#[derive(Serialize)]
struct Body<'a> {
    index: LogIndex,
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text_if_any")]
    session_id: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev_below: Option<LogIndex>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text_if_any")]
    except_session_id: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(serialize_with = "as_text")]
    at: Moment,
    #[serde(serialize_with = "as_text")]
    until: Moment,
}

impl<'a> Body<'a> {
    fn new(entry: &RevocationEntry, revocation: &'a Revocation) -> Self {
        let reason = revocation.reason.as_deref();
        let (index, at, until) = (entry.index, entry.at, entry.until);
        let bare = Self { index, scope: "", session_id: None, user_id: None, rev_below: None, except_session_id: None, kid: None, reason, at, until };
        match &revocation.scope {
            Scope::Session(s) => Self { scope: "session", session_id: Some(s.session_id), user_id: Some(&s.user_id), ..bare },
            Scope::User(s) => {
                let (rev_below, except_session_id) = (Some(s.rev_below), s.except_session_id);
                Self { scope: "user", user_id: Some(&s.user_id), rev_below, except_session_id, ..bare }
            }
            Scope::All(s) => Self { scope: "all", rev_below: Some(s.rev_below), ..bare },
            Scope::Key(s) => Self { scope: "key", kid: Some(&s.kid), ..bare },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AllScope, KeyScope, SessionScope, UserScope};

    fn listed(scope: Scope, reason: Option<&str>) -> String {
        let revocations = vec![Revocation { scope, reason: reason.map(str::to_owned) }];
        let entry = Arc::new(RevocationEntry { index: 9, at: Moment(1_767_261_600_000), until: Moment(1_767_261_917_000), revocations });
        serde_json::to_string(&ListedRevocation::all(&entry).next().unwrap()).unwrap()
    }

    #[test]
    fn each_scope_has_its_members_and_no_others() {
        const TIMES: &str = r#""at":"2026-01-01T10:00:00.000Z","until":"2026-01-01T10:05:17.000Z""#;
        let session_id = SessionId([0; 16]);
        let session = Scope::Session(SessionScope { session_id, user_id: "u\"1".into() });
        let of_session = r#"{"index":9,"scope":"session","session_id":"ses_AAAAAAAAAAAAAAAAAAAAAA","user_id":"u\"1","reason":"logout","#;
        assert_eq!(listed(session, Some("logout")), format!("{of_session}{TIMES}}}"));
        let user = |except_session_id| Scope::User(UserScope { user_id: "u".into(), rev_below: 9, except_session_id });
        assert_eq!(listed(user(None), None), format!(r#"{{"index":9,"scope":"user","user_id":"u","rev_below":9,{TIMES}}}"#));
        let except = r#"{"index":9,"scope":"user","user_id":"u","rev_below":9,"except_session_id":"ses_AAAAAAAAAAAAAAAAAAAAAA","#;
        assert_eq!(listed(user(Some(session_id)), None), format!("{except}{TIMES}}}"));
        assert_eq!(listed(Scope::All(AllScope { rev_below: 3 }), None), format!(r#"{{"index":9,"scope":"all","rev_below":3,{TIMES}}}"#));
        assert_eq!(listed(Scope::Key(KeyScope { kid: "k".into() }), None), format!(r#"{{"index":9,"scope":"key","kid":"k",{TIMES}}}"#));
    }
}
