//! Stories told with real processes: kill, pause, cut off, restart, join.
//!
//! The harness knows Curfew only from outside: its binary, its configuration file and its HTTP contract. It shares no code with the node, so
//! that a mistake there is not repeated here. [`cluster`] starts and hurts processes, [`proxy`] sits on every link between two nodes, [`client`]
//! asks and writes down what came back, [`feed`] follows the revocation feed, [`facts`] waits for what must become true, and [`check`] judges
//! the history.

#![forbid(unsafe_code)]

pub mod binary;
pub mod chance;
pub mod check;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod facts;
pub mod feed;
pub mod history;
pub mod load;
pub mod proxy;
mod sse;
