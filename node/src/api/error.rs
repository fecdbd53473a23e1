//! What a request comes to when it does not come to its answer. The only place that knows which status a cause has.
//!
//! The caller reads a problem document (RFC 9457); what the operator needs beyond it stands in the log.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;

/// Seconds after which a request that was certainly not done may be sent again.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The realm of every challenge (RFC 6750, section 3).
const REALM: &str = "Bearer realm=\"curfew\"";

macro_rules! kinds {
    ($( $(#[$meta:meta])* $kind:ident = $status:literal $code:literal $title:literal; )+) => {
        /// Every cause that a caller can branch on; the codes are stable.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Kind { $( $(#[$meta])* $kind ),+ }

        impl Kind {
            /// All of them, for tests that walk the table.
            pub const ALL: &'static [Self] = &[$( Self::$kind ),+];

            fn facts(self) -> (u16, &'static str, &'static str) {
                match self { $( Self::$kind => ($status, $code, $title) ),+ }
            }
        }
    };
}

kinds! {
    /// A header, parameter or combination that cannot be meant.
    InvalidRequest = 400 "invalid_request" "The request is malformed";
    /// The body is not the JSON it should be.
    InvalidJson = 400 "invalid_json" "The body is not a well-formed JSON object";
    /// A member of the body, a parameter or a part of the path has a value it cannot have.
    InvalidField = 400 "invalid_field" "A value is not allowed";
    /// A member or parameter that this release does not know.
    UnknownField = 400 "unknown_field" "A member or parameter is not known";
    /// A secret stood where logs and proxies keep it.
    CredentialInQuery = 400 "credential_in_query" "A credential must not stand in the query string";
    /// More than the policy allows.
    AbovePolicyCap = 400 "above_policy_cap" "The policy allows less";
    /// A position that no log has reached.
    PositionAhead = 400 "position_ahead" "The position is ahead of the cluster";
    /// No API key was sent.
    ApiKeyMissing = 401 "api_key_missing" "An API key is required";
    /// An API key that is not known.
    ApiKeyInvalid = 401 "api_key_invalid" "The API key is not known";
    /// A credential that is malformed, forged, or made elsewhere.
    TokenInvalid = 401 "token_invalid" "The credential is not valid";
    /// A credential of no session that is remembered.
    SessionNotFound = 401 "session_not_found" "No such session";
    /// The session was ended before its time.
    SessionRevoked = 401 "session_revoked" "The session was revoked";
    /// The session's time had come.
    SessionExpired = 401 "session_expired" "The session has expired";
    /// The JWT expired too long ago to be exchanged.
    JwtTooOld = 401 "jwt_too_old_to_refresh" "The JWT expired too long ago to be exchanged";
    /// The user has to prove more, or again.
    Reauthenticate = 401 "reauthentication_required" "The user must authenticate again";
    /// The API key may not do this.
    InsufficientScope = 403 "insufficient_scope" "The API key lacks a scope";
    /// No such route on this listener.
    NoRoute = 404 "not_found" "There is no such resource";
    /// The session named in the path is not remembered.
    UnknownSession = 404 "session_not_found" "No such session";
    /// The subscriber is not connected to this node.
    UnknownSubscriber = 404 "subscriber_not_found" "No such subscriber on this node";
    /// The member named in the path is not one.
    UnknownMember = 404 "member_not_found" "No such member of the cluster";
    /// The path is known, the method is not.
    MethodNotAllowed = 405 "method_not_allowed" "The method is not allowed here";
    /// The body did not arrive in time.
    BodyTimeout = 408 "request_timeout" "The body did not arrive in time";
    /// The user has as many sessions as the policy allows.
    SessionLimit = 409 "session_limit_reached" "The user has as many active sessions as the policy allows";
    /// The session has ended and can no longer be changed.
    SessionEnded = 409 "session_ended" "The session has ended";
    /// The record was changed by somebody else meanwhile.
    Conflict = 409 "conflict" "The present state does not allow this";
    /// `If-Match` names another version.
    VersionMismatch = 412 "version_mismatch" "The session has another version";
    /// More bytes than a body may have.
    BodyTooLarge = 413 "body_too_large" "The body is too large";
    /// A body of a type that is not read here.
    UnsupportedMediaType = 415 "unsupported_media_type" "The body must be JSON";
    /// One key has as many streams as it may have.
    TooManyStreams = 429 "too_many_streams" "The API key has as many streams as it may have";
    /// A bug of this node.
    Internal = 500 "internal" "The node failed to answer";
    /// Asked for what this release does not do yet, where silence could be taken for done.
    NotImplemented = 501 "not_implemented" "This release does not do that yet";
    /// Certainly not done: no majority, or nobody leads it.
    NoLeader = 503 "no_leader" "The cluster has no leader";
    /// The node belongs to no cluster yet.
    NotFormed = 503 "not_formed" "The node belongs to no cluster yet";
    /// The node cannot show that its knowledge is recent enough.
    NodeStale = 503 "node_stale" "The node cannot show that it is up to date";
    /// Certainly not done: a bound is reached.
    Overloaded = 503 "overloaded" "The node has as much to do as it may have";
    /// Certainly not done: no room to write it down.
    DiskFull = 503 "disk_full" "The disk is full";
    /// Certainly not done: the node is shutting down.
    Draining = 503 "draining" "The node is shutting down";
    /// Perhaps done.
    OutcomeUnknown = 504 "outcome_unknown" "The outcome is not known";
}

impl Kind {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        self.facts().0
    }

    /// The stable name that callers branch on.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.facts().1
    }

    fn title(self) -> &'static str {
        self.facts().2
    }
}

