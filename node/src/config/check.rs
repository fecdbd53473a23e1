//! What settings must be together: the rules that no single value shows.

use super::error::Problem;
use super::limits::{ISSUER_MAX_BYTES, MEMBERS_MAX};
use super::{Address, Config, Listen};
use crate::domain::{Policy, Preset};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Everything that is wrong with `config`; `source_of` says where a key's value came from.
pub(super) fn problems(config: &Config, source_of: &dyn Fn(&str) -> String) -> Vec<Problem> {
    let mut check = Check { source_of, problems: Vec::new() };
    check.node(config);
    check.listeners(config);
    check.peer_addresses(config);
    check.members(config);
    check.join(config);
    check.names(config);
    check.timing(config);
    check.policy(config);
    check.lifetimes(config);
    check.parts(config);
    check.problems
}

struct Check<'a> {
    source_of: &'a dyn Fn(&str) -> String,
    problems: Vec<Problem>,
}

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
const TEN_YEARS_SECONDS: u64 = 10 * 365 * 86_400;
const AAL3_TTL_MAX_SECONDS: u64 = 12 * 3_600;
const AAL3_IDLE_MAX_SECONDS: u64 = 15 * 60;

impl Check<'_> {
    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), source: (self.source_of)(key), message: message.into() });
    }

    fn within(&mut self, key: &str, value: u64, allowed: RangeInclusive<u64>) {
        if !allowed.contains(&value) {
            self.refuse(key, format!("{value} is not {} to {}", allowed.start(), allowed.end()));
        }
    }

    fn node(&mut self, config: &Config) {
        self.within("node.id", config.node.id, 1..=u64::from(u32::MAX));
        if config.node.data_dir.as_os_str().is_empty() {
            self.refuse("node.data_dir", "must name a directory");
        }
    }

    fn listeners(&mut self, config: &Config) {
        self.tls("api", config.api.listen, config.api.behind_tls_proxy);
        self.tls("admin", config.admin.listen, config.admin.behind_tls_proxy);
        if config.api.listen.0.ip().is_unspecified() && config.api_address() == config.api.listen.into() {
            self.refuse("api.advertise", format!("must be set when api.listen is {}: nobody can be sent there", config.api.listen));
        }
        let listeners = [("api.listen", config.api.listen), ("admin.listen", config.admin.listen), ("peer.listen", config.peer.listen)];
        for (at, (key, listen)) in listeners.iter().enumerate() {
            let twin = listeners[..at].iter().find(|(_, other)| other.0 == listen.0 && listen.0.port() != 0);
            if let Some((other, _)) = twin {
                self.refuse(key, format!("{listen} is {other} too: each listener needs a port of its own"));
            }
        }
        self.within("api.body_max_bytes", config.api.body_max_bytes, 1_024..=16 * MIB);
        self.within("api.workers", config.api.workers, 1..=256);
    }

    fn tls(&mut self, section: &str, listen: Listen, behind_tls_proxy: bool) {
        if !listen.is_loopback() && !behind_tls_proxy {
            let message = format!(
                "{listen} is not loopback, and this listener does not speak TLS: put a TLS proxy in front and set {section}.behind_tls_proxy = true"
            );
            self.refuse(&format!("{section}.listen"), message);
        }
    }

    fn peer_addresses(&mut self, config: &Config) {
        if !config.peer.listen.is_loopback() {
            self.refuse("peer.listen", off_loopback(&config.peer.listen.into()));
        }
        let advertised = config.peer.advertise.iter().map(|address| ("peer.advertise", address));
        let listed = config.cluster.peers.iter().map(|member| ("cluster.peers", &member.peer));
        let joined = config.cluster.join.iter().map(|address| ("cluster.join", address));
        for (key, address) in advertised.chain(listed).chain(joined) {
            if !address.is_loopback() {
                self.refuse(key, off_loopback(address));
            }
        }
    }

    fn members(&mut self, config: &Config) {
        let peers = &config.cluster.peers;
        if peers.is_empty() {
            return;
        }
        if peers.len() > MEMBERS_MAX {
            self.refuse("cluster.peers", format!("names {} members, at most {MEMBERS_MAX} are allowed", peers.len()));
        }
        let mut ids = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for member in peers {
            if member.id == 0 || !ids.insert(member.id) {
                self.refuse("cluster.peers", format!("id {} is zero or named twice: every member needs a number of its own", member.id));
            }
            for address in [&member.peer, &member.api] {
                if !addresses.insert(address) {
                    self.refuse("cluster.peers", format!("{address} is named twice: every listener needs an address of its own"));
                }
            }
        }
        self.own_entry(config);
    }

    fn own_entry(&mut self, config: &Config) {
        let Some(own) = config.cluster.member(config.node.id) else {
            let ids: Vec<_> = config.cluster.peers.iter().map(|member| member.id.to_string()).collect();
            self.refuse("cluster.peers", format!("names members {} but not this node, whose node.id is {}", ids.join(", "), config.node.id));
            return;
        };
        for (key, advertise, listed) in [("peer.advertise", &config.peer.advertise, &own.peer), ("api.advertise", &config.api.advertise, &own.api)] {
            if let Some(advertise) = advertise.as_ref().filter(|advertise| *advertise != listed) {
                self.refuse(key, format!("{advertise} is not what cluster.peers says of this node: {listed}"));
            }
        }
    }

    fn join(&mut self, config: &Config) {
        let cluster = &config.cluster;
        if !cluster.join.is_empty() && !cluster.peers.is_empty() {
            self.refuse("cluster.join", "cannot stand beside cluster.peers: a node either forms a cluster or joins one");
        }
        if cluster.join.len() > MEMBERS_MAX {
            self.refuse("cluster.join", format!("names {} addresses, at most {MEMBERS_MAX} are allowed", cluster.join.len()));
        }
        if cluster.join.contains(&config.peer_address()) {
            self.refuse("cluster.join", format!("names this node's own address, {}", config.peer_address()));
        }
    }

    fn names(&mut self, config: &Config) {
        let is_visible = |text: &str| !text.is_empty() && text.len() <= ISSUER_MAX_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
        let issuer = config.cluster.issuer_at_init();
        let is_url = issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://")).is_some_and(|rest| !rest.is_empty());
        if !is_visible(issuer) || !is_url || issuer.contains(['?', '#']) {
            self.refuse(
                "cluster.issuer",
                format!("{issuer:?} is not an http(s) URL without query and fragment, at most {ISSUER_MAX_BYTES} bytes (RFC 8414)"),
            );
        }
        let audience = config.cluster.default_audience_at_init();
        if !is_visible(audience) {
            self.refuse("cluster.default_audience", format!("{audience:?} is not 1 to {ISSUER_MAX_BYTES} visible ASCII characters"));
        }
    }

    fn timing(&mut self, config: &Config) {
        let raft = &config.raft;
        self.within("raft.heartbeat_ms", raft.heartbeat_ms, 10..=5_000);
        self.within("raft.refresh_interval_ms", raft.refresh_interval_ms, 10..=10_000);
        self.within("raft.election_min_ms", raft.election_min_ms, raft.heartbeat_ms.saturating_mul(2)..=60_000);
        self.within("raft.election_max_ms", raft.election_max_ms, raft.election_min_ms.saturating_add(1)..=120_000);
        self.within("feed.heartbeat_ms", config.feed.heartbeat_ms, 50..=10_000);
        self.within("policy.max_staleness_ms", config.policy.max_staleness_ms, 500..=60_000);
        let change = raft.leader_change_ms();
        let needed = raft.refresh_interval_ms.saturating_add(config.feed.heartbeat_ms).saturating_add(change);
        if needed > config.policy.max_staleness_ms {
            let message = format!(
                "{} is too short: raft.refresh_interval_ms ({}) + feed.heartbeat_ms ({}) + a change of leader (2 x raft.election_max_ms + 100 = {change}) make {needed}",
                config.policy.max_staleness_ms, raft.refresh_interval_ms, config.feed.heartbeat_ms
            );
            self.refuse("policy.max_staleness_ms", message);
        }
    }

    fn policy(&mut self, config: &Config) {
        let policy = &config.policy;
        self.within("policy.jwt_ttl_seconds", policy.jwt_ttl_seconds, 10..=3_600);
        self.within("policy.leeway_seconds", policy.leeway_seconds, 0..=30);
        self.within("policy.tombstone_retention_seconds", policy.tombstone_retention_seconds, 60..=30 * 86_400);
        self.within("policy.sessions_max", policy.sessions_max, 1..=50_000_000);
        self.within("policy.key_lead_seconds", policy.key_lead_seconds, 60..=30 * 86_400);
        if let Some(max) = policy.sessions_per_user_max {
            self.within("policy.sessions_per_user_max", max, 1..=10_000);
        }
        if let super::ExchangeSetting::Within(Some(seconds)) = policy.refresh_by_expired_jwt {
            self.within("policy.refresh_by_expired_jwt", seconds, 1..=TEN_YEARS_SECONDS);
        }
    }

    fn lifetimes(&mut self, config: &Config) {
        let policy = config.policy.policy();
        let (ttl, ttl_max) = (policy.session_ttl_ms / 1000, policy.session_ttl_max_ms / 1000);
        self.within("policy.session_ttl_seconds", ttl, 60..=TEN_YEARS_SECONDS);
        self.within("policy.session_ttl_max_seconds", ttl_max, ttl..=TEN_YEARS_SECONDS);
        if let Some(idle) = policy.idle_timeout_ms.map(|ms| ms / 1000) {
            let idle_max = policy.idle_timeout_max_ms.map_or(ttl_max, |ms| (ms / 1000).min(ttl_max));
            let least = 2 * config.policy.jwt_ttl_seconds.min(3_600);
            if idle < least {
                self.refuse(
                    "policy.idle_timeout_seconds",
                    format!("{idle} is less than two lives of a JWT (policy.jwt_ttl_seconds): at least {least}"),
                );
            } else if idle > idle_max {
                self.refuse("policy.idle_timeout_seconds", format!("{idle} is above the cap: at most {idle_max}"));
            }
        }
        self.aal3(config, &policy);
    }

    fn aal3(&mut self, config: &Config, policy: &Policy) {
        if config.policy.preset != Preset::Aal3 {
            return;
        }
        let ttl_key = if config.policy.session_ttl_max_seconds.is_some() { "policy.session_ttl_max_seconds" } else { "policy.session_ttl_seconds" };
        if policy.session_ttl_max_ms > AAL3_TTL_MAX_SECONDS * 1000 {
            self.refuse(ttl_key, format!("preset aal3 allows at most {AAL3_TTL_MAX_SECONDS} (12 hours, NIST SP 800-63B-4 section 2.3.3)"));
        }
        let idle_key =
            if config.policy.idle_timeout_max_seconds.is_some() { "policy.idle_timeout_max_seconds" } else { "policy.idle_timeout_seconds" };
        if policy.idle_timeout_max_ms.is_none_or(|ms| ms > AAL3_IDLE_MAX_SECONDS * 1000) {
            self.refuse(idle_key, format!("preset aal3 allows at most {AAL3_IDLE_MAX_SECONDS} (15 minutes, NIST SP 800-63B-4 section 2.3.3)"));
        }
    }

    fn parts(&mut self, config: &Config) {
        let Config { raft, feed, actors, store, log, .. } = config;
        self.within("raft.snapshot_min_entries", raft.snapshot_min_entries, 100..=10_000_000);
        self.within("raft.snapshot_state_share_percent", raft.snapshot_state_share_percent, 0..=1_000);
        self.within("raft.purge_keep_entries", raft.purge_keep_entries, 0..=10_000_000);
        self.within("feed.subscriber_queue_max", feed.subscriber_queue_max, 16..=65_536);
        self.within("feed.subscribers_max", feed.subscribers_max, 1..=1_000_000);
        self.within("feed.streams_per_key_max", feed.streams_per_key_max, 1..=1_000_000);
        self.within("actors.live_max", actors.live_max, 1..=10_000_000);
        self.within("actors.dormant_after_seconds", actors.dormant_after_seconds, 1..=86_400);
        self.within("actors.mailbox_max", actors.mailbox_max, 16..=65_536);
        self.within("store.log_cache_bytes", store.log_cache_bytes, MIB..=64 * GIB);
        self.within("store.tables_cache_bytes", store.tables_cache_bytes, MIB..=64 * GIB);
        self.within("store.ballast_bytes", store.ballast_bytes, 0..=GIB);
        self.within("store.free_space_floor_bytes", store.free_space_floor_bytes, MIB..=64 * GIB);
        self.within("store.log_tail_entries", store.log_tail_entries, 1_000..=10_000_000);
        self.within("store.snapshots_kept", store.snapshots_kept, 1..=16);
        if let Err(message) = crate::telemetry::check_level(&log.level) {
            self.refuse("log.level", message);
        }
    }
}

