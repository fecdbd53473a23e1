//! The leader's duties: ends what is due, writes endings that wide revocations left, forgets what has been kept long enough.

use super::road::Road;
use crate::command::{Command, Expire, Outcome, REAP_MAX, Reap, Refusal, Trim};
use crate::dice;
use crate::propose::ProposeError;
use crate::telemetry::names;

/// Commands of one kind in one round; what remains has its turn in the next.
const PER_ROUND_MAX: usize = 20;

/// What there may be to do, in the order in which it is done.
const KINDS: [fn(&dyn Road) -> Option<Command>; 3] = [expire, reap, trim];

/// Why a round ended early. The sentences are for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum DutyError {
    /// Not done, or nobody knows.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// `apply` would not do it.
    #[error("a command of the keeper was refused: {0:?}")]
    Refused(Refusal),
}

/// One round, one command at a time.
///
/// # Errors
/// The first command that was not done ends the round.
pub(super) async fn round(road: &dyn Road) -> Result<(), DutyError> {
    for next in KINDS {
        for _ in 0..PER_ROUND_MAX {
            if !road.is_leader() {
                return Ok(());
            }
            let Some(command) = next(road) else { break };
            let expires = matches!(command, Command::Expire(_));
            let done = road.propose(dice::command_id(), command).await?;
            match done.outcome {
                Outcome::Count(0) => break,
                Outcome::Count(ended) if expires => metrics::counter!(names::SESSIONS_EXPIRED_TOTAL).increment(ended),
                Outcome::Refused(refusal) => return Err(DutyError::Refused(refusal)),
                Outcome::Done(()) | Outcome::Session(_) | Outcome::Count(_) => {}
            }
        }
    }
    Ok(())
}

fn expire(road: &dyn Road) -> Option<Command> {
    let now = road.now();
    let max = usize::try_from(REAP_MAX).unwrap_or(usize::MAX);
    let due = road.view().read().due(now, max);
    (!due.is_empty()).then_some(Command::Expire(Expire { due }))
}

fn reap(road: &dyn Road) -> Option<Command> {
    (road.view().read().reapable() > 0).then_some(Command::Reap(Reap { max: REAP_MAX }))
}

fn trim(road: &dyn Road) -> Option<Command> {
    let now = road.now();
    road.view().read().trimmable(now).then_some(Command::Trim(Trim { max: REAP_MAX }))
}
