//! Which cluster is meant, and the credential for it.

use super::Console;
use super::args::TargetArgs;
use super::error::CliError;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The environment variable of the API key.
const API_KEY_VARIABLE: &str = "CURFEW_API_KEY";
/// Where a node that was started here keeps the first key.
const DEFAULT_KEY_FILE: &str = "./curfew-data/root.key";
/// The largest credential that is read, bytes.
const CREDENTIAL_MAX_BYTES: u64 = 16 * 1024;

/// The address of a listener, and the flag that gives another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Without a slash at its end.
    pub(super) url: String,
    pub(super) flag: &'static str,
}

impl Server {
    fn new(url: &str, flag: &'static str) -> Result<Self, CliError> {
        let url = url.trim_end_matches('/');
        if url.starts_with("https://") {
            return Err(CliError::Usage(format!("{flag} {url}: this release speaks plain HTTP only; use the address behind the TLS proxy")));
        }
        let rest = url.strip_prefix("http://").unwrap_or_default();
        if rest.is_empty() || rest.contains(['?', '#', '@']) {
            return Err(CliError::Usage(format!("{flag} {url:?} is not an address such as http://127.0.0.1:7400")));
        }
        Ok(Self { url: url.to_owned(), flag })
    }
}

impl TargetArgs {
    /// The `api` listeners, in the order given; at least one.
    pub(super) fn api(&self) -> Result<Vec<Server>, CliError> {
        self.url.iter().map(|url| Server::new(url, "--url")).collect()
    }

    /// The first of them: what needs one answer asks one node.
    pub(super) fn first_api(&self) -> Result<Server, CliError> {
        let servers = self.api()?;
        servers.into_iter().next().ok_or_else(|| CliError::Usage("--url names no node".to_owned()))
    }

    /// The `admin` listener.
    pub(super) fn admin(&self) -> Result<Server, CliError> {
        Server::new(&self.admin_url, "--admin-url")
    }

    /// The API key: `--key-file`, else the environment, else the file that a node started here has written.
    pub(super) fn api_key(&self) -> Result<String, CliError> {
        self.api_key_with(std::env::var_os(API_KEY_VARIABLE).as_deref(), Path::new(DEFAULT_KEY_FILE))
    }

    fn api_key_with(&self, variable: Option<&OsStr>, default_file: &Path) -> Result<String, CliError> {
        let (text, source) = match (&self.key_file, variable) {
            (Some(path), _) => (read_file(path)?, path.display().to_string()),
            (None, Some(value)) => (value.to_string_lossy().into_owned(), API_KEY_VARIABLE.to_owned()),
            (None, None) if default_file.exists() => (read_file(default_file)?, default_file.display().to_string()),
            (None, None) => {
                let message = format!("there is no API key: give --key-file, set {API_KEY_VARIABLE}, or run this where {DEFAULT_KEY_FILE} is");
                return Err(CliError::Usage(message));
            }
        };
        one_word(&text).map(str::to_owned).ok_or_else(|| CliError::Usage(format!("{source} does not hold an API key")))
    }
}

/// Reads a credential from a file, or from standard input for `-`.
pub(super) fn read_credential(console: &mut Console<'_>, path: &Path) -> Result<String, CliError> {
    let text = if path == Path::new("-") { read_bounded(&mut *console.input, Path::new("standard input"))? } else { read_file(path)? };
    let word = one_word(&text).ok_or_else(|| CliError::Usage(format!("{} does not hold one credential", path.display())))?;
    Ok(word.to_owned())
}

fn read_file(path: &Path) -> Result<String, CliError> {
    let file = File::open(path).map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))?;
    read_bounded(file, path)
}

fn read_bounded(from: impl Read, path: &Path) -> Result<String, CliError> {
    let fail = |what: &str| CliError::Usage(format!("{}: {what}", PathBuf::from(path).display()));
    let mut text = String::new();
    from.take(CREDENTIAL_MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| fail(&error.to_string()))?;
    if text.len() as u64 > CREDENTIAL_MAX_BYTES { Err(fail("is too large for a credential")) } else { Ok(text) }
}

/// A credential has no spaces in it and nothing that could not stand in a header.
fn one_word(text: &str) -> Option<&str> {
    let word = text.trim();
    (!word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic())).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(key_file: Option<PathBuf>) -> TargetArgs {
        TargetArgs { url: vec!["http://127.0.0.1:7410/".to_owned()], admin_url: "http://[::1]:7401".to_owned(), key_file, json: false }
    }

    #[test]
    fn the_key_comes_from_the_flag_then_the_environment_then_the_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (named, default) = (dir.path().join("named"), dir.path().join("root.key"));
        std::fs::write(&named, "from-flag\n").unwrap();
        let environment = OsStr::new("from-environment");
        assert!(target(None).api_key_with(None, &default).unwrap_err().to_string().contains("--key-file"));
        std::fs::write(&default, "from-default").unwrap();
        assert_eq!(target(None).api_key_with(None, &default).unwrap(), "from-default");
        assert_eq!(target(None).api_key_with(Some(environment), &default).unwrap(), "from-environment");
        assert_eq!(target(Some(named.clone())).api_key_with(Some(environment), &default).unwrap(), "from-flag");
        std::fs::write(&named, "two words").unwrap();
        assert!(target(Some(named)).api_key_with(None, &default).is_err());
    }

    #[test]
    fn an_address_is_http_and_nothing_but_an_address() {
        assert_eq!(target(None).first_api().unwrap().url, "http://127.0.0.1:7410");
        assert_eq!(target(None).admin().unwrap().url, "http://[::1]:7401");
        for wrong in ["https://x", "127.0.0.1:7400", "http://", "http://x?token=1", "http://user@x", "ftp://x"] {
            assert!(Server::new(wrong, "--url").is_err(), "{wrong}");
        }
    }
}
