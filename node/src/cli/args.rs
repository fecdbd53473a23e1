//! The arguments, as clap reads them. Its doc comments are the help texts.

use crate::config::Flags;
use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// Curfew, the highly available session cluster: JWT speed with session-token control.
#[derive(Debug, Parser)]
#[command(
    name = "curfew",
    version,
    after_help = "Without a subcommand, curfew serves.\nExit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration."
)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) serve: ServeArgs,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a node.
    Serve(ServeArgs),
    /// Look at the configuration.
    Config(ConfigArgs),
    /// Look at the cluster.
    Cluster(ClusterArgs),
    /// Start, show, authenticate and end sessions.
    Session(SessionArgs),
    /// Follow the revocation feed.
    Revocations(RevocationsArgs),
    /// API keys.
    ApiKeys(ApiKeysArgs),
}

/// Where the settings of a node come from.
#[derive(Debug, Default, PartialEq, Eq, ClapArgs)]
pub(super) struct ServeArgs {
    /// The configuration file (TOML); see configs/reference.toml. None is needed for a single node
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the node keeps its data; wins over node.data_dir [default: ./curfew-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl ServeArgs {
    pub(super) fn flags(&self) -> Flags {
        Flags { config: self.config.clone(), data_dir: self.data_dir.clone() }
    }
}

/// How to reach the cluster, and with what.
#[derive(Debug, ClapArgs)]
pub(super) struct TargetArgs {
    /// The api listener of a node; repeat it to give several nodes to follow
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:7400")]
    pub(super) url: Vec<String>,
    /// The admin listener of a node
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:7401")]
    pub(super) admin_url: String,
    /// A file that holds the API key [default: CURFEW_API_KEY, else ./curfew-data/root.key]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Print the answer as it came (JSON)
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub(super) verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Say whether a node could start with these settings; change nothing
    Check {
        #[command(flatten)]
        serve: ServeArgs,
        /// Print all settings as they would be used (JSON; no secret is among them)
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct ClusterArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(subcommand)]
    pub(super) verb: ClusterVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClusterVerb {
    /// The cluster as one node sees it
    Status,
}

#[derive(Debug, ClapArgs)]
pub(super) struct SessionArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(subcommand)]
    pub(super) verb: SessionVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionVerb {
    /// Start a session for a user who has signed in; prints its token, which is shown this once
    Start(StartArgs),
    /// Show a session
    Show {
        /// Its id (ses_...)
        session_id: String,
    },
    /// List the sessions of a user
    List(ListArgs),
    /// Present a credential: learn whether the session is active, get a JWT
    Authenticate {
        #[command(flatten)]
        credential: CredentialArgs,
        /// Ask for an answer that is linearizable with every acknowledged revocation
        #[arg(long)]
        strict: bool,
    },
    /// End a session, or all sessions of a user
    Revoke(RevokeArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct StartArgs {
    /// Whose session it is
    pub(super) user_id: String,
    /// Absolute lifetime [default: the policy's]
    #[arg(long, value_name = "N")]
    pub(super) ttl_seconds: Option<u64>,
    /// End it after so long without being seen [default: the policy's]
    #[arg(long, value_name = "N")]
    pub(super) idle_timeout_seconds: Option<u64>,
    /// Whom its JWTs are for; repeatable [default: the cluster's]
    #[arg(long, value_name = "NAME")]
    pub(super) audience: Vec<String>,
    /// What the application wants to remember (a JSON object)
    #[arg(long, value_name = "JSON")]
    pub(super) attributes: Option<String>,
    /// What goes into the JWTs (a JSON object)
    #[arg(long, value_name = "JSON")]
    pub(super) claims: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ListArgs {
    /// Whose sessions
    pub(super) user_id: String,
    /// Ended ones too, as long as they can be explained
    #[arg(long)]
    pub(super) all: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(super) limit: u64,
    /// Go on where the last list ended
    #[arg(long, value_name = "CURSOR")]
    pub(super) cursor: Option<String>,
}

/// A credential, from a file or standard input: arguments can be read by everybody on the machine.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(super) struct CredentialArgs {
    /// A file that holds the session token; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// A file that holds the JWT; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) jwt_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    pub(super) which: WhichArgs,
    /// But not this session of the user
    #[arg(long, value_name = "SESSION_ID", requires = "user")]
    pub(super) except: Option<String>,
    /// Why; it is told in the feed
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Only count
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Which sessions end.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(super) struct WhichArgs {
    /// The session's id (ses_...)
    pub(super) session_id: Option<String>,
    /// All sessions of this user
    #[arg(long, value_name = "USER_ID")]
    pub(super) user: Option<String>,
    /// The session of the token in this file; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// The session of the JWT in this file; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) jwt_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct RevocationsArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(subcommand)]
    pub(super) verb: RevocationsVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum RevocationsVerb {
    /// Print each revocation as it is told; goes on at another node when one fails
    Follow {
        /// Begin behind this position instead of now
        #[arg(long, value_name = "POSITION")]
        after: Option<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct ApiKeysArgs {
    #[command(subcommand)]
    pub(super) verb: ApiKeysVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum ApiKeysVerb {
    /// Replace the root API key; needs the data directory of a node of the cluster
    ResetRoot(ServeArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }
}
