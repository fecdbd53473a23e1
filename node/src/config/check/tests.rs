//! Each rule, broken once.

use super::*;
use crate::config::{Listen, MemberAddresses};
use crate::domain::Preset;

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
