//! `curfew api-keys reset-root`: for whoever has lost the root API key and has the data directory.

use super::Console;
use super::args::{ApiKeysArgs, ApiKeysVerb};
use super::error::CliError;
use crate::config::{Config, ROOT_KEY_FILE, ResetRootRequest, Secret, keep_secret_again};
use crate::dice;
use crate::tokens;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::path::Path;
use std::time::Duration;

/// How long the running node may take to fulfil the wish before the command says that it will.
const WAIT: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) fn run(console: &mut Console<'_>, args: ApiKeysArgs) -> Result<(), CliError> {
    let ApiKeysVerb::ResetRoot(serve) = args.verb;
    let config = Config::load(&serve.flags())?;
    reset_root(console, &config.node.data_dir, WAIT)
}

fn reset_root(console: &mut Console<'_>, data_dir: &Path, wait: Duration) -> Result<(), CliError> {
    if !data_dir.is_dir() {
        return Err(CliError::Usage(format!("{} is no data directory; --data-dir names another", data_dir.display())));
    }
    let fail = |what: &str, error: std::io::Error| CliError::Failed(format!("{what} in {} cannot be written: {error}", data_dir.display()));
    let key = Secret::new(format!("{}{}", tokens::API_KEY_PREFIX, URL_SAFE_NO_PAD.encode(dice::token_bytes())));
    let key_file = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned()).join(ROOT_KEY_FILE);
    // The key first: a wish whose key is lost would lock everybody out.
    keep_secret_again(&key_file, &key).map_err(|error| fail("the new key", error))?;
    let request = ResetRootRequest::leave(data_dir, tokens::hash_key(key.reveal())).map_err(|error| fail("the request", error))?;
    console.print(&format!("the new root API key is in {}", key_file.display()))?;
    let looks = wait.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        if !request.is_pending() {
            return console.print("it is in force; the old one is not any more");
        }
        std::thread::sleep(LOOK_EVERY);
    }
    console.note("no node has taken it up yet: it is in force once the node of this data directory runs and its cluster has a leader");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset(data_dir: &Path, wait: Duration) -> (Result<(), CliError>, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let done = reset_root(&mut Console { out: &mut out, err: &mut err, input: &mut std::io::empty() }, data_dir, wait);
        out.extend(err);
        (done, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_key_is_kept_and_its_hash_is_left_for_the_node() {
        let dir = tempfile::tempdir().unwrap();
        let (done, said) = reset(dir.path(), Duration::ZERO);
        done.unwrap();
        let key = std::fs::read_to_string(dir.path().join(ROOT_KEY_FILE)).unwrap();
        let left = ResetRootRequest::find(dir.path()).unwrap().unwrap();
        assert_eq!(left.key, tokens::hash_key(key.trim()));
        assert!(key.starts_with(tokens::API_KEY_PREFIX), "secret scanners know a key by its prefix");
        assert!(said.contains("no node has taken it up yet"), "{said}");
        assert!(!said.contains(key.trim()), "the key itself is not printed");
    }

    #[test]
    fn the_command_waits_for_the_node() {
        let dir = tempfile::tempdir().unwrap();
        let node = std::thread::spawn({
            let dir = dir.path().to_owned();
            move || loop {
                if let Ok(Some(request)) = ResetRootRequest::find(&dir) {
                    return request.fulfilled().unwrap();
                }
                std::thread::yield_now();
            }
        });
        let (done, said) = reset(dir.path(), WAIT);
        node.join().unwrap();
        done.unwrap();
        assert!(said.contains("it is in force"), "{said}");
    }

    #[test]
    fn without_a_data_directory_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        assert!(reset(&missing, Duration::ZERO).0.unwrap_err().to_string().contains("is no data directory"));
        assert!(!missing.exists());
    }
}
