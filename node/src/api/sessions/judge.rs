//! Whether what was presented is still good: the order of causes in one place, without HTTP, clock or cluster.

use crate::api::endings;
use crate::api::error::{Kind, Problem};
use crate::domain::{Acr, Cause, Moment, Policy, Session, SessionId, Standing};

/// What a caller may ask beyond an active session (step-up, RFC 9470).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Demand {
    /// The newest factor may be this old at most, seconds.
    pub(crate) max_factor_age_seconds: Option<u64>,
    /// The level that the factors must reach.
    pub(crate) required_acr: Option<Acr>,
}

/// Why the session cannot be used, if it cannot.
///
/// # Errors
/// [`Kind::SessionRevoked`] or [`Kind::SessionExpired`].
pub(crate) fn must_be_active(standing: &Standing) -> Result<(), Problem> {
    match standing {
        Standing::Active => Ok(()),
        Standing::PastDeadline(deadline) => Err(expired(deadline.idle, deadline.at)),
        Standing::Ended(ending) => match &ending.cause {
            Cause::Expired(cause) => Err(expired(cause.idle, ending.at)),
            Cause::Revoked(_) => Err(Problem::new(Kind::SessionRevoked, format!("the session was revoked at {}", ending.at))),
            Cause::Evicted(_) => {
                Err(Problem::new(Kind::SessionRevoked, format!("the session made room for a newer one of the same user at {}", ending.at)))
            }
        },
    }
}

fn expired(idle: bool, at: Moment) -> Problem {
    let what = if idle { "the idle time-out" } else { "the absolute lifetime" };
    Problem::new(Kind::SessionExpired, format!("{what} of the session ended at {at}"))
}

/// What has ended is no longer changed.
///
/// # Errors
/// [`Kind::SessionEnded`].
pub(crate) fn must_be_changeable(standing: &Standing, id: SessionId) -> Result<(), Problem> {
    if *standing == Standing::Active { Ok(()) } else { Err(endings::ended(id)) }
}

/// Checks that an expired JWT may still be exchanged; `exp` is its expiry in seconds.
///
/// # Errors
/// [`Kind::JwtTooOld`].
pub(crate) fn must_be_exchangeable(exp: u64, session: &Session, policy: &Policy, now: Moment) -> Result<(), Problem> {
    let Some(window_ms) = policy.exchange_window_ms(session.idle_timeout_ms) else { return Ok(()) };
    let last = exp.saturating_mul(1000).saturating_add(window_ms);
    if now.0 < last {
        return Ok(());
    }
    let detail = format!("the JWT expired at {}; it could be exchanged for {} s longer", Moment(exp.saturating_mul(1000)), window_ms / 1000);
    Err(Problem::new(Kind::JwtTooOld, detail))
}

/// Checks the factors of the session against what is demanded.
///
/// # Errors
/// [`Kind::Reauthenticate`], whose challenge says what is wanted.
pub(crate) fn must_satisfy(demand: &Demand, session: &Session, policy: &Policy, now: Moment) -> Result<(), Problem> {
    if let Some(required) = demand.required_acr {
        let reached = policy.acr.level(&session.factors);
        if reached < required {
            return Err(Problem::reauthenticate(format!("the factors of the session reach {reached}, not {required}"), &wanted(demand)));
        }
    }
    if let Some(max_age) = demand.max_factor_age_seconds {
        let newest = session.factors.iter().map(|factor| factor.at).max();
        let recent = newest.is_some_and(|at| now.ms_since(at) <= max_age.saturating_mul(1000));
        if !recent {
            return Err(Problem::reauthenticate(format!("no factor of the session was verified within the last {max_age} s"), &wanted(demand)));
        }
    }
    Ok(())
}

