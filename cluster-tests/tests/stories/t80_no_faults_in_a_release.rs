//! What fault injection needs is absent from a node that was built without the feature `faults`.
//!
//! 1. The node is built with and without the feature.
//! 2. Every name by which faults are injected stands in the bytes of the one, and none in the bytes of the other.

use cluster_tests::binary;
use std::path::Path;

const NAMES: &[&str] = &["CURFEW_FAULT_WALL_OFFSET_FILE", "CURFEW_FAULT_PEERS"];

#[test]
fn t80_a_release_has_no_faults() {
    for name in NAMES {
        assert!(holds(binary::with_faults(), name), "the faulty node knows {name}: else this test proves nothing");
        assert!(!holds(binary::plain(), name), "the plain node knows {name}");
    }
    assert!(!holds(binary::plain(), "CURFEW_FAULT"), "the plain node knows some fault");
}

fn holds(program: &Path, name: &str) -> bool {
    let bytes = std::fs::read(program).expect("a built program can be read");
    bytes.windows(name.len()).any(|it| it == name.as_bytes())
}
