//! Stories of who may look into the data directory.

use super::*;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory and all below it.
fn all_below(path: &Path) -> Vec<PathBuf> {
    let mut paths = vec![path.to_owned()];
    if path.is_dir() {
        paths.extend(fs::read_dir(path).unwrap().flat_map(|entry| all_below(&entry.unwrap().path())));
    }
    paths
}

fn open_to_others(path: &Path) -> Vec<(PathBuf, u32)> {
    all_below(path).into_iter().map(|path| (mode(&path), path)).filter(|(mode, _)| mode & 0o077 != 0).map(|(mode, path)| (path, mode)).collect()
}

/// Uses everything that makes a file.
fn use_it(opened: &Opened, upto: u64) {
    append(opened, entries(upto - 10..upto, 10));
    block_on(opened.log.save_vote(Vote { term: upto, node: 1, committed: false })).unwrap();
    opened.identity.set_cluster_id(crate::domain::ClusterId(7)).unwrap();
    let meta = SnapshotMeta { last: Some(at(upto - 1)), ..SnapshotMeta::default() };
    opened.snapshots.create(meta, std::iter::empty()).unwrap();
}

fn open(home: &Home) -> Opened {
    Store::open(&Settings { ballast_bytes: 4096, ..home.settings() }, STORE).unwrap()
}

#[test]
fn every_file_is_its_owner_s_only() {
    let home = Home::new();
    let dir = home.settings().data_dir;
    let opened = open(&home);
    use_it(&opened, 10);
    let files: Vec<_> = all_below(&dir).into_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for name in ["LOCK", "FORMAT", "cluster", "marker", "ballast", "db", "conf", "00000000000000000009.snap"] {
        assert!(files.iter().any(|file| file == name), "{name} is not there to be looked at");
    }
    assert_eq!(open_to_others(&dir), []);
    drop(opened);
    // Opened again, sled makes files that it did not make before.
    let opened = open(&home);
    assert_eq!(open_to_others(&dir), []);
    drop(opened);
}

#[test]
fn a_store_that_was_open_to_others_is_closed_to_them() {
    let home = Home::new();
    let dir = home.settings().data_dir;
    use_it(&open(&home), 10);
    fs::write(dir.join("marker.part"), "left").unwrap();
    for path in all_below(&dir) {
        chmod(&path, if path.is_dir() { 0o755 } else { 0o644 });
    }
    let opened = open(&home);
    use_it(&opened, 20);
    assert_eq!(open_to_others(&dir), []);
    assert_eq!(mode(&dir), 0o700);
}

#[test]
fn an_empty_directory_is_closed_and_a_foreign_one_left_alone() {
    let home = Home::new();
    let dir = home.settings().data_dir;
    fs::create_dir(&dir).unwrap();
    chmod(&dir, 0o755);
    fs::write(dir.join("thesis.txt"), "years of work").unwrap();
    assert!(matches!(home.open(), Err(OpenError::Foreign(_))));
    assert_eq!(mode(&dir), 0o755);
    fs::remove_file(dir.join("thesis.txt")).unwrap();
    let _opened = home.open().unwrap();
    assert_eq!(mode(&dir), 0o700);
}
