//! The only wiring: from checked settings to a running node, and from a signal to a clean end.
//!
//! Two runtimes: Raft and the store have one of their own, HTTP and the actors live on actix's, so that neither starves the other.

mod banner;
mod error;
mod keys;
mod listener;
mod metrics;
mod ports;
mod reset_root;
mod secrets;

pub use error::BootError;

use crate::actors::Actors;
use crate::api::{self, ApiDeps, Serving};
use crate::clock::{Clock, ClusterClock};
use crate::command::Init;
use crate::config::Config;
use crate::domain::{ClusterId, Moment};
use crate::feed::{self, HeartbeatFacts, Hub};
use crate::raft::{self, Advertised, Cluster, MakeInit, Parts};
use crate::secret::SecretRing;
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::{dice, store, tokens};
use arc_swap::ArcSwapOption;
use keys::KeyWatch;
use listener::Facts;
use ports::Ports;
use secrets::RootKey;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Threads of the runtime that Raft and the store have for themselves.
const RAFT_THREADS: usize = 2;
/// How long `/readyz` says no before connections are no longer taken, milliseconds.
const DRAIN_NOTICE_MS: u64 = 300;
/// How long the engine and the store may take to stop, seconds.
const STOP_SECONDS: u64 = 3;

/// A running node.
pub struct Node {
    cluster: Cluster,
    actors: Actors,
    serving: Serving,
    _raft_runtime: RaftRuntime,
    addresses: Addresses,
    data_dir: PathBuf,
    resumed: bool,
    root_key: Arc<RootKey>,
    died: oneshot::Receiver<String>,
}

/// Where a node listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The API listener.
    pub api: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
    /// The peer listener.
    pub peer: SocketAddr,
}

impl Node {
    /// Starts a node. Must be called on an actix system; ports are bound before anything is written.
    ///
    /// # Errors
    /// See [`BootError`]; nothing of the node is left running.
    pub async fn start(config: Config, telemetry: Telemetry) -> Result<Self, BootError> {
        let ports = Ports::bind(&config)?;
        let addresses = ports.addresses()?;
        let found = config.secrets()?;
        let opened = Store::open(&store_settings(&config), dice::store_uuid())?;
        let data_dir = std::path::absolute(&config.node.data_dir).unwrap_or_else(|_| config.node.data_dir.clone());
        let (ring, root_key) = secrets::open(&config, found, &data_dir)?;
        let (ring, root_key) = (Arc::new(ring), Arc::new(root_key));
        let clock = Clock::system();
        let resumed = opened.resumed;
        let disk = opened.health.clone();
        let recovered = raft::recover(&opened).map_err(BootError::Store)?;
        let view = recovered.view.clone();
        check_cluster_settings(&config, &view)?;
        let hub = Hub::new(view.clone(), clock.clone(), feed_settings(&config));
        let keys: api::KeySource = Arc::new(ArcSwapOption::empty());
        let watch = KeyWatch::new(view.clone(), ring.clone(), keys.clone());
        watch.reload();
        let facts = Arc::new(Facts::new(hub.clone(), watch));
        let raft_runtime = RaftRuntime::new()?;
        let parts = Parts {
            settings: raft_settings(&config, addresses)?,
            opened,
            recovered,
            secret: ring.clone(),
            clock: clock.clone(),
            time: ClusterClock::new(clock.clone()),
            listener: facts.clone(),
            hub: hub.clone(),
            init: make_init(&config, ring.clone(), root_key.clone()),
            peer_listener: ports.peer,
        };
        let started = raft_runtime.spawn(Cluster::start(parts)).await;
        let cluster = started.map_err(|error| BootError::Runtime(error.to_string()))?.map_err(BootError::Raft)?;
        let actors = Actors::start_up(cluster.clone(), keys.clone(), actors_settings(&config));
        facts.set_actors(actors.clone());
        metrics::register(&telemetry, &cluster, &hub, &actors, disk.clone());
        raft_runtime.spawn(beat(cluster.clone(), hub.clone(), config.feed.heartbeat_ms));
        raft_runtime.spawn(reset_root::watch(cluster.clone(), data_dir.clone()));
        raft_runtime.spawn(watch_identity(cluster.clone(), config.clone(), root_key.clone()));
        let (tell, died) = oneshot::channel();
        let (dying, store_fatal) = (cluster.clone(), disk);
        raft_runtime.spawn(async move {
            let why = tokio::select! {
                why = dying.died() => why,
                error = store_fatal.fatal() => error.to_string(),
            };
            let _ = tell.send(why);
        });
        let serving = api::serve(ApiDeps {
            api_listener: ports.api,
            admin_listener: ports.admin,
            cluster: cluster.clone(),
            actors: actors.clone(),
            hub,
            keys,
            clock,
            log_key: ring.log_key(),
            own_root: root_key.hash_if_known(),
            telemetry,
            settings: api_settings(&config),
        })
        .map_err(|error| BootError::Runtime(error.to_string()))?;
        Ok(Self { cluster, actors, serving, _raft_runtime: raft_runtime, addresses, data_dir, resumed, root_key, died })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Its part in the cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Stops cleanly: `/readyz` fails first, the leadership is handed on, running requests finish, the store is synced.
    ///
    /// # Errors
    /// When the store could not be synced.
    pub async fn stop(self) -> Result<(), String> {
        self.serving.drain();
        // What was seen in the last second is put on the road before it closes.
        self.actors.hurry();
        tokio::join!(self.cluster.drain(), tokio::time::sleep(Duration::from_millis(DRAIN_NOTICE_MS)));
        self.serving.stop().await;
        let stopped = tokio::time::timeout(Duration::from_secs(STOP_SECONDS), self.cluster.shutdown()).await;
        stopped.unwrap_or_else(|_| Err(format!("the engine did not stop within {STOP_SECONDS} s")))
    }
}

/// The runtime that Raft and the store have for themselves. It must not be waited for where others run: whatever of Raft still works when
/// it is dropped, on whichever path, is left behind.
struct RaftRuntime(Option<Runtime>);

impl RaftRuntime {
    fn new() -> Result<Self, BootError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let built = builder.worker_threads(RAFT_THREADS).thread_name("raft").enable_all().build();
        built.map(|runtime| Self(Some(runtime))).map_err(|error| BootError::Runtime(error.to_string()))
    }

    fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.0.as_ref().expect("the runtime is taken only when it is dropped").spawn(work)
    }
}

impl Drop for RaftRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs a node until it is told to stop; what `curfew serve` does. The exit code: 0 stopped, 1 died, 2 could not start.
#[must_use]
pub fn serve(config: Config) -> u8 {
    let telemetry = match Telemetry::install(&config.log) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(2, &error),
    };
    raise_descriptor_limit();
    actix_rt::System::new().block_on(async move {
        let mut node = match Node::start(config, telemetry).await {
            Ok(node) => node,
            Err(error) => return fail(2, &error),
        };
        let banner =
            tokio::spawn(banner::when_ready(node.cluster.clone(), node.addresses, node.data_dir.clone(), node.resumed, node.root_key.clone()));
        let ended = tokio::select! {
            signal = stop_signal() => Ok(signal),
            why = &mut node.died => Err(why.unwrap_or_else(|_| "the runtime of Raft ended".to_owned())),
        };
        banner.abort();
        match ended {
            // The stores are no longer to be trusted: nothing is flushed, nothing handed on.
            Err(why) => fail(1, &why),
            Ok(signal) => {
                tracing::info!(signal, "stopping");
                match node.stop().await {
                    Ok(()) => {
                        tracing::info!("stopped");
                        0
                    }
                    Err(why) => fail(1, &why),
                }
            }
        }
    })
}

fn fail(code: u8, why: &dyn std::fmt::Display) -> u8 {
    eprintln!("curfew: {why}");
    code
}

async fn stop_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}

/// Every connection and stream takes a descriptor, and the usual soft limit is 1024.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) if before == limit.current => {}
        Ok(()) => tracing::info!(before, now = limit.current, "file descriptor limit raised"),
        Err(error) => tracing::warn!(%error, before, "file descriptor limit not raised"),
    }
}

/// Milliseconds between two looks whether a node that was not fresh has become it.
const FRESH_LOOK_MS: u64 = 20;

/// Tells the feed how fresh this node is, every heartbeat, and at once when it has become fresh.
async fn beat(cluster: Cluster, hub: Hub, heartbeat_ms: u64) {
    let mut tick = tokio::time::interval(Duration::from_millis(heartbeat_ms));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut facts = heartbeat(&cluster);
    loop {
        let became_fresh = async {
            while !cluster.freshness().fresh {
                tokio::time::sleep(Duration::from_millis(FRESH_LOOK_MS)).await;
            }
        };
        tokio::select! {
            _ = tick.tick() => {}
            () = became_fresh, if !facts.fresh => {}
        }
        facts = heartbeat(&cluster);
        hub.beat(facts);
    }
}

/// The clock is read first, then the freshness: see the feed.
fn heartbeat(cluster: &Cluster) -> HeartbeatFacts {
    let reading = cluster.clock().reading();
    let freshness = cluster.freshness_at(reading);
    HeartbeatFacts {
        reading,
        fresh: freshness.fresh,
        staleness_ms: freshness.staleness_ms,
        max_staleness_ms: freshness.max_staleness_ms,
        now: cluster.now(),
    }
}

