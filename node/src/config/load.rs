//! The four layers, laid over each other: defaults, file, environment, flags.

use super::error::{ConfigError, Problem};
use super::{CONFIG_FILE_MAX_BYTES, Config, check};
use figment::error::Kind;
use figment::providers::{Format as _, Serialized, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What every setting's environment variable begins with; other `CURFEW_*` names are not settings.
const ENV_PREFIX: &str = "CURFEW__";
const SEPARATOR: &str = "__";

const ENV_SOURCE: &str = "environment variable";
const FLAG_SOURCE: &str = "flag --data-dir";
const DEFAULT: &str = "default";

/// The settings that come as flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`: the file.
    pub config: Option<PathBuf>,
    /// `--data-dir`: wins over `node.data_dir`.
    pub data_dir: Option<PathBuf>,
}

impl Config {
    /// Reads flags, environment and file, and checks the result. Reads nothing else and writes nothing.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key, its source and what is allowed.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        Self::load_with(flags, std::env::vars_os())
    }

    /// As [`Config::load`], with the environment given.
    pub(super) fn load_with(flags: &Flags, environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, ConfigError> {
        let mut layers = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = &flags.config {
            layers = layers.merge(file(path)?);
        }
        for variable in variables(environment)? {
            layers = layers.merge(variable);
        }
        if let Some(path) = &flags.data_dir {
            layers = layers.merge(Given::data_dir(path)?);
        }
        let config: Self = layers.extract().map_err(|error| ConfigError { problems: error.into_iter().map(problem).collect() })?;
        let problems = check::problems(&config, &|key| source_of(layers.find_metadata(key)));
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }
}

fn file(path: &Path) -> Result<figment::providers::Data<Toml>, ConfigError> {
    let refuse = |message: String| ConfigError::of("", format!("file {}", path.display()), message);
    let found = std::fs::metadata(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if !found.is_file() {
        return Err(refuse("is not a file".to_owned()));
    }
    if found.len() > CONFIG_FILE_MAX_BYTES {
        return Err(refuse(format!("is larger than {CONFIG_FILE_MAX_BYTES} bytes")));
    }
    Ok(Toml::file_exact(path))
}

fn variables(environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Given>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in environment {
        let Some(key) = name.to_str().and_then(|name| name.strip_prefix(ENV_PREFIX)) else { continue };
        let source = format!("{ENV_SOURCE} {ENV_PREFIX}{key}");
        let key = key.to_ascii_lowercase().replace(SEPARATOR, ".");
        if key.split('.').any(str::is_empty) {
            return Err(ConfigError::of("", source, "is no setting: a setting is named CURFEW__SECTION__KEY"));
        }
        let value = value.into_string().map_err(|_| ConfigError::of(&key, source.clone(), "is not UTF-8"))?;
        let value = value.parse::<Value>().unwrap_or_else(|impossible| match impossible {});
        found.push(Given { source, key, value });
    }
    Ok(found)
}

/// One value from one place.
struct Given {
    source: String,
    key: String,
    value: Value,
}

impl Given {
    fn data_dir(path: &Path) -> Result<Self, ConfigError> {
        let source = FLAG_SOURCE.to_owned();
        let text = path.to_str().ok_or_else(|| ConfigError::of("node.data_dir", source.clone(), "is not UTF-8"))?;
        Ok(Self { source, key: "node.data_dir".to_owned(), value: Value::from(text) })
    }
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let nested = figment::util::nest(&self.key, self.value.clone()).into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(nested))
    }
}

/// Where a value came from: the layers name themselves, but for the defaults.
fn source_of(metadata: Option<&Metadata>) -> String {
    let Some(metadata) = metadata else { return DEFAULT.to_owned() };
    match metadata.source.as_ref().and_then(figment::Source::file_path) {
        Some(path) => format!("file {}", path.display()),
        None if metadata.name.starts_with(ENV_SOURCE) || metadata.name == FLAG_SOURCE => metadata.name.to_string(),
        None => DEFAULT.to_owned(),
    }
}

fn problem(error: figment::Error) -> Problem {
    let message = match &error.kind {
        Kind::UnknownField(name, allowed) => format!("`{name}` is no setting here; there are {}", allowed.join(", ")),
        Kind::UnknownVariant(name, allowed) => format!("{name:?} is not one of {}", allowed.join(", ")),
        Kind::InvalidType(found, expected) => format!("{found} is not {}", in_words(expected)),
        kind => kind.to_string().trim_end().to_owned(),
    };
    Problem { key: error.path.join("."), source: error.metadata.as_ref().map(|metadata| source_of(Some(metadata))).unwrap_or_default(), message }
}