/// An answer that is not the one asked for: the cause, and a sentence for the caller. Holds no secret.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    detail: String,
    challenge: Option<String>,
    allow: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
}

impl Problem {
    /// A problem of this kind; `detail` is a sentence for the caller.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), challenge: None, allow: None }
    }

    /// A value of the body, the query or the path that cannot be; the sentence names it.
    pub fn field(detail: impl Into<String>) -> Self {
        Self::new(Kind::InvalidField, detail)
    }

    /// The session's factors are too few or too old (RFC 9470); `wanted` are the parameters of the challenge.
    pub fn reauthenticate(detail: impl Into<String>, wanted: &str) -> Self {
        let challenge = format!("{REALM}, error=\"insufficient_user_authentication\"{wanted}");
        Self { challenge: Some(challenge), ..Self::new(Kind::Reauthenticate, detail) }
    }

    /// The API key lacks this scope (RFC 6750, section 3.1).
    pub fn scope(scope: &str) -> Self {
        let challenge = format!("{REALM}, error=\"insufficient_scope\", scope=\"{scope}\"");
        Self { challenge: Some(challenge), ..Self::new(Kind::InsufficientScope, format!("the API key lacks the scope {scope}")) }
    }

    /// The path takes other methods: these.
    pub fn method(allow: String) -> Self {
        let detail = format!("this path takes {allow}");
        Self { allow: Some(allow), ..Self::new(Kind::MethodNotAllowed, detail) }
    }

    /// The cause.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence for the caller.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer as it goes out.
    #[must_use]
    pub fn response(&self, request_id: &str) -> HttpResponse {
        let status = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = HttpResponse::build(status);
        answer.content_type("application/problem+json").insert_header((CACHE_CONTROL, "no-store"));
        if matches!(status.as_u16(), 503 | 429) {
            answer.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS));
        }
        if let Some(challenge) = self.challenge() {
            answer.insert_header((WWW_AUTHENTICATE, challenge));
        }
        if let Some(allow) = self.allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            answer.insert_header((ALLOW, allow));
        }
        if matches!(self.kind, Kind::BodyTooLarge | Kind::BodyTimeout) {
            // The rest of the body is not read, so the connection cannot be used again.
            answer.force_close();
        }
        answer.body(self.document(status.as_u16(), request_id))
    }

    fn challenge(&self) -> Option<HeaderValue> {
        let text = match (&self.challenge, self.kind.status()) {
            (Some(challenge), _) => challenge.clone(),
            (None, 401) if self.kind == Kind::ApiKeyMissing => REALM.to_owned(),
            (None, 401) => format!("{REALM}, error=\"invalid_token\", error_description=\"{}\"", self.kind.code()),
            _ => return None,
        };
        HeaderValue::from_str(&text).ok()
    }

    fn document(&self, status: u16, request_id: &str) -> String {
        let code = self.kind.code();
        let document =
            Document { r#type: format!("urn:curfew:problem:{code}"), title: self.kind.title(), status, detail: &self.detail, code, request_id };
        serde_json::to_string(&document).expect("texts and numbers always serialise")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;

    async fn read(problem: &Problem) -> (HttpResponse<()>, serde_json::Value) {
        let (head, body) = problem.response("req-1").into_parts();
        let bytes = to_bytes(body).await.expect("the body is in memory");
        (head, serde_json::from_slice(&bytes).expect("a problem document is JSON"))
    }

    fn sent<'a>(head: &'a HttpResponse<()>, name: &str) -> &'a str {
        head.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    #[actix_web::test]
    async fn every_kind_is_a_problem_document_with_its_code_and_request_id() {
        for kind in Kind::ALL {
            let (head, body) = read(&Problem::new(*kind, "a sentence")).await;
            assert_eq!(sent(&head, "content-type"), "application/problem+json", "{kind:?}");
            assert_eq!(sent(&head, "cache-control"), "no-store", "{kind:?}");
            assert_eq!(body["status"], head.status().as_u16(), "{kind:?}");
            assert_eq!((&body["code"], &body["request_id"], &body["detail"]), (&kind.code().into(), &"req-1".into(), &"a sentence".into()));
            assert!(body["type"].as_str().is_some_and(|t| t.ends_with(kind.code())) && body["title"].is_string(), "{kind:?}");
        }
    }

    #[actix_web::test]
    async fn what_may_be_retried_says_when_and_what_lacks_proof_says_which() {
        for kind in Kind::ALL {
            let (head, _) = read(&Problem::new(*kind, "a sentence")).await;
            assert_eq!(head.headers().contains_key("retry-after"), matches!(kind.status(), 429 | 503), "{kind:?}");
            assert_eq!(head.headers().contains_key("www-authenticate"), kind.status() == 401, "{kind:?}");
        }
        let (head, _) = read(&Problem::scope("sessions:write")).await;
        assert_eq!(sent(&head, "www-authenticate"), "Bearer realm=\"curfew\", error=\"insufficient_scope\", scope=\"sessions:write\"");
        let (head, _) = read(&Problem::method("GET, POST".to_owned())).await;
        assert_eq!(sent(&head, "allow"), "GET, POST");
    }

    #[test]
    fn a_code_has_one_meaning() {
        for (at, kind) in Kind::ALL.iter().enumerate() {
            for other in &Kind::ALL[at + 1..] {
                // A session that is not found is 401 where it was the credential, 404 where it was the resource.
                let told_apart = kind.code() != other.code() || kind.code() == "session_not_found";
                assert!(told_apart, "{kind:?} and {other:?} share a code");
            }
            assert!(kind.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{kind:?}");
        }
    }
}
