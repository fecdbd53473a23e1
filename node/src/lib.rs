//! A node of Curfew, the highly available session cluster.
//!
//! Calls go down, facts come up: `api` asks `actors`, they propose through `raft`, the state applies, and what it has to say travels up as
//! events through `feed`. ARCHITECTURE.md draws the rooms and the arrows; `tests/tidy.rs` holds the code to it.

#![forbid(unsafe_code)]

pub mod actors;
pub mod api;
pub mod boot;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod command;
pub mod config;
pub mod dice;
pub mod domain;
pub mod feed;
pub mod propose;
pub mod raft;
pub mod secret;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod tokens;
