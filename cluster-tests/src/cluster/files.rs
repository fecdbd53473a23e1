//! What lies on disk before a node starts: its settings, the secrets, and which address reaches whom.

use crate::client::Address;
use crate::history::Recorder;
use crate::proxy::Link;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use tempfile::TempDir;

/// Which nodes there will be, and how they are set.
#[derive(Debug, Clone)]
pub struct Plan {
    story: String,
    members: u64,
    spares: u64,
    settings: String,
    peers_seen_by: Vec<(u64, Vec<u64>)>,
    binary: PathBuf,
}

impl Plan {
    /// `members` nodes that list each other, for the story of this name.
    #[must_use]
    pub fn new(story: &str, members: u64) -> Self {
        let binary = crate::binary::with_faults().to_owned();
        Self { story: story.to_owned(), members, spares: 0, settings: String::new(), peers_seen_by: Vec::new(), binary }
    }

    /// So many more nodes, numbered after the members, which start empty and join through them.
    #[must_use]
    pub fn spares(mut self, spares: u64) -> Self {
        self.spares = spares;
        self
    }

    /// More settings for every node: lines of TOML, tables that the harness does not write itself.
    #[must_use]
    pub fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self.settings.push('\n');
        self
    }

    /// Node `id` lists only these peers: a wrong list.
    #[must_use]
    pub fn peers_seen_by(mut self, id: u64, peers: &[u64]) -> Self {
        self.peers_seen_by.push((id, peers.to_vec()));
        self
    }
}

/// Where one node sits.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) binary: PathBuf,
    pub(super) api: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) config_file: PathBuf,
    pub(super) data_dir: PathBuf,
    pub(super) log_file: PathBuf,
    pub(super) environment: Vec<(String, String)>,
}

/// The whole arrangement.
#[derive(Debug)]
pub(super) struct Layout {
    plan: Plan,
    folder: Option<TempDir>,
    seats: Vec<Seat>,
    links: Vec<((u64, u64), Link)>,
    pub(super) root_key: String,
}

impl Layout {
    pub(super) fn arrange(plan: Plan) -> Self {
        let folder = tempfile::Builder::new().prefix("curfew-").tempdir().expect("a temporary directory");
        let root_key = format!("root-key-of-{}-0123456789abcdef0123456789abcdef", plan.story);
        write_secret(&folder.path().join("root.key"), &root_key);
        write_secret(&folder.path().join("cluster.secret"), "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
        let turn = crate::binary::no_start();
        let held = hold_addresses(usize::try_from((plan.members + plan.spares) * 3).expect("a few nodes"));
        let addresses: Vec<SocketAddr> = held.iter().map(|it| it.local_addr().expect("a bound listener has an address")).collect();
        let mut seats: Vec<Seat> =
            (1..=plan.members + plan.spares).zip(addresses.chunks(3)).map(|(id, it)| seat(folder.path(), &plan.binary, id, it)).collect();
        let links = open_links(&mut seats);
        // Only now, or a proxy would be given a node's port.
        drop(held);
        drop(turn);
        let layout = Self { plan, folder: Some(folder), seats, links, root_key };
        layout.ids().for_each(|id| layout.write_settings(id, false));
        layout
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        1..=self.plan.members + self.plan.spares
    }

    pub(super) fn members(&self) -> impl Iterator<Item = u64> {
        1..=self.plan.members
    }

    pub(super) fn seat(&self, id: u64) -> &Seat {
        self.seats.iter().find(|it| it.id == id).unwrap_or_else(|| panic!("there is no node {id}"))
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        self.seats.iter().map(|it| Address { id: it.id, api: it.api, admin: it.admin }).collect()
    }

    pub(super) fn links(&self, of: impl Fn(u64, u64) -> bool) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |((from, to), _)| of(*from, *to)).map(|(_, link)| link)
    }

    pub(super) fn write_settings(&self, id: u64, right_peers: bool) {
        let seat = self.seat(id);
        std::fs::write(&seat.config_file, self.settings_of(seat, right_peers)).expect("the settings can be written");
    }

    pub(super) fn write_wall_offset(&self, id: u64, offset_ms: i64) {
        // Renamed into place, so that the node never reads half a number.
        let file = self.folder().join(format!("wall-offset-{id}"));
        let part = file.with_extension("part");
        std::fs::write(&part, offset_ms.to_string()).and_then(|()| std::fs::rename(&part, &file)).expect("the wall offset can be written");
    }

    /// Keeps the directory beyond the test, with the history in it.
    pub(super) fn keep(&mut self, recorder: &Recorder) -> PathBuf {
        let lines: Vec<String> = recorder.lines().iter().filter_map(|it| serde_json::to_string(it).ok()).collect();
        // The story has failed already; a history that cannot be written must not hide why.
        let _ = std::fs::write(self.folder().join("history.jsonl"), lines.join("\n"));
        self.folder.take().map(TempDir::keep).unwrap_or_default()
    }

    fn folder(&self) -> &Path {
        self.folder.as_ref().expect("kept only when the cluster is dropped").path()
    }

    fn settings_of(&self, seat: &Seat, right_peers: bool) -> String {
        let mut toml = String::new();
        let mut add = |line: String| writeln!(toml, "{line}").expect("a string grows");
        add(format!("[node]\nid = {}", seat.id));
        add(format!("[api]\nlisten = \"{}\"", seat.api));
        add(format!("[admin]\nlisten = \"{}\"", seat.admin));
        add(format!("[peer]\nlisten = \"{}\"", seat.peer));
        add("[cluster]".to_owned());
        add(format!("secret_file = {:?}\nroot_key_file = {:?}", self.folder().join("cluster.secret"), self.folder().join("root.key")));
        if seat.id <= self.plan.members {
            let seen =
                self.plan.peers_seen_by.iter().find(|it| it.0 == seat.id && !right_peers).map_or_else(|| self.members().collect(), |it| it.1.clone());
            let peers: Vec<String> = seen
                .iter()
                .map(|id| self.seat(*id))
                .map(|it| format!("{{ id = {}, peer = \"{}\", api = \"{}\" }}", it.id, it.peer, it.api))
                .collect();
            if self.plan.members > 1 {
                add(format!("peers = [{}]", peers.join(", ")));
            }
        } else {
            let peers: Vec<String> = self.members().map(|id| format!("\"{}\"", self.seat(id).peer)).collect();
            add(format!("join = [{}]", peers.join(", ")));
        }
        toml + &self.plan.settings
    }
}

