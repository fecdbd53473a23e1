//! Every route there is, on one screen: method, path, listener, who may, what it does to the state, its parameters, who answers.
//!
//! A path that is not here is 404. A test walks the table and asks each route without a key and with a key that lacks the scope.

use super::call::Handler;
use super::scope::Scope;
use super::{admin, health, keys, revocations, sessions};
use actix_web::http::Method;
use std::fmt;

/// Which listener a route is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listener {
    /// For applications and verifiers.
    Api,
    /// For operators.
    Admin,
}

impl Listener {
    /// The name as metrics, logs and settings use it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Everybody.
    Open,
    /// Whoever has an API key with this scope.
    Scope(Scope),
    /// As `admin:read`, unless the setting `metrics_public` opens it.
    Metrics,
}

/// What asking does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Looks at replicated state; waits for `Curfew-Position`.
    Read,
    /// May change replicated state or the cluster.
    Write,
    /// Looks at this node as it is, without waiting for anything.
    Watch,
}

/// One route.
pub struct Route {
    /// `HEAD` is answered as `GET` is.
    pub method: Method,
    /// Parts in braces are named.
    pub pattern: &'static str,
    /// Where.
    pub listeners: &'static [Listener],
    /// Who may.
    pub access: Access,
    /// What it does.
    pub effect: Effect,
    /// The parameters of the query string that are known; others are refused.
    pub parameters: &'static [&'static str],
    pub(crate) handler: Handler,
}

const API: &[Listener] = &[Listener::Api];
const ADMIN: &[Listener] = &[Listener::Admin];
const BOTH: &[Listener] = &[Listener::Api, Listener::Admin];

macro_rules! routes {
    ($( $method:ident $pattern:literal $listeners:ident $access:expr, $effect:ident, [$($parameter:literal)*] => $handler:path; )+) => {
        /// The table. Where two patterns fit, the first counts.
        pub static ROUTES: &[Route] = &[$( Route {
            method: Method::$method,
            pattern: $pattern,
            listeners: $listeners,
            access: $access,
            effect: Effect::$effect,
            parameters: &[$($parameter),*],
            handler: |call| Box::pin($handler(call)),
        } ),+];
    };
}

use Access::{Metrics, Open, Scope as Needs};
use Scope::{AdminMembers, AdminRead, AdminWrite, RevocationsRead, SessionsRead, SessionsRevoke, SessionsWrite};

#[rustfmt::skip]
routes! {
    POST   "/v1/sessions"                            API   Needs(SessionsWrite),   Write, [] => sessions::create;
    POST   "/v1/sessions/authenticate"               API   Needs(SessionsRead),    Read,  [] => sessions::authenticate;
    POST   "/v1/sessions/revoke"                     API   Needs(SessionsRevoke),  Write, ["consistency"] => sessions::revoke;
    GET    "/v1/sessions/{session_id}"               API   Needs(SessionsRead),    Read,  ["consistency"] => sessions::show;
    PATCH  "/v1/sessions/{session_id}"               API   Needs(SessionsWrite),   Write, [] => sessions::patch;
    DELETE "/v1/sessions/{session_id}"               API   Needs(SessionsRevoke),  Write, [] => sessions::delete;
    GET    "/v1/users/{user_id}/sessions"            API   Needs(SessionsRead),    Read,  ["status" "limit" "cursor" "consistency"] => sessions::list;
    GET    "/v1/revocations"                         API   Needs(RevocationsRead), Read,  ["after" "limit" "cursor" "nonce" "consistency"] => revocations::list;
    GET    "/v1/revocations/stream"                  API   Needs(RevocationsRead), Watch, ["after" "ack" "stale" "accept_seconds" "nonce"] => revocations::stream;
    POST   "/v1/revocations/ack"                     API   Needs(RevocationsRead), Watch, [] => revocations::ack;
    GET    "/.well-known/jwks.json"                  API   Open,                   Watch, [] => keys::jwks;
    GET    "/livez"                                  BOTH  Open,                   Watch, ["verbose"] => health::livez;
    GET    "/readyz"                                 BOTH  Open,                   Watch, ["verbose"] => health::readyz;
    GET    "/metrics"                                ADMIN Metrics,                Watch, [] => health::metrics;
    GET    "/admin/v1/cluster"                       ADMIN Needs(AdminRead),       Read,  [] => admin::cluster;
    POST   "/admin/v1/cluster/init"                  ADMIN Needs(AdminMembers),    Write, [] => admin::init;
    POST   "/admin/v1/cluster/members"               ADMIN Needs(AdminMembers),    Write, [] => admin::add_member;
    POST   "/admin/v1/cluster/members/{id}/promote"  ADMIN Needs(AdminMembers),    Write, [] => admin::promote_member;
    DELETE "/admin/v1/cluster/members/{id}"          ADMIN Needs(AdminMembers),    Write, [] => admin::remove_member;
    POST   "/admin/v1/cluster/leader/transfer"       ADMIN Needs(AdminWrite),      Write, [] => admin::transfer;
    POST   "/admin/v1/cluster/snapshots"             ADMIN Needs(AdminWrite),      Write, [] => admin::snapshot;
    GET    "/admin/v1/actors"                        ADMIN Needs(AdminRead),       Watch, [] => admin::actors;
}

