//! The programs under test, built once, and how programs are started.
//!
//! The one with the feature `faults` lies in a folder of its own, so that `target/debug/curfew` is never the faulty one; the dependencies are
//! shared with the tests' own build. `CURFEW_TEST_BIN` names a program to use instead.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Starts a program. Until it runs, a new process holds a copy of every socket of this one; so that none keeps a port from a node that is about to
/// listen on it, nothing is started while somebody holds `no_start`.
///
/// # Errors
/// When the program cannot be started.
pub fn start(command: &mut Command) -> io::Result<Child> {
    let _turn = no_start();
    command.spawn()
}

/// Keeps every other thread from starting a program.
pub(crate) fn no_start() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The node with fault injection.
#[must_use]
pub fn with_faults() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        std::env::var_os("CURFEW_TEST_BIN").map_or_else(|| build(&target_dir().join("faults"), &["--features", "faults"]), PathBuf::from)
    })
}

/// The node as it is released: without fault injection (but in the profile of the tests).
#[must_use]
pub fn plain() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(&target_dir().join("plain"), &[]))
}

/// Cargo's target directory of the running test.
#[must_use]
pub fn target_dir() -> PathBuf {
    // <target>/<profile>/deps/<test>
    let test = std::env::current_exe().expect("the test knows its own path");
    test.ancestors().nth(3).expect("a test lies three folders below the target directory").to_owned()
}

fn profile() -> &'static str {
    let test = std::env::current_exe().expect("the test knows its own path");
    let folder = test.ancestors().nth(2).and_then(Path::file_name).expect("a test lies in the folder of its profile");
    if folder == "release" { "release" } else { "dev" }
}

/// Builds into `to`, and keeps what lies between in the target directory of the tests: cargo's own lock orders concurrent builds.
fn build(to: &Path, features: &[&str]) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile = profile();
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", "curfew-node", "--bin", "curfew", "--profile", profile])
        .args(features)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env("CARGO_TARGET_DIR", to)
        .env("CARGO_BUILD_BUILD_DIR", target_dir());
    let status = start(&mut command).and_then(|mut it| it.wait()).expect("cargo can be run");
    assert!(status.success(), "the node does not build: {status}");
    to.join(if profile == "dev" { "debug" } else { profile }).join("curfew")
}
