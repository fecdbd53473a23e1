//! The arrows between the rooms of `src/`, held to the table of ARCHITECTURE.md.
//!
//! A fence, not a parser: it looks for `crate::room` paths and for the names of crates that have a door, and fails with file, line and arrow.
//! Tests (a file `tests.rs`, or the foot of a file from `#[cfg(test)] mod tests` on) may name any room, but open no door.

use std::fmt;
use std::path::{Path, PathBuf};

/// A room of `src/`, and which other rooms it may name.
struct Room {
    name: &'static str,
    may_name: &'static [&'static str],
}

const fn room(name: &'static str, may_name: &'static [&'static str]) -> Room {
    Room { name, may_name }
}

/// Every room but `domain`, `command` and `state` may name these: they know nothing of the product but its words.
const LEAVES: &[&str] = &["clock", "dice", "propose", "secret", "telemetry"];
/// The rooms that get no leaves: what they decide must follow from their arguments alone.
const PURE: &[&str] = &["domain", "command", "state"];
/// May name everything: the wiring.
const WIRING: &[&str] = &["boot", "cli", "lib", "main"];

/// What each room may name besides the leaves. A new room is entered here in the commit that builds it.
const ROOMS: &[Room] = &[
    room("domain", &[]),
    room("command", &["domain"]),
    room("codec", &[]),
    room("clock", &["domain"]),
    room("dice", &["domain"]),
    room("propose", &["domain", "command"]),
    room("secret", &["domain"]),
    room("telemetry", &["domain"]),
    room("tokens", &["domain"]),
    room("state", &["domain", "command", "codec"]),
    room("store", &["domain", "command", "codec", "state"]),
    room("feed", &["domain", "command", "state"]),
    room("raft", &["domain", "command", "codec", "tokens", "state", "store", "feed"]),
    room("actors", &["domain", "command", "tokens", "state", "feed", "raft"]),
    room("api", &["domain", "command", "tokens", "state", "feed", "raft", "actors"]),
    // The settings of each part are the part's own types.
    room("config", &["domain", "tokens", "state", "store", "feed", "raft", "actors", "api"]),
];

/// A crate that only some rooms know.
struct Door {
    krate: &'static str,
    rooms: &'static [&'static str],
}

const DOORS: &[Door] = &[
    Door { krate: "sled", rooms: &["store"] },
    Door { krate: "openraft", rooms: &["raft"] },
    Door { krate: "bincode", rooms: &["codec"] },
    Door { krate: "jsonwebtoken", rooms: &["tokens"] },
    Door { krate: "actix", rooms: &["actors", "boot", "main"] },
    Door { krate: "actix_rt", rooms: &["actors", "api", "boot", "main"] },
    Door { krate: "actix_web", rooms: &["api", "boot", "main"] },
    Door { krate: "figment", rooms: &["config"] },
    Door { krate: "clap", rooms: &["cli", "main"] },
];

/// What a pure room must not reach for: the outside world by any of its names.
const OUTSIDE: &[&str] =
    &["std::time", "std::fs", "std::net", "std::env", "std::thread", "std::process", "tokio", "tracing", "rustix", "aws_lc_rs::rand"];

/// One place where the code does what the table does not allow.
#[derive(Debug, PartialEq, Eq)]
struct Trespass {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Trespass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

#[test]
fn every_arrow_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut trespasses = Vec::new();
    for file in rust_files(&root) {
        let text = std::fs::read_to_string(&file).expect("a source file can be read");
        let inside = file.strip_prefix(&root).expect("found below the root");
        trespasses.extend(inspect(inside, &text));
    }
    let told: Vec<String> = trespasses.iter().map(Trespass::to_string).collect();
    assert!(told.is_empty(), "arrows that ARCHITECTURE.md does not draw:\n{}", told.join("\n"));
}

