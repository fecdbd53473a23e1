//! JWTs as callers present them.

use super::Shared;
use super::endings;
use super::error::{Kind, Problem};
use crate::telemetry::names;
use crate::tokens::{Expect, Keys, Verified, VerifyError};
use std::sync::Arc;

/// The keys that this node signs and verifies with.
///
/// # Errors
/// [`Kind::NotFormed`] while it has none.
pub(crate) fn keys(shared: &Shared) -> Result<Arc<Keys>, Problem> {
    shared.keys.load_full().ok_or_else(|| Problem::new(Kind::NotFormed, "this node has no signing keys yet, because its cluster has not formed"))
}

/// Verifies a JWT of a session, expired or not.
///
/// # Errors
/// [`Kind::TokenInvalid`], in the same words for every cause: the cause is the operator's.
pub(crate) fn verify(shared: &Shared, jwt: &str) -> Result<Verified, Problem> {
    let keys = keys(shared)?;
    let (issuer, leeway_seconds, max_ttl_seconds) = expectations(shared)?;
    let expect = Expect { issuer: &issuer, audience: None, leeway_seconds, now: shared.cluster.now(), max_ttl_seconds, allow_expired: true };
    // A JWT that this node minted itself is recognised by its bytes, which spares the signature and nothing else.
    let proven = keys.inspect(jwt, expect).and_then(|unproven| {
        let known = shared.actors.minted(unproven.rev());
        unproven.prove(known.as_ref())
    });
    proven.map_err(|cause| {
        metrics::counter!(names::JWT_REJECTED_TOTAL, "reason" => reason(&cause)).increment(1);
        tracing::debug!(%cause, "jwt rejected");
        invalid()
    })
}

/// What is said of every JWT that does not verify.
pub(crate) fn invalid() -> Problem {
    Problem::new(Kind::TokenInvalid, "the JWT is malformed, forged, or of another cluster")
}

fn expectations(shared: &Shared) -> Result<(String, u64, u64), Problem> {
    let state = shared.cluster.view().read();
    let (cluster, policy) = (state.cluster().ok_or_else(endings::not_formed)?, state.policy());
    Ok((cluster.issuer.clone(), policy.leeway_seconds, policy.jwt_ttl_seconds))
}

/// The cause as a label of a metric.
fn reason(cause: &VerifyError) -> &'static str {
    match cause {
        VerifyError::Jws(_) => "malformed_or_forged",
        VerifyError::Typ => "type",
        VerifyError::Kid | VerifyError::UnknownKey | VerifyError::RetiredKey => "unknown_key",
        VerifyError::WithdrawnKey => "withdrawn_key",
        VerifyError::Claims(_) | VerifyError::Claim(_) | VerifyError::Bound => "claims",
        VerifyError::Issuer => "issuer",
        VerifyError::Audience => "audience",
        VerifyError::Life | VerifyError::IssuedInFuture | VerifyError::NotYet => "times",
        VerifyError::Expired => "expired",
    }
}