/// Says once when this node's settings name another root key than the cluster has.
async fn watch_identity(cluster: Cluster, config: Config, root_key: Arc<RootKey>) {
    while cluster.view().read().cluster().is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if let Err(error) = check_cluster_settings(&config, cluster.view()) {
        tracing::error!(%error, "this node is configured for another cluster");
    }
    let theirs = cluster.view().read().root_key().copied();
    if let (Some(own), Some(theirs)) = (root_key.hash_if_known(), theirs)
        && own != theirs
    {
        tracing::warn!(
            "the root key in this node's settings is not the cluster's and is ignored; `curfew api-keys reset-root` replaces the cluster's"
        );
    }
}

fn check_cluster_settings(config: &Config, view: &crate::state::View) -> Result<(), BootError> {
    let state = view.read();
    let Some(facts) = state.cluster() else { return Ok(()) };
    let differs = |key: &'static str, own: &Option<String>, theirs: &str| match own {
        Some(own) if own != theirs => Err(BootError::OtherCluster { key, own: own.clone(), theirs: theirs.to_owned() }),
        _ => Ok(()),
    };
    differs("cluster.issuer", &config.cluster.issuer, &facts.issuer)?;
    differs("cluster.default_audience", &config.cluster.default_audience, &facts.default_audience)
}

fn make_init(config: &Config, ring: Arc<SecretRing>, root_key: Arc<RootKey>) -> MakeInit {
    let issuer = config.cluster.issuer_at_init().to_owned();
    let default_audience = config.cluster.default_audience_at_init().to_owned();
    let policy = config.policy.policy();
    Arc::new(move |cluster_id: ClusterId, now: Moment| {
        let root = root_key.for_init()?;
        let keyring = tokens::first_keyring(&ring, now, &policy, [dice::bytes(), dice::bytes()]);
        let (issuer, default_audience, policy) = (issuer.clone(), default_audience.clone(), policy.clone());
        Ok(Init { cluster_id, issuer, default_audience, format_level: 1, policy, keyring, root_key: root })
    })
}

fn store_settings(config: &Config) -> store::Settings {
    let from = &config.store;
    store::Settings {
        log_cache_bytes: from.log_cache_bytes,
        tables_cache_bytes: from.tables_cache_bytes,
        ballast_bytes: from.ballast_bytes,
        free_space_floor_bytes: from.free_space_floor_bytes,
        log_tail_entries: count(from.log_tail_entries),
        snapshots_kept: count(from.snapshots_kept),
        data_dir: config.node.data_dir.clone(),
        ..store::Settings::default()
    }
}

fn feed_settings(config: &Config) -> feed::Settings {
    let from = &config.feed;
    feed::Settings {
        node_id: config.node.id,
        heartbeat_ms: from.heartbeat_ms,
        subscriber_queue_max: count(from.subscriber_queue_max),
        subscribers_max: count(from.subscribers_max),
        streams_per_key_max: count(from.streams_per_key_max),
    }
}

fn api_settings(config: &Config) -> api::Settings {
    api::Settings {
        workers: count(config.api.workers),
        body_max_bytes: count(config.api.body_max_bytes),
        metrics_public: config.admin.metrics_public,
    }
}

fn actors_settings(config: &Config) -> crate::actors::Settings {
    let from = &config.actors;
    crate::actors::Settings {
        live_max: count(from.live_max),
        dormant_after: Duration::from_secs(from.dormant_after_seconds),
        mailbox_max: count(from.mailbox_max),
    }
}

fn raft_settings(config: &Config, bound: Addresses) -> Result<raft::Settings, BootError> {
    // A port of 0 was chosen by the system; others must hear the real one.
    let real = |advertised: String, bound: SocketAddr| if advertised.ends_with(":0") { bound.to_string() } else { advertised };
    let from = &config.raft;
    let peers =
        config.cluster.peers.iter().map(|member| raft::Peer { node_id: member.id, peer: member.peer.to_string(), api: member.api.to_string() });
    Ok(raft::Settings {
        node_id: config.node.id,
        advertised: Advertised { peer: real(config.peer_address().to_string(), bound.peer), api: real(config.api_address().to_string(), bound.api) },
        peers: peers.collect(),
        join: config.cluster.join.iter().map(ToString::to_string).collect(),
        heartbeat_ms: from.heartbeat_ms,
        election_min_ms: from.election_min_ms,
        election_max_ms: from.election_max_ms,
        refresh_interval_ms: from.refresh_interval_ms,
        snapshot_min_entries: from.snapshot_min_entries,
        snapshot_state_share_percent: from.snapshot_state_share_percent,
        log_keep_entries: from.purge_keep_entries,
        #[cfg(feature = "faults")]
        reroute: raft::reroute_from_environment().map_err(BootError::Raft)?,
    })
}

fn count(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
