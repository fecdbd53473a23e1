//! A cluster of real processes on loopback: one directory, one log and one set of ports per node, all gone when it is dropped.

mod files;
mod node;
mod slots;
mod status;

pub use files::Plan;
pub use status::{Digest, Leader, Member, NodeStatus, Status};

use crate::client::{Answer, Client};
use crate::facts::wait_until;
use crate::feed::Follower;
use crate::history::Recorder;
use crate::proxy::LinkState;
use files::Layout;
use node::Node;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::Duration;

/// How long a debug build on a busy machine may take to do what it does in a moment.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Some nodes, their links and what their clients saw.
#[derive(Debug)]
pub struct Cluster {
    layout: Layout,
    nodes: Mutex<BTreeMap<u64, Node>>,
    recorder: Recorder,
    // Given back last: at most two clusters run on a machine at once.
    _slot: slots::Slot,
}

impl Cluster {
    /// `nodes` nodes that have formed a cluster and are all fresh.
    #[must_use]
    pub fn formed(story: &str, nodes: u64) -> Self {
        let cluster = Self::planned(Plan::new(story, nodes));
        cluster.start_all();
        cluster.all_fresh();
        cluster
    }

    /// What `plan` says: directories and settings, nothing started yet.
    #[must_use]
    pub fn planned(plan: Plan) -> Self {
        let slot = slots::Slot::take();
        let layout = Layout::arrange(plan);
        let nodes = layout.ids().map(|id| (id, Node::new(layout.seat(id)))).collect();
        Self { layout, nodes: Mutex::new(nodes), recorder: Recorder::default(), _slot: slot }
    }

    /// Starts every member that is not a spare.
    pub fn start_all(&self) {
        self.layout.members().for_each(|id| self.start(id));
    }

    /// Starts one node, and does not wait for it.
    pub fn start(&self, id: u64) {
        self.with(id, Node::start);
    }

    /// SIGKILL: the process is gone when this returns.
    pub fn kill(&self, id: u64) {
        self.with(id, Node::kill);
    }

    /// SIGTERM, and waits until the process has ended by itself.
    ///
    /// # Panics
    /// When it takes longer than `within`.
    pub fn terminate(&self, id: u64, within: Duration) -> ExitStatus {
        self.with(id, Node::terminate);
        self.exit(id, within)
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// When it takes longer than `within`.
    pub fn exit(&self, id: u64, within: Duration) -> ExitStatus {
        crate::facts::wait_for(&format!("the end of node {id}"), within, || self.with(id, Node::exited))
    }

    /// SIGSTOP.
    pub fn pause(&self, id: u64) {
        self.with(id, Node::pause);
    }

    /// SIGCONT.
    pub fn resume(&self, id: u64) {
        self.with(id, Node::resume);
    }

    /// The process id of a running node.
    #[must_use]
    pub fn pid(&self, id: u64) -> u32 {
        self.with(id, |node| node.pid())
    }

    /// Takes everything from a stopped node's data directory.
    pub fn wipe(&self, id: u64) {
        self.with(id, |node| node.wipe());
    }

    /// A node's data directory.
    #[must_use]
    pub fn data_dir(&self, id: u64) -> &Path {
        &self.layout.seat(id).data_dir
    }

    /// Gives a node the right list of peers, for its next start.
    pub fn correct_peers(&self, id: u64) {
        self.layout.write_settings(id, true);
    }

    /// A node's configuration file.
    #[must_use]
    pub fn config_file(&self, id: u64) -> &Path {
        &self.layout.seat(id).config_file
    }

    /// All that a node has said so far.
    #[must_use]
    pub fn log(&self, id: u64) -> String {
        std::fs::read_to_string(&self.layout.seat(id).log_file).unwrap_or_default()
    }

    /// The nodes whose process runs and is not paused.
    #[must_use]
    pub fn running(&self) -> Vec<u64> {
        let mut nodes = self.nodes.lock().expect("no test holds this lock when it fails");
        nodes.iter_mut().filter_map(|(id, node)| node.runs().then_some(*id)).collect()
    }

    /// The address of a node's `api` listener.
    #[must_use]
    pub fn api(&self, id: u64) -> String {
        self.layout.seat(id).api.to_string()
    }

    /// The address of a node's `admin` listener.
    #[must_use]
    pub fn admin(&self, id: u64) -> String {
        self.layout.seat(id).admin.to_string()
    }

    /// The address at which the other nodes reach a node when no proxy is between.
    #[must_use]
    pub fn peer(&self, id: u64) -> String {
        self.layout.seat(id).peer.to_string()
    }

    /// The root API key.
    #[must_use]
    pub fn root_key(&self) -> &str {
        &self.layout.root_key
    }

    /// Moves a node's wall clock by so many milliseconds against the machine's.
    pub fn step_wall_clock(&self, id: u64, offset_ms: i64) {
        self.layout.write_wall_offset(id, offset_ms);
    }

    /// A client that writes down what it sees.
    #[must_use]
    pub fn client(&self, name: &str) -> Client {
        Client::new(name, self.layout.addresses(), &self.layout.root_key, self.recorder.clone())
    }

    /// Follows the feed from node `on`; goes on at the other nodes when that one is lost. `query` is added to the route, without its `?`.
    #[must_use]
    pub fn follow(&self, on: u64, after: Option<&str>, query: &str) -> Follower {
        let mut addresses = self.layout.addresses();
        let first = addresses.iter().position(|it| it.id == on).expect("a node of this cluster");
        addresses.rotate_left(first);
        Follower::open(addresses, &self.layout.root_key, after, query)
    }

    /// Like [`Cluster::follow`], but at that node only, whatever happens to it.
    #[must_use]
    pub fn follow_only(&self, on: u64, after: Option<&str>) -> Follower {
        let addresses = self.layout.addresses().into_iter().filter(|it| it.id == on).collect();
        Follower::open(addresses, &self.layout.root_key, after, "")
    }

    /// What the clients saw.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// What a node says of itself and the cluster; none when it does not answer.
    #[must_use]
    pub fn status(&self, id: u64) -> Option<Status> {
        let answer = self.client("status").ask_admin(id, "GET", "/admin/v1/cluster", None).ok()?;
        (answer.status == 200)
            .then(|| serde_json::from_value(answer.body.clone()).unwrap_or_else(|e| panic!("node {id} gave a status that is none: {e}: {answer:?}")))
    }

    /// The answer to `/readyz?verbose` on a node's `api` listener.
    #[must_use]
    pub fn readyz(&self, id: u64) -> Option<Answer> {
        self.client("readyz").ask(id, "GET", "/readyz?verbose", None).ok()
    }

    /// One metric of a node, summed over its labels.
    ///
    /// # Panics
    /// When the node does not answer, or has no such metric.
    #[must_use]
    pub fn metric(&self, id: u64, name: &str) -> f64 {
        let answer = self.client("metrics").ask_admin(id, "GET", "/metrics", None).unwrap_or_else(|e| panic!("no metrics from node {id}: {e}"));
        let values: Vec<f64> = answer.text.lines().filter_map(|line| metric_value(line, name)).collect();
        assert!(!values.is_empty(), "node {id} has no metric {name}:\n{}", answer.text);
        values.iter().sum()
    }

    /// The leader that every running node names; none while they differ.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        self.leader_among(&self.running())
    }