/// All routes of one path on one listener.
pub(crate) struct Place {
    pub(crate) listener: Listener,
    pub(crate) pattern: &'static str,
    pub(crate) routes: Vec<&'static Route>,
}

impl Place {
    /// The paths of a listener, in the order of the table.
    pub(crate) fn all(listener: Listener) -> Vec<Self> {
        let mut places: Vec<Self> = Vec::new();
        for route in ROUTES.iter().filter(|route| route.listeners.contains(&listener)) {
            match places.iter_mut().find(|place| place.pattern == route.pattern) {
                Some(place) => place.routes.push(route),
                None => places.push(Self { listener, pattern: route.pattern, routes: vec![route] }),
            }
        }
        places
    }

    /// The place of every path that is none.
    pub(crate) fn nowhere(listener: Listener) -> Self {
        Self { listener, pattern: "unknown", routes: Vec::new() }
    }

    /// The route for a method.
    pub(crate) fn route(&self, method: &Method) -> Option<&'static Route> {
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        self.routes.iter().copied().find(|route| route.method == *wanted)
    }

    /// What stands in `Allow`.
    pub(crate) fn allow(&self) -> String {
        let mut allowed = Vec::new();
        for route in &self.routes {
            allowed.push(route.method.as_str());
            if route.method == Method::GET {
                allowed.push("HEAD");
            }
        }
        allowed.join(", ")
    }

    /// The pattern as the router reads it: narrow enough that names which are not built yet stay unknown.
    pub(crate) fn matcher(&self) -> String {
        self.pattern.replace("{session_id}", "{session_id:ses_[^/]*}").replace("{id}", "{id:[0-9]+}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::auth::Caller;
    use crate::api::scope::Scopes;

    #[test]
    fn every_route_but_the_public_ones_needs_a_scope_and_refuses_a_key_that_lacks_it() {
        let open = ["/.well-known/jwks.json", "/livez", "/readyz"];
        for route in ROUTES {
            let scope = match route.access {
                Access::Open => {
                    assert!(open.contains(&route.pattern), "{} is open", route.pattern);
                    continue;
                }
                Access::Metrics => Scope::AdminRead,
                Access::Scope(scope) => scope,
            };
            let with = Caller { scopes: Scopes::NONE.with(scope), ..Caller::ROOT };
            let without = Caller { scopes: Scopes::ALL.without(scope), ..Caller::ROOT };
            assert!(with.need(scope).is_ok(), "{}", route.pattern);
            assert_eq!(without.need(scope).expect_err("lacking").kind().status(), 403, "{}", route.pattern);
        }
    }

    #[test]
    fn routes_stand_on_the_listener_of_their_scope_and_once() {
        for (at, route) in ROUTES.iter().enumerate() {
            let admin = matches!(route.access, Metrics | Needs(AdminRead | AdminWrite | AdminMembers));
            assert_eq!(route.listeners == ADMIN, admin, "{}", route.pattern);
            let again = ROUTES[at + 1..].iter().any(|other| (&other.method, other.pattern) == (&route.method, route.pattern));
            assert!(!again, "{} {} stands there twice", route.method, route.pattern);
            // A literal path after a pattern that covers it would never be reached.
            let covered = |earlier: &&Route| {
                earlier.pattern.ends_with("/{session_id}") && route.pattern.starts_with("/v1/sessions/") && !route.pattern.contains('{')
            };
            assert!(!ROUTES[..at].iter().any(|earlier| covered(&earlier)), "{}", route.pattern);
        }
    }

    #[test]
    fn what_only_looks_is_got_and_what_writes_is_not() {
        for route in ROUTES {
            assert_eq!(route.effect == Effect::Write, matches!(route.method, Method::POST | Method::PATCH | Method::DELETE) && !reads_by_post(route));
        }
    }

    fn reads_by_post(route: &Route) -> bool {
        ["/v1/sessions/authenticate", "/v1/revocations/ack"].contains(&route.pattern)
    }

    #[test]
    fn a_place_knows_its_methods() {
        let places = Place::all(Listener::Api);
        let session = places.iter().find(|place| place.pattern == "/v1/sessions/{session_id}").expect("in the table");
        assert_eq!(session.allow(), "GET, HEAD, PATCH, DELETE");
        assert!(session.route(&Method::HEAD).is_some() && session.route(&Method::PUT).is_none());
        assert!(Place::nowhere(Listener::Api).routes.is_empty());
    }
}
