//! Log lines: for people or for machines, on standard error.

use serde::{Deserialize, Serialize};
use std::io::IsTerminal as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

/// `[log]`: what is said on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// For people or for machines.
    pub format: LogFormat,
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`, perhaps per module: `info,curfew_node::raft=debug`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Human, level: "info".to_owned() }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line per event.
    Human,
    /// One JSON object per line.
    Json,
}

/// What the libraries beneath say at `info` and `warn` are facts of theirs, thousands of lines a second when a peer is down; ours say it once.
/// A level for one of them in the settings wins.
const QUIET: &str = "openraft=error,sled=warn,actix_server=warn,actix_http=warn,mio=warn,h2=warn";

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// Whether `level` is a level, or several for modules, separated by commas.
///
/// # Errors
/// The part that is neither, and what is allowed.
pub fn check_level(level: &str) -> Result<(), String> {
    let is_target = |target: &str| !target.is_empty() && target.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':');
    for part in level.split(',').map(str::trim) {
        let (target, word) = part.split_once('=').map_or((None, part), |(target, word)| (Some(target), word));
        if !LEVELS.contains(&word) || target.is_some_and(|target| !is_target(target)) {
            return Err(format!("{part:?} is not one of {}, or module=level", LEVELS.join(", ")));
        }
    }
    Ok(())
}

/// Sets the process's subscriber, unless it has one.
pub(super) fn install(settings: &LogSettings) -> Result<(), String> {
    let filter = filter(&settings.level)?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    // An error only says that the process has a subscriber already: that of a test, or of a first node in the same process.
    let _already_set = match settings.format {
        LogFormat::Human => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            tracing_subscriber::registry().with(lines.with_ansi(colours).with_filter(filter)).try_init()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
            tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
        }
    };
    Ok(())
}

fn filter(level: &str) -> Result<Targets, String> {
    check_level(level)?;
    let level = level.replace(' ', "");
    format!("{QUIET},{level}").parse().map_err(|error| format!("{level:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_level_is_a_word_or_words_for_modules() {
        for good in ["info", "off", "warn,curfew_node::raft=debug", "info, openraft=info"] {
            assert_eq!(check_level(good), Ok(()), "{good}");
            assert!(filter(good).is_ok(), "{good}");
        }
        for wrong in ["", "verbose", "curfew_node", "=info", "a=b=info", "info,", "curfew_node=loud", "a b=info"] {
            assert!(check_level(wrong).is_err(), "{wrong:?} was taken for a level");
        }
    }

    #[test]
    fn libraries_are_quiet_unless_asked() {
        let quiet = filter("debug").unwrap();
        assert!(quiet.would_enable("curfew_node::raft", &Level::DEBUG));
        assert!(!quiet.would_enable("openraft::core", &Level::WARN));
        assert!(filter("info,openraft=debug").unwrap().would_enable("openraft::core", &Level::DEBUG));
    }
}
