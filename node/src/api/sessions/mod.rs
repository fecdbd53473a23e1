//! Sessions over HTTP: start, authenticate, show, list, change, end.
//!
//! Each file asks its question of the state or hands its command to the actors; how a session lives and ends is decided below.

mod authenticate;
mod change;
mod end;
mod find;
pub(super) mod input;
pub(super) mod judge;
mod read;
pub(super) mod shape;
mod start;

pub(crate) use authenticate::authenticate;
pub(crate) use change::patch;
pub(crate) use end::{delete, revoke};
pub(crate) use read::{list, show};
pub(crate) use start::create;
