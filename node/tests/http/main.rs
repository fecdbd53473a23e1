//! The HTTP contract, told by stories against a real node in this process: raw sockets, the real log, the real store.
#![allow(missing_docs, clippy::unwrap_used)]

mod attacks;
mod client;
mod doors;
mod feed;
mod input;
mod life;
mod node;
mod public;
mod stopping;
