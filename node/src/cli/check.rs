//! `curfew config check`.

use super::Console;
use super::args::{ConfigArgs, ConfigVerb};
use super::error::CliError;
use super::show;
use crate::config::{Config, Secrets};

pub(super) fn run(console: &mut Console<'_>, args: ConfigArgs) -> Result<(), CliError> {
    let ConfigVerb::Check { serve, json } = args.verb;
    let config = Config::load(&serve.flags())?;
    let secrets = config.secrets()?;
    if json {
        let text = serde_json::to_string_pretty(&config).map_err(|error| CliError::Failed(format!("the settings cannot be written: {error}")))?;
        return console.print(&text);
    }
    console.print(&show::text(&show::facts(facts(&config, &secrets))))?;
    console.note("a node can start with these settings");
    Ok(())
}

fn facts(config: &Config, secrets: &Secrets) -> Vec<(&'static str, String)> {
    let cluster = &config.cluster;
    let others = match (cluster.peers.len(), cluster.join.len()) {
        (0, 0) => "a cluster of its own".to_owned(),
        (0, join) => format!("joins a cluster, asking {join} of its members"),
        (members, _) => format!("one of {members} members that form a cluster"),
    };
    let secret = if secrets.cluster.is_empty() { "generated at the first start".to_owned() } else { format!("{} found", secrets.cluster.len()) };
    let root_key = if secrets.root_key.is_some() { "found" } else { "generated when the cluster forms" };
    vec![
        ("node", format!("{}: {others}", config.node.id)),
        ("data directory", config.node.data_dir.display().to_string()),
        ("api", format!("{} (told as {})", config.api.listen, config.api_address())),
        ("admin", config.admin.listen.to_string()),
        ("peer", format!("{} (told as {})", config.peer.listen, config.peer_address())),
        ("cluster secret", secret),
        ("root API key", root_key.to_owned()),
    ]
}
