//! Which addresses may stand together, and which doors they open.

use super::{Check, MIB};
use crate::config::limits::MEMBERS_MAX;
use crate::config::{Address, Config, Listen};
use std::collections::BTreeSet;

impl Check<'_> {
    pub(super) fn listeners(&mut self, config: &Config) {
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

    pub(super) fn peer_addresses(&mut self, config: &Config) {
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

    pub(super) fn members(&mut self, config: &Config) {
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

    pub(super) fn join(&mut self, config: &Config) {
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
}

fn off_loopback(address: &Address) -> String {
    format!("{address} is not loopback: the nodes do not speak TLS to each other in this release, so all of them must be on one machine")
}