fn off_loopback(address: &Address) -> String {
    format!("{address} is not loopback: the nodes do not speak TLS to each other in this release, so all of them must be on one machine")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemberAddresses;

    fn refused(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        problems(&config, &|_| "test".to_owned()).into_iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
    }

    #[track_caller]
    fn assert_refused(needle: &str, change: impl FnOnce(&mut Config)) {
        let refused = refused(change);
        assert!(refused.iter().any(|problem| problem.contains(needle)), "{needle:?} is not among {refused:?}");
    }

    fn three(config: &mut Config) {
        let member =
            |id: u64| MemberAddresses { id, peer: format!("127.0.0.1:74{id}2").parse().unwrap(), api: format!("127.0.0.1:74{id}0").parse().unwrap() };
        config.cluster.peers = (1..=3).map(member).collect();
    }

    #[test]
    fn the_defaults_and_a_cluster_of_three_are_sound() {
        assert_eq!(refused(|_| {}), Vec::<String>::new());
        assert_eq!(refused(three), Vec::<String>::new());
        assert_eq!(refused(|config| config.policy.preset = Preset::Aal2), Vec::<String>::new());
        assert_eq!(refused(|config| config.policy.preset = Preset::Aal3), Vec::<String>::new());
    }

    #[test]
    fn no_door_opens_off_loopback_without_tls() {
        let everywhere = Listen("0.0.0.0:7400".parse().unwrap());
        assert_refused("set api.behind_tls_proxy = true", |config| config.api.listen = everywhere);
        assert_refused("set admin.behind_tls_proxy = true", |config| config.admin.listen = everywhere);
        assert_refused("api.advertise: must be set", |config| (config.api.listen, config.api.behind_tls_proxy) = (everywhere, true));
        assert_refused("peer.listen: 0.0.0.0:7400 is not loopback", |config| config.peer.listen = everywhere);
        assert_refused("peer.advertise: 10.0.0.4:7402", |config| config.peer.advertise = Some("10.0.0.4:7402".parse().unwrap()));
        assert_refused("cluster.join: node-4:7402", |config| config.cluster.join = vec!["node-4:7402".parse().unwrap()]);
        assert_refused("cluster.peers: node-9:1", |config| {
            three(config);
            config.cluster.peers[2].peer = "node-9:1".parse().unwrap();
        });
        assert_eq!(
            refused(|config| {
                (config.api.listen, config.api.behind_tls_proxy) = (everywhere, true);
                config.api.advertise = Some("id.example.org:443".parse().unwrap());
            }),
            Vec::<String>::new()
        );
    }

    #[test]
    fn members_are_told_apart() {
        assert_refused("not this node, whose node.id is 4", |config| {
            three(config);
            config.node.id = 4;
        });
        assert_refused("id 2 is zero or named twice", |config| {
            three(config);
            config.cluster.peers[2].id = 2;
        });
        assert_refused("127.0.0.1:7412 is named twice", |config| {
            three(config);
            config.cluster.peers[2].peer = config.cluster.peers[0].peer.clone();
        });
        assert_refused("is not what cluster.peers says", |config| {
            three(config);
            config.peer.advertise = Some("127.0.0.1:9999".parse().unwrap());
        });
        assert_refused("cannot stand beside", |config| {
            three(config);
            config.cluster.join = vec!["127.0.0.1:9".parse().unwrap()];
        });
        assert_refused("own address", |config| config.cluster.join = vec!["127.0.0.1:7402".parse().unwrap()]);
        assert_refused("admin.listen: 127.0.0.1:7400 is api.listen too", |config| config.admin.listen = config.api.listen);
    }

    #[test]
    fn a_change_of_leader_must_fit_into_the_staleness() {
        assert_refused(
            "raft.refresh_interval_ms (100) + feed.heartbeat_ms (250) + a change of leader (2 x raft.election_max_ms + 100 = 700) make 1050",
            |config| {
                config.policy.max_staleness_ms = 1_049;
            },
        );
        assert_eq!(refused(|config| config.policy.max_staleness_ms = 1_050), Vec::<String>::new());
        assert_refused("raft.election_min_ms: 150 is not 160 to", |config| config.raft.heartbeat_ms = 80);
        assert_refused("raft.election_max_ms: 150 is not 151 to", |config| config.raft.election_max_ms = 150);
    }

    #[test]
    fn lifetimes_hold_together() {
        assert_refused("policy.jwt_ttl_seconds: 9 is not 10 to 3600", |config| config.policy.jwt_ttl_seconds = 9);
        assert_refused("policy.leeway_seconds: 31 is not 0 to 30", |config| config.policy.leeway_seconds = 31);
        assert_refused("policy.idle_timeout_seconds: 599 is less than two lives", |config| config.policy.idle_timeout_seconds = Some(599));
        assert_refused("policy.idle_timeout_seconds: 700 is above the cap: at most 650", |config| {
            (config.policy.idle_timeout_seconds, config.policy.idle_timeout_max_seconds) = (Some(700), Some(650));
        });
        assert_refused("policy.session_ttl_max_seconds: 100 is not 200 to", |config| {
            (config.policy.session_ttl_seconds, config.policy.session_ttl_max_seconds) = (Some(200), Some(100));
        });
        assert_refused("policy.session_ttl_seconds: preset aal3 allows at most 43200", |config| {
            (config.policy.preset, config.policy.session_ttl_seconds) = (Preset::Aal3, Some(43_201));
        });
        assert_refused("policy.idle_timeout_seconds: preset aal3 allows at most 900", |config| {
            (config.policy.preset, config.policy.idle_timeout_seconds) = (Preset::Aal3, Some(901));
        });
        assert_refused("policy.sessions_per_user_max: 0", |config| config.policy.sessions_per_user_max = Some(0));
    }

    #[test]
    fn names_in_every_jwt_are_well_formed() {
        for wrong in ["", "ftp://x", "https://", "https://a b", "https://x?y", "https://x#y", "curfew"] {
            assert_refused("cluster.issuer", |config| config.cluster.issuer = Some(wrong.to_owned()));
        }
        assert_refused("cluster.default_audience", |config| config.cluster.default_audience = Some(String::new()));
        assert_refused("log.level", |config| config.log.level = "loud=very=".to_owned());
    }

    #[test]
    fn no_number_makes_the_checks_overflow() {
        refused(|config| {
            config.raft.heartbeat_ms = u64::MAX;
            config.raft.election_min_ms = u64::MAX;
            config.raft.election_max_ms = u64::MAX;
            config.raft.refresh_interval_ms = u64::MAX;
            config.feed.heartbeat_ms = u64::MAX;
            config.policy.max_staleness_ms = u64::MAX;
            config.policy.jwt_ttl_seconds = u64::MAX;
            config.policy.session_ttl_seconds = Some(u64::MAX);
            config.policy.idle_timeout_seconds = Some(u64::MAX);
        });
    }
}
