//! G1: a data directory that is not what it should be stops the node with one sentence, and is left as it is.
//!
//! 1. A node writes, and ends. Copies of its directory are damaged, each in one way; one directory is somebody else's.
//! 2. Started on each, the node ends by itself, not with 0, says one error that names the place, and has changed nothing; and again.
//!    So is the directory of one node under the settings of another.
//! 3. A second process on a directory in use is refused in the same way, and the first goes on.

use cluster_tests::binary;
use cluster_tests::client::Level;
use cluster_tests::cluster::{Cluster, PATIENCE, Plan};
use cluster_tests::facts::{self, wait_for};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn t33_damaged_or_foreign_directory_stops_the_node() {
    // The spare never runs as itself: its settings have ports of their own, for a process that is started beside node 1.
    let cluster = Cluster::planned(Plan::new("t33", 1).spares(1));
    cluster.start(1);
    cluster.all_fresh();
    let client = cluster.client("t33");
    let sessions: Vec<_> = (0..20).map(|_| client.start_surely(1, "ada")).collect();
    refuses(cluster.config_file(2), cluster.data_dir(1), "a directory in use");
    assert_eq!(cluster.terminate(1, Duration::from_secs(10)).code(), Some(0));

    let folder = tempfile::tempdir().expect("a temporary directory");
    let moved = folder.path().join("another seat");
    copy_all(cluster.data_dir(1), &moved);
    refuses(cluster.config_file(2), &moved, "the directory of node 1 under the settings of node 2");
    for (name, shows_late, damage) in DAMAGES {
        let copy = folder.path().join(name);
        copy_all(cluster.data_dir(1), &copy);
        damage(&copy);
        let before = contents(&copy);
        refuses(cluster.config_file(1), &copy, name);
        let after = contents(&copy);
        let changed = difference(&before, &after);
        assert!(changed.iter().all(|it| *shows_late && is_a_database(it)), "{name}: the node changed {changed:?}");
        refuses(cluster.config_file(1), &copy, name);
    }
    cluster.start(1);
    cluster.all_fresh();
    assert!(sessions.iter().all(|it| client.authenticate(1, it, Level::Strict).is_active()));
    facts::happy_end(&cluster);
}

type Damage = fn(&Path);

/// What is damaged, whether that shows only once sled has opened its database (which sled tidies up then), and how.
const DAMAGES: &[(&str, bool, Damage)] = &[
    ("somebody else's directory", false, |data| {
        std::fs::remove_dir_all(data).expect("a copy can be removed");
        std::fs::create_dir(data).expect("a folder can be made");
        std::fs::write(data.join("diary.txt"), "Dear diary").expect("a file can be written");
    }),
    ("a format that nobody knows", false, |data| {
        let text = std::fs::read_to_string(data.join("FORMAT")).expect("the format header is text");
        std::fs::write(data.join("FORMAT"), text.replace('1', "9")).expect("a file can be written");
    }),
    ("a flipped bit in the marker", false, |data| flip(&data.join("marker"), 0.5)),
    ("a lost log", false, |data| {
        std::fs::remove_dir_all(data.join("log")).expect("a copy can be changed");
        // The tables alone reach as far as the marker: they are taken too, so that something is missing.
        std::fs::remove_dir_all(data.join("tables")).expect("a copy can be changed");
    }),
    ("a log cut short", true, |data| cut(&data.join("log").join("db"))),
];

/// Runs the node on `data` and expects it to end with one error.
#[track_caller]
fn refuses(settings: &Path, data: &Path, what: &str) {
    let mut command = Command::new(binary::with_faults());
    command.arg("serve").arg("--config").arg(settings).arg("--data-dir").arg(data);
    let said = data.with_extension("said");
    let file = std::fs::File::create(&said).expect("a file can be written");
    command.stdin(Stdio::null()).stderr(file.try_clone().expect("a descriptor")).stdout(file);
    let mut process = binary::start(&mut command).expect("the node can be run");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for(&format!("the node refuses {what}"), PATIENCE, || process.try_wait().expect("a child can be waited for"))
    }));
    let _ = process.kill();
    let text = std::fs::read_to_string(&said).expect("what was said can be read");
    let status = ended.unwrap_or_else(|_| panic!("{what}: the node did not end: {text}"));
    assert!(!status.success() && status.code().is_some(), "{what}: {status}: {text}");
    assert!(!text.contains("panicked"), "{what}: {text}");
    let errors: Vec<_> = text.lines().filter(|it| it.starts_with("curfew: ")).collect();
    assert_eq!(errors.len(), 1, "{what}: one sentence says it: {text}");
    println!("t33: {what}: {}", errors[0]);
}

fn flip(file: &Path, at: f64) {
    let mut bytes = std::fs::read(file).expect("a copy can be read");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place within a small file")]
    let place = (bytes.len() as f64 * at) as usize;
    bytes[place] ^= 1;
    std::fs::write(file, bytes).expect("a copy can be written");
}

/// Leaves half of what was written; the file may have been longer than that.
fn cut(file: &Path) {
    let mut bytes = std::fs::read(file).expect("the copy is there");
    let written = bytes.iter().rposition(|it| *it != 0).expect("something was written");
    bytes.truncate(written / 2);
    std::fs::write(file, bytes).expect("a copy can be written");
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder can be made");
    std::fs::set_permissions(to, std::fs::metadata(from).expect("it is there").permissions()).expect("a folder's mode can be set");
    for entry in std::fs::read_dir(from).expect("a folder can be read") {
        let entry = entry.expect("an entry can be read");
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_all(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).expect("a file can be copied");
        }
    }
}

/// Every file below `folder` but the lock, by its path.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|it| it != "LOCK") {
                let bytes = std::fs::read(&path).expect("a file can be read");
                found.insert(path.strip_prefix(folder).expect("it lies below").to_owned(), bytes);
            }
        }
    }
    found
}

fn is_a_database(path: &Path) -> bool {
    path.starts_with("log") || path.starts_with("tables")
}

fn difference<'a>(before: &'a BTreeMap<PathBuf, Vec<u8>>, after: &'a BTreeMap<PathBuf, Vec<u8>>) -> Vec<&'a PathBuf> {
    let all = before.keys().chain(after.keys().filter(|it| !before.contains_key(*it)));
    all.filter(|it| before.get(*it) != after.get(*it)).collect()
}