fn wanted(demand: &Demand) -> String {
    let acr = demand.required_acr.map(|acr| format!(", acr_values=\"{acr}\"")).unwrap_or_default();
    let age = demand.max_factor_age_seconds.map(|age| format!(", max_age=\"{age}\"")).unwrap_or_default();
    acr + &age
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::session;
    use super::*;
    use crate::domain::{Deadline, Ending, Evicted, Expired, Factor, RefreshByExpiredJwt, Revoked, SessionId};

    #[test]
    fn each_ending_has_its_cause() {
        let kind = |cause| must_be_active(&Standing::Ended(Ending { at: Moment(0), index: 1, cause })).expect_err("ended").kind();
        assert!(must_be_active(&Standing::Active).is_ok());
        assert_eq!(kind(Cause::Revoked(Revoked { by: "root".to_owned(), reason: None })), Kind::SessionRevoked);
        assert_eq!(kind(Cause::Evicted(Evicted { by: SessionId([0; 16]) })), Kind::SessionRevoked);
        assert_eq!(kind(Cause::Expired(Expired { idle: true })), Kind::SessionExpired);
        let past = Standing::PastDeadline(Deadline { at: Moment(0), idle: false });
        assert_eq!(must_be_active(&past).expect_err("past").kind(), Kind::SessionExpired);
    }

    #[test]
    fn an_expired_jwt_is_exchanged_within_its_window_only() {
        // The session idles for 600 s; the JWT expired at second 10.
        let last = |mode| {
            (0..=4_000).rev().find(|second| {
                let policy = Policy { refresh_by_expired_jwt: mode, ..Policy::default() };
                must_be_exchangeable(10, &session(), &policy, Moment(second * 1000)).is_ok()
            })
        };
        assert_eq!(last(RefreshByExpiredJwt::Off(())), Some(9));
        assert_eq!(last(RefreshByExpiredJwt::Within(Some(60_000))), Some(69));
        assert_eq!(last(RefreshByExpiredJwt::Within(None)), Some(609));
        assert_eq!(last(RefreshByExpiredJwt::On(())), Some(4_000));
        let hour = Session { idle_timeout_ms: None, ..session() };
        let too_old = must_be_exchangeable(10, &hour, &Policy::default(), Moment(3_610_000)).expect_err("an hour later");
        assert_eq!(too_old.kind(), Kind::JwtTooOld);
        assert!(must_be_exchangeable(u64::MAX, &hour, &Policy::default(), Moment(u64::MAX)).is_err(), "no overflow");
    }

    #[test]
    fn step_up_asks_for_level_and_age() {
        let policy = Policy::default();
        let factors = vec![Factor { method: "pwd".to_owned(), at: Moment(1_000) }, Factor { method: "otp".to_owned(), at: Moment(61_000) }];
        let (none, two) = (Session { factors: Vec::new(), ..session() }, Session { factors, ..session() });
        let ok = |demand: Demand, session: &Session, now| must_satisfy(&demand, session, &policy, Moment(now)).is_ok();
        let acr = |acr| Demand { required_acr: Some(acr), ..Demand::default() };
        let age = |seconds| Demand { max_factor_age_seconds: Some(seconds), ..Demand::default() };
        assert!(ok(Demand::default(), &none, 0) && ok(acr(Acr::Aal1), &none, 0) && ok(acr(Acr::Aal2), &two, 0));
        assert!(!ok(acr(Acr::Aal2), &none, 0) && !ok(acr(Acr::Aal3), &two, 0));
        assert!(ok(age(60), &two, 121_000) && !ok(age(60), &two, 121_001) && !ok(age(60), &none, 0) && ok(age(u64::MAX), &two, u64::MAX));
        let demand = Demand { required_acr: Some(Acr::Aal2), max_factor_age_seconds: Some(60) };
        assert_eq!(must_satisfy(&demand, &none, &policy, Moment(0)).expect_err("lacking").kind(), Kind::Reauthenticate);
        assert_eq!(wanted(&demand), ", acr_values=\"aal2\", max_age=\"60\"");
    }
}
