//! `curfew cluster status`.

use super::Console;
use super::args::{ClusterArgs, ClusterVerb};
use super::error::CliError;
use super::http::Client;
use super::show::{self, word};
use serde_json::Value;

pub(super) fn run(console: &mut Console<'_>, args: ClusterArgs) -> Result<(), CliError> {
    let ClusterVerb::Status = args.verb;
    let answer = Client::new(args.target.admin()?, args.target.api_key()?).get("/admin/v1/cluster")?;
    if args.target.json {
        return console.print(&answer.text);
    }
    console.print(&format!("{}\n{}", headline(&answer.json), members(&answer.json)))
}

fn headline(status: &Value) -> String {
    let node = &status["node"];
    let freshness = match (&node["fresh"], &node["staleness_ms"]) {
        (Value::Bool(true), staleness) => format!("fresh, {} ms", word(staleness)),
        _ => "not fresh".to_owned(),
    };
    let leader = match &status["leader"] {
        Value::Null => "none".to_owned(),
        leader => format!("node {} at {}", word(&leader["node_id"]), word(&leader["api"])),
    };
    show::text(&show::facts([
        ("cluster", word(&status["cluster_id"])),
        ("position", word(&status["position"])),
        ("leader", leader),
        ("term", word(&status["term"])),
        ("asked node", format!("{} ({}, {freshness})", word(&status["node_id"]), word(&node["role"]))),
        ("applied index", format!("{} of {}", word(&node["applied_index"]), word(&node["committed_index"]))),
        ("version", word(&node["version"])),
    ]))
}

fn members(status: &Value) -> String {
    let mut table = show::table(&["node", "role", "voter", "api", "peer", "reachable", "matched", "lag ms", "clock ms", "version"]);
    for member in status["members"].as_array().into_iter().flatten() {
        let keys = ["node_id", "role", "voter", "api", "peer", "reachable", "matched_index", "lag_ms", "clock_offset_ms", "version"];
        table.add_row(keys.map(|key| word(&member[key])));
    }
    show::text(&table)
}
