//! `curfew`: a node of the session cluster, and the command line that talks to one.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    curfew_node::cli::run(std::env::args_os(), |config| ExitCode::from(curfew_node::boot::serve(config)))
}
