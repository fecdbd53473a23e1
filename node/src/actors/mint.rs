//! Making a JWT of a session, with or without an actor.

use super::handle::{ActError, Shared};
use super::seen::count;
use super::slots::Slot;
use crate::dice;
use crate::domain::{Moment, Session};
use crate::tokens::{Mint, Minted};

/// Mints. The state's lock is not held while signing.
pub(super) fn mint(shared: &Shared, session: &Session, now: Moment) -> Result<Minted, ActError> {
    let keys = shared.keys.load_full().ok_or(ActError::NoKeys)?;
    let (issuer, policy) = {
        let state = shared.road.view().read();
        (state.cluster().ok_or(ActError::NoKeys)?.issuer.clone(), state.policy().clone())
    };
    let minted = keys.mint(Mint { issuer: &issuer, session, policy: &policy, now, jti: dice::bytes() })?;
    count(&shared.counters.minted);
    Ok(minted)
}

/// The JWT in the slot if it serves, else a new one that serves those who come after.
pub(super) fn mint_into(slot: &Slot, shared: &Shared, session: &Session, now: Moment) -> Result<Minted, ActError> {
    if let Some(minted) = serving(slot, shared, session, now) {
        count(&shared.counters.shared);
        return Ok(minted);
    }
    let minted = mint(shared, session, now)?;
    slot.fill(minted.clone());
    Ok(minted)
}

/// What a reader finds in the slot.
pub(super) fn serving(slot: &Slot, shared: &Shared, session: &Session, now: Moment) -> Option<Minted> {
    let keys = shared.keys.load();
    slot.serving(session, keys.as_ref()?.signing_kid()?, now)
}
