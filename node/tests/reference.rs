//! The files in `configs/` say the truth: every key is documented, stands at its default, and names its environment variable.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use curfew_node::config::{Config, Flags};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

fn configs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../configs")
}

fn load(path: PathBuf) -> Config {
    let flags = Flags { config: Some(path), data_dir: None };
    Config::load(&flags).unwrap_or_else(|error| panic!("{error}"))
}

/// One `key = value` of the reference, commented out or not.
struct Entry {
    key: String,
    line: usize,
    live: bool,
    /// The comment above it.
    prose: String,
}

fn entries(text: &str) -> Vec<Entry> {
    let (mut section, mut prose, mut entries) = (String::new(), String::new(), Vec::new());
    for (line, content) in text.lines().enumerate() {
        let bare = content.strip_prefix("# ").unwrap_or(content);
        let key = bare.split_once(" = ").map(|(key, _)| key).filter(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some(key) = key {
            entries.push(Entry { key: format!("{section}.{key}"), line, live: bare == content, prose: std::mem::take(&mut prose) });
        } else if content.starts_with('#') {
            prose.push_str(content);
        } else {
            prose.clear();
        }
    }
    entries
}

/// The keys of the settings, and whether each has a default.
fn keys() -> BTreeMap<String, bool> {
    let all = serde_json::to_value(Config::default()).unwrap();
    let sections = all.as_object().unwrap().iter();
    sections
        .flat_map(|(section, body)| body.as_object().unwrap().iter().map(move |(key, value)| (format!("{section}.{key}"), !value.is_null())))
        .collect()
}

#[test]
fn the_reference_stands_at_the_defaults() {
    assert_eq!(load(configs().join("reference.toml")), Config::default());
}

#[test]
fn the_reference_has_every_key_once_with_prose_and_environment_variable() {
    let text = std::fs::read_to_string(configs().join("reference.toml")).unwrap();
    let keys = keys();
    let mut seen = BTreeSet::new();
    for entry in entries(&text) {
        assert!(seen.insert(entry.key.clone()), "{} is there twice", entry.key);
        let has_default = keys.get(&entry.key).unwrap_or_else(|| panic!("{} is no setting", entry.key));
        assert_eq!(entry.live, *has_default, "{}: commented out is what has no default, and only that", entry.key);
        let variable = format!("Environment: CURFEW__{}", entry.key.to_uppercase().replace('.', "__"));
        let (prose, named) = entry.prose.split_once("Environment:").unwrap_or_else(|| panic!("{} lacks its environment variable", entry.key));
        assert!(format!("Environment:{named}").starts_with(&variable), "{} does not name {variable}", entry.key);
        assert!(prose.len() > 10, "{} lacks prose", entry.key);
        assert!(entry.live || prose.contains("Default:"), "{} does not say what holds without it", entry.key);
    }
    assert_eq!(seen, keys.into_keys().collect(), "the keys of the reference and of the settings");
}

/// A commented example that does not load is worse than none.
#[test]
fn every_example_of_the_reference_loads() {
    let text = std::fs::read_to_string(configs().join("reference.toml")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for entry in entries(&text).into_iter().filter(|entry| !entry.live) {
        let uncommented = text.lines().enumerate().map(|(line, content)| if line == entry.line { &content[2..] } else { content });
        let path = dir.path().join(format!("{}.toml", entry.key));
        std::fs::write(&path, uncommented.collect::<Vec<_>>().join("\n")).unwrap();
        assert_ne!(load(path), Config::default(), "{} changes nothing", entry.key);
    }
}

#[test]
fn the_three_nodes_differ_in_what_must_differ() {
    let nodes: Vec<_> = (1..=3).map(|n| load(configs().join(format!("three/node-{n}.toml")))).collect();
    for (n, node) in (1u64..).zip(&nodes) {
        assert_eq!(node.node.id, n);
        assert_eq!(node.cluster, nodes[0].cluster, "all nodes have the same list");
        assert_eq!(node.policy, nodes[0].policy);
        let ports = [node.api.listen, node.admin.listen, node.peer.listen].map(|listen| u64::from(listen.0.port()));
        assert_eq!(ports, [7400 + 10 * n, 7401 + 10 * n, 7402 + 10 * n]);
        assert_eq!(node.peer_address().as_str(), node.peer.listen.to_string());
        assert_eq!(node.api_address().as_str(), node.api.listen.to_string());
    }
}