#[test]
fn the_fence_holds() {
    let caught = |file: &str, text: &str| inspect(Path::new(file), text).into_iter().map(|it| it.to_string()).collect::<Vec<_>>();

    assert_eq!(caught("state/apply.rs", "use crate::store::Log;"), ["state/apply.rs:1: state -> store is not in the table"]);
    assert_eq!(caught("feed/hub.rs", "use crate::{command::Event, raft};"), ["feed/hub.rs:1: feed -> raft is not in the table"]);
    assert_eq!(caught("feed/hub.rs", "use crate::{\n    domain::Moment,\n    api::Problem,\n};"), ["feed/hub.rs:3: feed -> api is not in the table"]);
    assert_eq!(caught("codec.rs", "\nfn x() -> super::domain::Moment"), ["codec.rs:2: codec -> domain is not in the table"]);
    assert_eq!(caught("raft/node.rs", "let db = sled::open(path);"), ["raft/node.rs:1: raft opens the door of sled, which is for store"]);
    assert_eq!(
        caught("api/x.rs", "#[cfg(test)]\nmod tests {\n    use bincode::config;"),
        ["api/x.rs:3: api opens the door of bincode, which is for codec"]
    );
    assert_eq!(caught("state/x.rs", "let now = std::time::Instant::now();"), ["state/x.rs:1: state reaches outside: std::time"]);
    assert_eq!(caught("state/x.rs", "use crate::clock::Clock;"), ["state/x.rs:1: state -> clock is not in the table"]);
    assert_eq!(caught("cellar/x.rs", ""), ["cellar/x.rs:1: the room cellar is not in the table"]);

    assert!(caught("api/x.rs", "use crate::{actors::Actors, domain::{Moment, store_like}, clock};").is_empty());
    assert!(caught("api/x.rs", "// crate::store and sled::Db are named in a comment only").is_empty());
    assert!(caught("api/x.rs", "use actix_web::web; let a = own::actix::b; unsled::c();").is_empty());
    assert!(caught("feed/x.rs", "#[cfg(test)]\nmod tests {\n    use crate::tokens::Keys;").is_empty());
    assert!(caught("feed/hub/tests.rs", "use crate::tokens::Keys;").is_empty());
    assert!(caught("boot.rs", "use crate::{api, store}; actix_web::main").is_empty());
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All trespasses of one file; `file` is relative to `src/`.
fn inspect(file: &Path, text: &str) -> Vec<Trespass> {
    let here = room_of(file);
    let wiring = WIRING.contains(&here.as_str());
    let Some(may_name) = ROOMS.iter().find(|it| it.name == here).map(|it| it.may_name).or(wiring.then_some(&[] as &[_])) else {
        return vec![Trespass { file: file.to_owned(), line: 1, what: format!("the room {here} is not in the table") }];
    };
    let at_root = file.components().count() == 1;
    let mut told = Vec::new();
    let mut code = Code::of(text);
    if file.file_stem().is_some_and(|it| it == "tests") {
        code.tests_from = 0;
    }
    let mut tell = |line, what| told.push(Trespass { file: file.to_owned(), line, what });

    for (line, named) in code.rooms_named(at_root) {
        let known = ROOMS.iter().any(|it| it.name == named) || WIRING.contains(&named.as_str());
        let leaf = LEAVES.contains(&named.as_str()) && !PURE.contains(&here.as_str());
        let allowed = wiring || named == here || leaf || may_name.contains(&named.as_str());
        if known && !allowed && line < code.tests_from {
            tell(line, format!("{here} -> {named} is not in the table"));
        }
    }
    for door in DOORS.iter().filter(|it| !it.rooms.contains(&here.as_str())) {
        for line in code.lines_with(door.krate) {
            tell(line, format!("{here} opens the door of {}, which is for {}", door.krate, door.rooms.join(", ")));
        }
    }
    for outside in OUTSIDE.iter().filter(|_| PURE.contains(&here.as_str())) {
        for line in code.lines_with(outside).into_iter().filter(|it| *it < code.tests_from) {
            tell(line, format!("{here} reaches outside: {outside}"));
        }
    }
    told.sort_by_key(|it| it.line);
    told
}

/// `state/apply.rs` and `state.rs` belong to the room `state`.
fn room_of(file: &Path) -> String {
    let first = file.components().next().expect("a file has a name").as_os_str().to_string_lossy().into_owned();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

/// A file without its comments.
struct Code {
    text: String,
    /// The first line of the tests at the foot of the file; beyond the last line when there are none.
    tests_from: usize,
}

impl Code {
    fn of(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().map(|line| line.find("//").map_or(line, |at| &line[..at])).collect();
        let is_tests = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod tests");
        let tests_from = lines.windows(2).position(is_tests).map_or(usize::MAX, |at| at + 1);
        Self { text: lines.join("\n"), tests_from }
    }

    fn line_of(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// Each room that a path starting at the crate's root names, with its line.
    fn rooms_named(&self, at_root: bool) -> Vec<(usize, String)> {
        let mut named = Vec::new();
        let roots = ["crate::", "curfew_node::", "super::"];
        for root in roots.iter().filter(|it| at_root || **it != "super::") {
            for (at, _) in self.text.match_indices(root).filter(|(at, _)| self.starts_a_path(*at)) {
                let from = at + root.len();
                named.extend(first_segments(&self.text[from..]).into_iter().map(|(offset, word)| (self.line_of(from + offset), word)));
            }
        }
        named
    }

    /// The lines on which a path begins with `path`.
    fn lines_with(&self, path: &str) -> Vec<usize> {
        let is_path = |at: usize| self.starts_a_path(at) && self.ends_a_crate(at + path.len(), at);
        self.text.match_indices(path).filter(|(at, _)| is_path(*at)).map(|(at, _)| self.line_of(at)).collect()
    }

    fn starts_a_path(&self, at: usize) -> bool {
        let before = &self.text[..at];
        !before.ends_with("::") && !before.ends_with(|it: char| it.is_alphanumeric() || it == '_' || it == '"')
    }

    /// `sled::Db` and `use sled;` name a crate; a variable or a word in a text does not.
    fn ends_a_crate(&self, end: usize, start: usize) -> bool {
        self.text[end..].starts_with("::") || (self.text[..start].ends_with("use ") && self.text[end..].starts_with([';', ' ']))
    }
}

/// The first segments of what follows `crate::`: one word, or those at the top level of a group in braces.
fn first_segments(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let (mut depth, mut expects, mut word) = (0, true, String::new());
    for (at, letter) in text.char_indices() {
        if letter.is_alphanumeric() || letter == '_' {
            if expects {
                word.push(letter);
            }
            continue;
        }
        if !word.is_empty() {
            found.push((at - word.len(), std::mem::take(&mut word)));
            expects = false;
        }
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => expects = true,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    if !word.is_empty() {
        found.push((text.len() - word.len(), word));
    }
    found
}