    /// The leader that each of these nodes names, if it is one of them.
    #[must_use]
    pub fn leader_among(&self, nodes: &[u64]) -> Option<u64> {
        let named: Option<Vec<u64>> = nodes.iter().map(|id| Some(self.status(*id)?.leader?.node_id)).collect();
        let named = named?;
        let first = named.first()?;
        (nodes.contains(first) && named.iter().all(|it| it == first)).then_some(*first)
    }

    /// Waits until every running node names the same running leader.
    #[track_caller]
    pub fn wait_leader(&self) -> u64 {
        crate::facts::wait_for("a leader that every running node names", PATIENCE, || self.leader())
    }

    /// Some running node that does not lead.
    #[track_caller]
    pub fn a_follower(&self) -> u64 {
        let leader = self.wait_leader();
        self.running().into_iter().find(|it| *it != leader).expect("a cluster of more than one node has a follower")
    }

    /// Waits until every running node is ready and fresh and they agree on a leader, which it returns.
    #[track_caller]
    pub fn all_fresh(&self) -> u64 {
        self.fresh(&self.running())
    }

    /// Waits until these nodes are ready and fresh and agree on a leader among them, which it returns.
    #[track_caller]
    pub fn fresh(&self, nodes: &[u64]) -> u64 {
        wait_until(&format!("nodes {nodes:?} fresh under one leader"), PATIENCE, || {
            for id in nodes {
                let answer = self.readyz(*id).ok_or_else(|| format!("node {id} gives no /readyz{}", self.last_words(*id)))?;
                if answer.status != 200 {
                    return Err(format!("node {id}: /readyz is {} {}", answer.status, answer.text));
                }
                if !self.status(*id).is_some_and(|it| it.node.fresh) {
                    return Err(format!("node {id} is not fresh"));
                }
            }
            self.leader_among(nodes).ok_or_else(|| "they do not agree on a leader".to_owned())
        })
    }

    /// Waits until a node has applied `index`.
    #[track_caller]
    pub fn applied(&self, id: u64, index: u64) {
        wait_until(&format!("node {id} has applied {index}"), PATIENCE, || {
            let at = self.status(id).ok_or("no status")?.node.applied_index;
            if at.is_some_and(|it| it >= index) { Ok(()) } else { Err(format!("it is at {at:?}")) }
        });
    }

    /// Changes the links between two nodes, both ways.
    pub fn set_links(&self, a: u64, b: u64, state: LinkState) {
        self.layout.links(|from, to| (from, to) == (a, b) || (from, to) == (b, a)).for_each(|link| link.set(state));
    }

    /// Changes all links of a node, both ways.
    pub fn set_links_of(&self, id: u64, state: LinkState) {
        self.layout.links(|from, to| from == id || to == id).for_each(|link| link.set(state));
    }

    /// Cuts a node off from all others.
    pub fn cut_off(&self, id: u64) {
        self.set_links_of(id, LinkState::Cut);
    }

    /// Heals all links.
    pub fn heal(&self) {
        self.layout.links(|_, _| true).for_each(|link| link.set(LinkState::Pass));
    }

    fn with<T>(&self, id: u64, f: impl FnOnce(&mut Node) -> T) -> T {
        let mut nodes = self.nodes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        f(nodes.get_mut(&id).unwrap_or_else(|| panic!("there is no node {id}")))
    }

    /// For a message: what a process that has ended said last.
    fn last_words(&self, id: u64) -> String {
        match self.with(id, Node::exited) {
            Some(status) => format!(" (it ended: {status}: {})", tail(&self.log(id), 3)),
            None => String::new(),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let nodes = self.nodes.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        nodes.values_mut().for_each(Node::kill);
        if std::thread::panicking() {
            for id in self.layout.ids() {
                eprintln!("--- node {id} said last:\n{}", tail(&self.log(id), 25));
            }
            eprintln!("--- directories, logs and history are kept in {}", self.layout.keep(&self.recorder).display());
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// The value of a line of the Prometheus text format, if it is of the metric `name`.
fn metric_value(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    if !rest.starts_with(['{', ' ']) {
        return None;
    }
    rest.rsplit(' ').next()?.parse().ok()
}
