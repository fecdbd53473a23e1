//! G1: a data directory that is not what it should be stops the node with one sentence, and is left as it is.
//!
//! 1. A node writes, and ends. Copies of its directory are damaged, each in one way; one directory is somebody else's.
//! 2. Started on each, the node ends by itself, not with 0, says one error that names the place, and has changed nothing.
//! 3. A second process on a directory in use is refused in the same way, and the first goes on.

use cluster_tests::binary;
use cluster_tests::client::Level;
use cluster_tests::cluster::{Cluster, PATIENCE};
use cluster_tests::facts::{self, wait_for};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn t33_damaged_or_foreign_directory_stops_the_node() {
    let cluster = Cluster::formed("t33", 1);
    let client = cluster.client("t33");
    let sessions: Vec<_> = (0..20).map(|_| client.start_surely(1, "ada")).collect();
    refuses(&cluster, cluster.data_dir(1), "a directory in use");
    assert_eq!(cluster.terminate(1, Duration::from_secs(10)).code(), Some(0));

    let folder = tempfile::tempdir().expect("a temporary directory");
    for (name, damage) in DAMAGES {
        let copy = folder.path().join(name);
        copy_all(cluster.data_dir(1), &copy);
        damage(&copy);
        let before = contents(&copy);
        refuses(&cluster, &copy, name);
        let after = contents(&copy);
        let changed = difference(&before, &after);
        assert!(changed.is_empty(), "{name}: the node changed {changed:?}");
    }
    cluster.start(1);
    cluster.all_fresh();
    assert!(sessions.iter().all(|it| client.authenticate(1, it, Level::Strict).is_active()));
    facts::happy_end(&cluster);
}

type Damage = fn(&Path);

const DAMAGES: &[(&str, Damage)] = &[
    ("somebody else's directory", |data| {
        std::fs::remove_dir_all(data).expect("a copy can be removed");
        std::fs::create_dir(data).expect("a folder can be made");
        std::fs::write(data.join("diary.txt"), "Dear diary").expect("a file can be written");
    }),
    ("a format that nobody knows", |data| {
        let text = std::fs::read_to_string(data.join("FORMAT")).expect("the format header is text");
        std::fs::write(data.join("FORMAT"), text.replace('1', "9")).expect("a file can be written");
    }),
    ("a flipped bit in the marker", |data| flip(&data.join("marker"), 0.5)),
    ("a lost log", |data| {
        std::fs::remove_dir_all(data.join("log")).expect("a copy can be changed");
        // The tables alone reach as far as the marker: they are taken too, so that something is missing.
        std::fs::remove_dir_all(data.join("tables")).expect("a copy can be changed");
    }),
    ("a log cut short", |data| cut(&data.join("log").join("db"))),
];

/// Runs the node on `data` and expects it to end with one error.
#[track_caller]
fn refuses(cluster: &Cluster, data: &Path, what: &str) {
    let mut command = Command::new(binary::with_faults());
    command.arg("serve").arg("--config").arg(cluster.config_file(1)).arg("--data-dir").arg(data);
    let said = data.with_extension("said");
    let file = std::fs::File::create(&said).expect("a file can be written");
    let mut process = command.stdin(Stdio::null()).stderr(file.try_clone().expect("a descriptor")).stdout(file).spawn().expect("the node can be run");
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for(&format!("the node refuses {what}"), PATIENCE, || process.try_wait().expect("a child can be waited for"))
    }));
    let _ = process.kill();
    let text = std::fs::read_to_string(&said).expect("what was said can be read");
    let status = ended.unwrap_or_else(|_| panic!("{what}: the node did not end: {text}"));
    assert!(!status.success() && status.code().is_some(), "{what}: {status}: {text}");
    assert!(!text.contains("panicked"), "{what}: {text}");
    let errors: Vec<_> = text.lines().filter(|it| it.to_lowercase().contains("error")).collect();
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

fn cut(file: &Path) {
    let length = std::fs::metadata(file).expect("the copy is there").len();
    let file = std::fs::OpenOptions::new().write(true).open(file).expect("a copy can be written");
    file.set_len(length / 2).expect("a copy can be cut");
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder can be made");
    std::fs::set_permissions(to, std::fs::metadata(from).expect("it is there").permissions()).expect("a folder's mode can be set");
    for (path, bytes) in contents(from) {
        let path = to.join(path);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
        std::fs::write(path, bytes).expect("a file can be written");
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

fn difference<'a>(before: &'a BTreeMap<PathBuf, Vec<u8>>, after: &'a BTreeMap<PathBuf, Vec<u8>>) -> Vec<&'a PathBuf> {
    let all = before.keys().chain(after.keys().filter(|it| !before.contains_key(*it)));
    all.filter(|it| before.get(*it) != after.get(*it)).collect()
}
