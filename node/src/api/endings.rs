//! How the endings of the rooms below are told to callers: done, certainly not done, perhaps done (G7).
//!
//! Translations only: causes are named here, their statuses in `error`.

use super::error::{Kind, Problem};
use super::sessions::{input, judge};
use crate::actors::ActError;
use crate::command::Refusal;
use crate::domain::{Moment, SessionId};
use crate::feed::{AckError, SubscribeError};
use crate::propose::{NotDone, ProposeError};
use crate::raft::{BarrierError, CatchUpError, InitError, MembershipError};
use crate::tokens::{MINTED_MAX_BYTES, MintError};

impl From<ProposeError> for Problem {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotDone(cause) => cause.into(),
            ProposeError::Unknown => Self::new(Kind::OutcomeUnknown, "no answer came in time; it may have been done, or be done yet"),
        }
    }
}

impl From<NotDone> for Problem {
    fn from(cause: NotDone) -> Self {
        match cause {
            NotDone::NoLeader => Self::new(Kind::NoLeader, "no leader could be reached; nothing was done"),
            NotDone::NotFormed => not_formed(),
            NotDone::Overloaded(bound) => Self::new(Kind::Overloaded, format!("the bound {bound} is reached; nothing was done")),
            NotDone::DiskFull => Self::new(Kind::DiskFull, "the leader's disk is full; nothing was done"),
            NotDone::Draining => Self::new(Kind::Draining, "this node is shutting down; nothing was done"),
        }
    }
}

impl From<BarrierError> for Problem {
    fn from(error: BarrierError) -> Self {
        match error {
            BarrierError::Stale => Self::new(Kind::NodeStale, "a majority did not answer in time; nothing was read"),
            BarrierError::Overloaded => Self::new(Kind::Overloaded, "as many requests wait for a majority as may wait; nothing was read"),
        }
    }
}

impl From<CatchUpError> for Problem {
    fn from(error: CatchUpError) -> Self {
        match error {
            CatchUpError::Ahead => Self::new(Kind::PositionAhead, "no log of this cluster has come as far as the position says"),
            CatchUpError::TimedOut => Self::new(Kind::NodeStale, "this node did not catch up with the position in time"),
        }
    }
}

impl From<SubscribeError> for Problem {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::NotFormed => not_formed(),
            SubscribeError::Draining => NotDone::Draining.into(),
            SubscribeError::TooMany(max) => Self::new(Kind::Overloaded, format!("this node has {max} streams, as many as it may have")),
            SubscribeError::TooManyOfKey(max) => {
                Self::new(Kind::TooManyStreams, format!("the API key has {max} streams on this node, as many as it may have"))
            }
        }
    }
}

impl From<AckError> for Problem {
    fn from(error: AckError) -> Self {
        match error {
            AckError::NotHere => Self::new(Kind::UnknownSubscriber, "no stream of this API key has that subscriber id"),
            AckError::Ahead { told, .. } => Self::field(format!("index must have been told; {told} is the last that was")),
        }
    }
}

impl From<InitError> for Problem {
    fn from(error: InitError) -> Self {
        match error {
            InitError::AlreadyFormed | InitError::NotYet(_) => Self::new(Kind::Conflict, error.to_string()),
            InitError::Failed(_) => Self::new(Kind::OutcomeUnknown, error.to_string()),
        }
    }
}

impl From<MembershipError> for Problem {
    fn from(error: MembershipError) -> Self {
        let kind = match error {
            MembershipError::NoLeader => Kind::NoLeader,
            MembershipError::Unknown => Kind::OutcomeUnknown,
            MembershipError::NotAMember(_) => Kind::UnknownMember,
            MembershipError::Refused(_) | MembershipError::IsLeader => Kind::Conflict,
        };
        Self::new(kind, error.to_string())
    }
}

/// Why there is no snapshot; the caller is an operator and hears the reason.
pub(crate) fn no_snapshot(reason: &str) -> Problem {
    tracing::warn!(reason, "no snapshot was built");
    Problem::new(Kind::Internal, format!("no snapshot was built: {reason}"))
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Ended => Self::new(Kind::SessionExpired, "the session ended while the request was on its way"),
            ActError::NoKeys => not_formed(),
            ActError::Mint(error) => not_minted(error),
            ActError::Propose(error) => error.into(),
        }
    }
}

/// The same, after something was done that cannot be taken back.
pub(crate) fn after_done(done: &str, error: ActError) -> Problem {
    let cause = Problem::from(error);
    Problem::new(Kind::OutcomeUnknown, format!("{done}, but no JWT could be made: {}", cause.detail()))
}

/// Why no JWT could be made.
pub(crate) fn not_minted(error: MintError) -> Problem {
    match error {
        MintError::NoKey => not_formed(),
        MintError::Expired => Problem::new(Kind::SessionExpired, "the absolute lifetime of the session ends within a second"),
        MintError::TooLarge(bytes) => Problem::field(format!(
            "user_id, claims and audience are too large together: a JWT would have {bytes} bytes, and may have {MINTED_MAX_BYTES}"
        )),
        MintError::Claims(_) | MintError::NoAudience | MintError::Signing => {
            tracing::error!(%error, "a jwt could not be minted");
            Problem::new(Kind::Internal, "the JWT could not be made")
        }
    }
}

/// The node belongs to no cluster yet.
pub(crate) fn not_formed() -> Problem {
    Problem::new(Kind::NotFormed, "this node belongs to no cluster yet")
}

