//! Who is calling: an API key in the `Authorization` header, and the scopes it has.
//!
//! Keys are known by their hash only and compared in constant time. Whether a session is active is not this file's question.

use super::error::{Kind, Problem};
use super::scope::{Scope, Scopes};
use crate::domain::KeyHash;
use crate::raft::Cluster;
use crate::tokens;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};

/// The longest API key that is looked at, bytes.
const API_KEY_MAX_BYTES: usize = 512;

/// The name of the root key, as it stands in records of who did what, and as the application of the sessions that it starts.
const ROOT: &str = "root";

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Caller {
    /// The name of the API key; fit for logs and tombstones.
    pub(crate) name: &'static str,
    /// The application that the key was made for: `client_id` of the sessions that it starts.
    pub(crate) application: &'static str,
    /// What it may do.
    pub(crate) scopes: Scopes,
}

impl Caller {
    /// Who calls a route that needs no key.
    pub(crate) const NOBODY: Self = Self { name: "-", application: "-", scopes: Scopes::NONE };

    /// The root key.
    pub(crate) const ROOT: Self = Self { name: ROOT, application: ROOT, scopes: Scopes::ALL };

    /// Checks that the caller has a scope.
    ///
    /// # Errors
    /// [`Kind::InsufficientScope`] that names it.
    pub(crate) fn need(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.has(scope) { Ok(()) } else { Err(Problem::scope(scope.name())) }
    }
}

/// The API key of a request, as it was sent.
///
/// # Errors
/// [`Kind::ApiKeyMissing`] without one, [`Kind::InvalidRequest`] when the header is malformed or there twice.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut sent = headers.get_all(AUTHORIZATION);
    let Some(header) = sent.next() else {
        return Err(Problem::new(Kind::ApiKeyMissing, "send an API key as Authorization: Bearer <key>"));
    };
    if sent.next().is_some() {
        return Err(Problem::new(Kind::InvalidRequest, "there are two Authorization headers; send one"));
    }
    let malformed = || Problem::new(Kind::InvalidRequest, "the Authorization header must be Bearer, one space and the API key");
    let (scheme, key) = header.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::new(Kind::ApiKeyMissing, "API keys are taken as Authorization: Bearer <key> only"));
    }
    let well_formed = !key.is_empty() && key.len() <= API_KEY_MAX_BYTES && key.bytes().all(|b| b.is_ascii_graphic() && b != b',');
    if well_formed { Ok(key) } else { Err(malformed()) }
}

/// Where keys are known from.
pub(crate) struct Known {
    /// The root key of the cluster, once there is one.
    cluster_root: Option<KeyHash>,
    /// The root key of this node's settings: good until the cluster has formed, worth a hint afterwards.
    own_root: Option<KeyHash>,
}

impl Known {
    /// The keys as the replicated state and this node's settings have them now.
    pub(crate) fn of(cluster: &Cluster, own_root: Option<KeyHash>) -> Self {
        Self { cluster_root: cluster.view().read().root_key().copied(), own_root }
    }

    /// Finds who has this key.
    ///
    /// # Errors
    /// [`Kind::ApiKeyInvalid`], or [`Kind::NotFormed`] on a node that cannot know any key yet.
    pub(crate) fn identify(&self, key: &str) -> Result<Caller, Problem> {
        let hash = tokens::hash_key(key);
        match (self.cluster_root.or(self.own_root), self.own_root) {
            (None, _) => Err(Problem::new(Kind::NotFormed, "this node belongs to no cluster yet, so it knows no API key")),
            (Some(root), _) if tokens::keys_equal(&root, &hash) => Ok(Caller::ROOT),
            (_, Some(own)) if tokens::keys_equal(&own, &hash) => Err(Problem::new(
                Kind::ApiKeyInvalid,
                "this is the root key of this node's settings, but the cluster was formed with another one; \
                 use that one, or set a new one with `curfew api-keys reset-root`",
            )),
            _ => Err(Problem::new(
                Kind::ApiKeyInvalid,
                "the API key is not known to this cluster; a lost root key is replaced with `curfew api-keys reset-root`",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    const KEY: &str = "a-root-key-of-at-least-32-characters";

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).expect("a header value"));
        }
        headers
    }

    #[test]
    fn a_key_is_taken_from_one_bearer_header_only() {
        for accepted in ["Bearer k", "bearer k", "BEARER k"] {
            assert_eq!(bearer(&headers(&[accepted])).expect("a key"), "k", "{accepted}");
        }
        let kind = |values: &[&str]| bearer(&headers(values)).expect_err("no key").kind();
        assert_eq!(kind(&[]), Kind::ApiKeyMissing);
        assert_eq!(kind(&["Basic dXNlcjpwYXNz"]), Kind::ApiKeyMissing);
        assert_eq!(kind(&["Bearer k", "Bearer k"]), Kind::InvalidRequest);
        for malformed in ["Bearer", "Bearer ", "Bearer  k", "Bearer k k", "Bearer k, Bearer l", "Bearer k\t"] {
            assert_eq!(kind(&[malformed]), Kind::InvalidRequest, "{malformed:?}");
        }
        assert_eq!(kind(&[&format!("Bearer {}", "k".repeat(API_KEY_MAX_BYTES + 1))]), Kind::InvalidRequest);
    }

    #[test]
    fn the_root_key_is_the_clusters_and_a_stale_one_is_told_how_to_reset_it() {
        let (root, other) = (tokens::hash_key(KEY), tokens::hash_key("another-root-key-of-32-characters!!"));
        let identify = |cluster_root, own_root| Known { cluster_root, own_root }.identify(KEY).map_err(|p| (p.kind(), p.detail().to_owned()));
        assert_eq!(identify(Some(root), None), Ok(Caller::ROOT));
        assert_eq!(identify(None, Some(root)), Ok(Caller::ROOT), "until the cluster forms, the node's own key opens it");
        assert_eq!(identify(None, None).expect_err("unformed").0, Kind::NotFormed);
        for (cluster_root, own_root) in [(Some(other), None), (Some(other), Some(root)), (None, Some(other)), (Some(other), Some(other))] {
            let (kind, detail) = identify(cluster_root, own_root).expect_err("another key");
            assert!(kind == Kind::ApiKeyInvalid && detail.contains("curfew api-keys reset-root") && !detail.contains(KEY));
        }
    }

    #[test]
    fn a_caller_without_the_scope_is_told_which() {
        let caller = Caller { scopes: Scopes::ALL.without(Scope::SessionsWrite), ..Caller::ROOT };
        assert!(caller.need(Scope::SessionsRead).is_ok());
        let problem = caller.need(Scope::SessionsWrite).expect_err("lacking");
        assert!(problem.kind() == Kind::InsufficientScope && problem.detail().contains("sessions:write"));
    }
}