/// The names of Rust's types, in the operator's words.
fn in_words(expected: &str) -> &str {
    match expected {
        "u64" => "a whole number",
        "bool" | "a boolean" => "true or false",
        "a sequence" => "a list",
        name if name.starts_with("struct ") => "a section",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Address, ExchangeSetting, LimitModeSetting, Listen, LogFormat};

    fn load(file: &str, environment: &[(&str, &str)], data_dir: Option<&str>) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curfew.toml");
        std::fs::write(&path, file).unwrap();
        let flags = Flags { config: Some(path), data_dir: data_dir.map(PathBuf::from) };
        let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Config::load_with(&flags, environment).map_err(|error| error.to_string().replace(dir.path().to_str().unwrap(), ""))
    }

    #[test]
    fn nothing_need_be_set() {
        let config = Config::load_with(&Flags::default(), std::iter::empty()).unwrap();
        assert_eq!(config, Config::default());
        assert!(config.cluster.alone());
        assert_eq!((config.api_address().as_str(), config.peer_address().as_str()), ("127.0.0.1:7400", "127.0.0.1:7402"));
        assert_eq!(config.policy.policy(), crate::domain::Policy::default());
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = "[node]\ndata_dir = 'from-file'\nid = 2\n[api]\nlisten = '127.0.0.1:9000'";
        let environment = [("CURFEW__NODE__DATA_DIR", "from-env"), ("CURFEW__API__LISTEN", "[::1]:9001"), ("CURFEW_ROOT_KEY", "not a setting")];
        let config = load(file, &environment, Some("from-flag")).unwrap();
        assert_eq!(config.node.data_dir, PathBuf::from("from-flag"));
        assert_eq!(config.api.listen, Listen("[::1]:9001".parse().unwrap()));
        assert_eq!(config.node.id, 2);
        assert_eq!(load(file, &environment, None).unwrap().node.data_dir, PathBuf::from("from-env"));
        assert_eq!(load(file, &[], None).unwrap().node.data_dir, PathBuf::from("from-file"));
    }

    #[test]
    fn every_kind_of_value_comes_through_the_environment() {
        let config = load(
            "",
            &[
                (
                    "CURFEW__CLUSTER__PEERS",
                    r#"[{id=1,peer="127.0.0.1:7412",api="127.0.0.1:7410"},{id=2,peer="127.0.0.1:7422",api="127.0.0.1:7420"}]"#,
                ),
                ("CURFEW__CLUSTER__ISSUER", "https://id.example.org/curfew"),
                ("CURFEW__POLICY__REFRESH_BY_EXPIRED_JWT", "{within_seconds=60}"),
                ("CURFEW__POLICY__PRESET", "aal3"),
                ("CURFEW__POLICY__SESSIONS_PER_USER_MAX", "5"),
                ("CURFEW__POLICY__SESSIONS_PER_USER_MODE", "refuse"),
                ("CURFEW__ADMIN__METRICS_PUBLIC", "true"),
                ("CURFEW__LOG__FORMAT", "json"),
                ("CURFEW__LOG__LEVEL", "info,curfew_node::raft=debug"),
            ],
            None,
        )
        .unwrap();
        assert_eq!(config.peer_address(), "127.0.0.1:7412".parse::<Address>().unwrap());
        assert_eq!(config.cluster.issuer_at_init(), "https://id.example.org/curfew");
        assert_eq!(config.policy.refresh_by_expired_jwt, ExchangeSetting::Within(Some(60)));
        assert_eq!(config.policy.sessions_per_user_mode, LimitModeSetting::Refuse);
        assert!(config.admin.metrics_public);
        assert_eq!(config.log.format, LogFormat::Json);
        let policy = config.policy.policy();
        assert_eq!((policy.session_ttl_ms, policy.idle_timeout_ms), (12 * 3_600_000, Some(900_000)));
    }

    #[test]
    fn a_refusal_names_the_key_its_source_and_what_is_allowed() {
        for (file, environment, needles) in [
            ("[api]\nlistn = 'x'", &[][..], &["api", "/curfew.toml", "`listn` is no setting here", "listen, advertise"][..]),
            ("[nod]\nid = 1", &[], &["`nod` is no setting", "node, api, admin"]),
            ("[node]\nid = 'one'", &[], &["node.id (file /curfew.toml)", "\"one\"", "a whole number"]),
            ("[api]\nlisten = 'localhost'", &[], &["api.listen (file /curfew.toml)", "127.0.0.1:7400"]),
            ("[admin]\nmetrics_public = 'yes'", &[], &["admin.metrics_public (file /curfew.toml)", "true or false"]),
            ("[cluster]\npeers = 1", &[], &["cluster.peers (file /curfew.toml)", "is not a list"]),
            ("[log]\nformat = 'xml'", &[], &["log.format", "xml", "human", "json"]),
            ("not toml", &[], &["/curfew.toml"]),
            ("", &[("CURFEW__API__PORT", "1")], &["environment variable CURFEW__API__PORT", "`port` is no setting here"]),
            ("", &[("CURFEW__API", "1")], &["api (environment variable CURFEW__API)", "is not a section"]),
            ("", &[("CURFEW__API__", "1")], &["environment variable CURFEW__API__", "CURFEW__SECTION__KEY"]),
            (
                "",
                &[("CURFEW__POLICY__JWT_TTL_SECONDS", "5")],
                &["policy.jwt_ttl_seconds (environment variable CURFEW__POLICY__JWT_TTL_SECONDS)", "10 to 3600"],
            ),
            ("[policy]\nrefresh_by_expired_jwt = 'maybe'", &[], &["policy.refresh_by_expired_jwt", "maybe", "within_seconds = N"]),
            ("[policy]\nrefresh_by_expired_jwt = { hours = 1 }", &[], &["policy.refresh_by_expired_jwt", "within_seconds = N"]),
            ("[[cluster.peers]]\nid = 1\npeer = '127.0.0.1:7412'", &[], &["cluster.peers", "api"]),
        ] {
            let refusal = load(file, environment, None).unwrap_err();
            for needle in needles {
                assert!(refusal.contains(needle), "{file:?} {environment:?}: {refusal:?} lacks {needle:?}");
            }
        }
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let flags = Flags { config: Some(PathBuf::from("/nowhere/curfew.toml")), data_dir: None };
        let refusal = Config::load_with(&flags, std::iter::empty()).unwrap_err().to_string();
        assert!(refusal.contains("/nowhere/curfew.toml") && refusal.contains("cannot be read"), "{refusal}");
    }
}