/// Why applying a command changed nothing, where the path named the session.
pub(crate) fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::SessionNotFound(()) => Problem::new(Kind::UnknownSession, "no such session is remembered"),
        Refusal::SessionEnded(session) => ended(session.id),
        Refusal::VersionConflict(version) => Problem::new(Kind::VersionMismatch, format!("the session has version {version}")),
        Refusal::SessionLimit(max) => Problem::new(Kind::SessionLimit, format!("the user has {max} active sessions, as many as the policy allows")),
        Refusal::Overloaded(bound) => Problem::new(Kind::Overloaded, format!("the bound {bound} is reached; nothing was done")),
        Refusal::CommandTooOld(()) => Problem::new(Kind::Overloaded, "the request was too long on its way to the log; nothing was done"),
        Refusal::WrongPhase(()) => not_formed(),
        Refusal::AboveCap(cap) => Problem::new(Kind::AbovePolicyCap, format!("the cap is {cap}")),
        Refusal::Taken(()) => Problem::new(Kind::Conflict, "the id or token that was drawn is in use; nothing was done"),
    }
}

/// The session of the path has ended.
pub(crate) fn ended(id: SessionId) -> Problem {
    Problem::new(Kind::SessionEnded, format!("the session {id} has ended and can no longer be changed"))
}

/// Why applying a command changed nothing, where a credential named the session.
pub(crate) fn refused_credential(refusal: Refusal, now: Moment) -> Problem {
    match refusal {
        Refusal::SessionNotFound(()) => Problem::new(Kind::SessionNotFound, "no session with this credential is remembered"),
        Refusal::SessionEnded(session) => match judge::must_be_active(&session.standing_by_record(now)) {
            Err(problem) => problem,
            Ok(()) => Problem::new(Kind::SessionRevoked, "the session was revoked"),
        },
        Refusal::AboveCap(cap_ms) => input::above_cap("extend_seconds", cap_ms),
        other => refused(other),
    }
}

/// An ending that the command cannot have: a bug, said rather than guessed around.
pub(crate) fn surprise(command: &'static str) -> Problem {
    tracing::error!(command, "a command had an outcome that is not one of its own");
    Problem::new(Kind::OutcomeUnknown, "the command was done, but its outcome cannot be told")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::sessions::shape::tests::session;
    use crate::domain::{Ending, Expired};
    use std::sync::Arc;

    fn status(problem: impl Into<Problem>) -> (u16, &'static str) {
        let kind = problem.into().kind();
        (kind.status(), kind.code())
    }

    #[test]
    fn certainly_not_done_is_503_and_perhaps_done_is_504() {
        for (cause, code) in [
            (NotDone::NoLeader, "no_leader"),
            (NotDone::NotFormed, "not_formed"),
            (NotDone::Overloaded("proposals_max"), "overloaded"),
            (NotDone::DiskFull, "disk_full"),
            (NotDone::Draining, "draining"),
        ] {
            assert_eq!(status(ProposeError::NotDone(cause)), (503, code));
        }
        for unknown in [Problem::from(ProposeError::Unknown), MembershipError::Unknown.into(), InitError::Failed(String::new()).into()] {
            assert_eq!(status(unknown), (504, "outcome_unknown"));
        }
        assert_eq!(status(after_done("the session was started", ActError::NoKeys)), (504, "outcome_unknown"), "what is done is never called refused");
        assert_eq!(status(MembershipError::NoLeader), (503, "no_leader"));
    }

    #[test]
    fn a_read_that_cannot_be_answered_is_not_guessed() {
        assert_eq!(status(BarrierError::Stale), (503, "node_stale"));
        assert_eq!(status(BarrierError::Overloaded), (503, "overloaded"));
        assert_eq!(status(CatchUpError::TimedOut), (503, "node_stale"));
        assert_eq!(status(CatchUpError::Ahead), (400, "position_ahead"));
    }

    #[test]
    fn every_refusal_of_apply_has_its_answer() {
        let ended = || Arc::new(crate::domain::Session { ended: Some(ending()), ..session() });
        for (refusal, answer) in [
            (Refusal::SessionNotFound(()), (404, "session_not_found")),
            (Refusal::SessionEnded(ended()), (409, "session_ended")),
            (Refusal::VersionConflict(3), (412, "version_mismatch")),
            (Refusal::SessionLimit(5), (409, "session_limit_reached")),
            (Refusal::Overloaded("sessions_max".to_owned()), (503, "overloaded")),
            (Refusal::CommandTooOld(()), (503, "overloaded")),
            (Refusal::WrongPhase(()), (503, "not_formed")),
            (Refusal::AboveCap(16), (400, "above_policy_cap")),
            (Refusal::Taken(()), (409, "conflict")),
        ] {
            assert_eq!(status(refused(refusal)), answer);
        }
        let by_credential = |refusal| status(refused_credential(refusal, Moment(0)));
        assert_eq!(by_credential(Refusal::SessionNotFound(())), (401, "session_not_found"));
        assert_eq!(by_credential(Refusal::SessionEnded(ended())), (401, "session_expired"));
        assert_eq!(by_credential(Refusal::SessionEnded(Arc::new(session()))), (401, "session_revoked"), "by a cut-off that is not in the record yet");
        let cap = refused_credential(Refusal::AboveCap(60_000), Moment(0));
        assert!(cap.kind() == Kind::AbovePolicyCap && cap.detail().contains("extend_seconds may be at most 60"));
    }

    fn ending() -> Ending {
        Ending { at: Moment(0), index: 9, cause: crate::domain::Cause::Expired(Expired { idle: false }) }
    }
}
