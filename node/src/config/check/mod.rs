//! What settings must be together: the rules that no single value shows.

mod addresses;
mod lifetimes;

use super::Config;
use super::error::Problem;
use super::limits::ISSUER_MAX_BYTES;
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

#[cfg(test)]
mod tests;
