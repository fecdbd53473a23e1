//! The one place that asks the time.
//!
//! Three kinds of time, never mixed: [`BootTime`] measures how long something took (it counts suspended time and no one can set it), the
//! wall clock is what the machine believes, and cluster time ([`ClusterClock`]) is what expiry is judged by. The rules are `protocol.md`
//! "Which clock" and G5. This room knows nothing of sessions, of Raft or of HTTP: whoever needs a time is given one.

mod boot_time;
mod cluster;
#[cfg(feature = "faults")]
mod faults;
mod fence;
mod manual;
mod reading;
mod system;

pub use boot_time::{BootTime, DRIFT_PPM};
pub use cluster::ClusterClock;
pub use fence::{MAX_OUTAGE_MS, STEP_MS};
pub use manual::ManualClock;
pub use reading::{Clock, JUMP_MS, Reading};