fn seat(folder: &Path, binary: &Path, id: u64, addresses: &[SocketAddr]) -> Seat {
    let home = folder.join(format!("node-{id}"));
    std::fs::create_dir(&home).expect("a temporary directory can be written");
    let environment = vec![("CURFEW_FAULT_WALL_OFFSET_FILE".to_owned(), folder.join(format!("wall-offset-{id}")).display().to_string())];
    let (api, admin, peer) = (addresses[0], addresses[1], addresses[2]);
    let (config_file, data_dir, log_file) = (home.join("curfew.toml"), home.join("data"), home.join("log"));
    Seat { id, binary: binary.to_owned(), api, admin, peer, config_file, data_dir, log_file, environment }
}

/// A proxy for each ordered pair, and the map that sends each node through its own.
fn open_links(seats: &mut [Seat]) -> Vec<((u64, u64), Link)> {
    let peers: Vec<(u64, SocketAddr)> = seats.iter().map(|it| (it.id, it.peer)).collect();
    let mut links = Vec::new();
    for seat in seats {
        let others = peers.iter().filter(|it| it.0 != seat.id);
        let mine: Vec<_> = others.map(|(to, address)| ((seat.id, *to), Link::open(SocketAddr::new(address.ip(), 0), *address))).collect();
        let map: Vec<String> = mine.iter().map(|((_, to), link)| format!("{to}={}", link.address())).collect();
        seat.environment.push(("CURFEW_FAULT_PEERS".to_owned(), map.join(",")));
        links.extend(mine);
    }
    links
}

/// Addresses that nobody listens on. On Linux each cluster has a loopback address of its own, from which no connection ever goes out, so that
/// a port is still free when a killed node comes back for it.
fn hold_addresses(count: usize) -> Vec<TcpListener> {
    static CLUSTERS: AtomicU16 = AtomicU16::new(1);
    let ip = if cfg!(target_os = "linux") {
        let [high, low] = u16::try_from(std::process::id() & 0xffff).expect("sixteen bits").to_be_bytes();
        let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed).to_be_bytes()[1];
        Ipv4Addr::new(127, 64 | (high & 0x3f), low.max(1), cluster.clamp(1, 254))
    } else {
        Ipv4Addr::LOCALHOST
    };
    (0..count).map(|_| TcpListener::bind((IpAddr::V4(ip), 0)).expect("loopback has a free port")).collect()
}

fn write_secret(path: &Path, secret: &str) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("a secret can be written");
    file.write_all(secret.as_bytes()).expect("a secret can be written");
}
