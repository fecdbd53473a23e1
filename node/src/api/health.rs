//! Is it alive, is it ready, and what does it measure.

use super::Shared;
use super::call::{Answer, Call};
use crate::raft::Freshness;
use actix_web::HttpResponse;
use actix_web::http::header::RETRY_AFTER;
use serde::Serialize;

/// One thing that a ready node needs, or that its operator wants to know.
#[derive(Serialize)]
struct Condition {
    name: &'static str,
    ok: bool,
    needed: bool,
    detail: String,
}

impl Condition {
    fn new(name: &'static str, needed: bool, held: Result<String, String>) -> Self {
        let ok = held.is_ok();
        Self { name, ok, needed, detail: held.unwrap_or_else(|why| why) }
    }

    /// Without it the node is not ready.
    fn needed(name: &'static str, held: Result<String, String>) -> Self {
        Self::new(name, true, held)
    }

    /// Without it the node is ready all the same: what it cannot do then, it refuses by name.
    fn wanted(name: &'static str, held: Result<String, String>) -> Self {
        Self::new(name, false, held)
    }
}

#[derive(Serialize)]
struct Readiness<'a> {
    status: &'static str,
    failing: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conditions: Option<&'a [Condition]>,
}

/// `GET /livez`: the process answers.
pub(crate) async fn livez(_: Call) -> Answer {
    Ok(HttpResponse::Ok().json(Readiness { status: "alive", failing: Vec::new(), conditions: None }))
}

/// `GET /readyz`: whether requests should be sent here.
pub(crate) async fn readyz(call: Call) -> Answer {
    let conditions = conditions(&call.shared);
    let failing: Vec<_> = conditions.iter().filter(|condition| condition.needed && !condition.ok).map(|condition| condition.name).collect();
    let conditions = call.query.get("verbose").is_some().then_some(conditions.as_slice());
    if failing.is_empty() {
        return Ok(HttpResponse::Ok().json(Readiness { status: "ready", failing, conditions }));
    }
    Ok(HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, 1)).json(Readiness { status: "not_ready", failing, conditions }))
}

/// `GET /metrics`: Prometheus text, format 0.0.4.
pub(crate) async fn metrics(call: Call) -> Answer {
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(call.shared.telemetry.render()))
}

fn conditions(shared: &Shared) -> Vec<Condition> {
    let (cluster, freshness) = (&shared.cluster, shared.cluster.freshness());
    let staleness = staleness(freshness);
    let waiting = cluster.waiting_for().unwrap_or_else(|| "this node belongs to no cluster yet".to_owned());
    vec![
        Condition::needed("formed", cluster.cluster_id().map(|id| format!("cluster {id}")).ok_or(waiting)),
        Condition::needed("keys", held(shared.keys.load().is_some(), "the signing keys are open", "this node has no signing keys yet")),
        Condition::needed("fresh", held(freshness.fresh, &staleness, &staleness)),
        Condition::needed("serving", held(!shared.draining(), "this node takes requests", "this node is shutting down")),
        Condition::wanted("leader", cluster.leader_heard().map(|id| format!("node {id}")).ok_or_else(|| "no leader is known".to_owned())),
        Condition::wanted(
            "clock",
            held(!cluster.clock_stepped(), "the wall clock is followed", "the wall clock stepped and is not followed: clock_stepped"),
        ),
        Condition::wanted("disk", held(cluster.writable(), "the disk has room", "the disk is full: this node takes no writes")),
    ]
}

fn staleness(freshness: Freshness) -> String {
    let Freshness { staleness_ms, max_staleness_ms, .. } = freshness;
    if staleness_ms == u64::MAX {
        return "this node has not been shown to be up to date since it started".to_owned();
    }
    format!("staleness {staleness_ms} ms of at most {max_staleness_ms} ms")
}

fn held(ok: bool, yes: &str, no: &str) -> Result<String, String> {
    if ok { Ok(yes.to_owned()) } else { Err(no.to_owned()) }
}
