//! `Curfew-Position`: what a write answers, and what a read waits for, so that a client reads its own writes on any node.

use super::Shared;
use super::call::one_header;
use super::endings;
use super::error::Problem;
use crate::domain::{LogIndex, Position};
use actix_web::HttpResponse;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

/// The header, in and out.
pub(crate) const POSITION: &str = "curfew-position";

/// How long a read waits for a position.
const POSITION_WAIT_MAX: Duration = Duration::from_secs(2);

/// Waits until this node has applied what the caller has seen elsewhere; another cluster's position means nothing here.
///
/// # Errors
/// A field error when it is malformed, `Kind::PositionAhead` when no log has come so far, `Kind::NodeStale` at the bound.
pub(crate) async fn wait(shared: &Shared, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(text) = one_header(headers, POSITION)? else { return Ok(()) };
    let position: Position = text.parse().map_err(|error| Problem::field(format!("Curfew-Position: {error}")))?;
    if shared.cluster.cluster_id() != Some(position.cluster) {
        return Ok(());
    }
    shared.cluster.caught_up(position.index, POSITION_WAIT_MAX).await.map_err(Problem::from)
}

/// The position of an index in this cluster's log.
///
/// # Errors
/// `Kind::NotFormed` on a node that belongs to no cluster.
pub(crate) fn of(shared: &Shared, index: LogIndex) -> Result<Position, Problem> {
    let cluster = shared.cluster.cluster_id().ok_or_else(endings::not_formed)?;
    Ok(Position { cluster, index })
}

/// Puts the position of a write into its answer.
pub(crate) fn put(response: &mut HttpResponse, position: Position) {
    if let Ok(value) = HeaderValue::from_str(&position.to_string()) {
        response.headers_mut().insert(HeaderName::from_static(POSITION), value);
    }
}
