//! Where the cluster secret and the root API key are found, and how a new one is kept.

use super::error::{ConfigError, Problem};
use super::limits::ROOT_KEY_MAX_CHARS;
use super::{Config, ROOT_KEY_MIN_CHARS, SECRET_FILE_MAX_BYTES};
use crate::secret::{SECRET_MIN_BYTES, SECRETS_MAX};
use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The file in the data directory that holds the cluster secret of a node that generated its own.
pub const CLUSTER_SECRET_FILE: &str = "cluster.secret";
/// The file in the data directory that holds the root API key of a node that generated its own.
pub const ROOT_KEY_FILE: &str = "root.key";

/// The environment variable of the cluster secret; several are separated by spaces or commas.
const CLUSTER_SECRET_VARIABLE: &str = "CURFEW_CLUSTER_SECRET";
/// The environment variable of the root API key.
const ROOT_KEY_VARIABLE: &str = "CURFEW_ROOT_KEY";

/// A text that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text that must not be seen.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The secrets that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// The cluster secrets: the first wraps, all unwrap. Empty on a new node of its own, which generates one and keeps it in
    /// [`CLUSTER_SECRET_FILE`].
    pub cluster: Vec<Secret>,
    /// The root API key; `None` where the node that forms the cluster generates one and keeps it in [`ROOT_KEY_FILE`].
    pub root_key: Option<Secret>,
}

impl Config {
    /// Looks for the secrets: the environment, then the file that the settings name, then the one in the data directory. Writes nothing.
    ///
    /// # Errors
    /// A file that others may read, that is empty, too short or too large, and a cluster of several without a secret.
    pub fn secrets(&self) -> Result<Secrets, ConfigError> {
        self.secrets_with(&|name| std::env::var_os(name))
    }

    fn secrets_with(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Secrets, ConfigError> {
        let cluster = self.cluster_secrets(environment);
        let root_key = self.root_key(environment);
        match (cluster, root_key) {
            (Ok(cluster), Ok(root_key)) => Ok(Secrets { cluster, root_key }),
            (Err(first), Err(second)) => Err(ConfigError { problems: vec![first, second] }),
            (Err(problem), _) | (_, Err(problem)) => Err(ConfigError { problems: vec![problem] }),
        }
    }

    fn cluster_secrets(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Vec<Secret>, Problem> {
        let key = "cluster.secret_file";
        let Some(found) = self.find(key, environment, CLUSTER_SECRET_VARIABLE, self.cluster.secret_file.as_deref(), CLUSTER_SECRET_FILE)? else {
            if self.cluster.alone() {
                return Ok(Vec::new());
            }
            let message = format!(
                "a cluster of several needs one secret: set {CLUSTER_SECRET_VARIABLE}, or this to a file of mode 0600, the same on all nodes"
            );
            return Err(Problem { key: key.to_owned(), source: "default".to_owned(), message });
        };
        let is_between = |c: char| c.is_whitespace() || c == ',';
        let secrets: Vec<_> = found.text.reveal().split(is_between).filter(|part| !part.is_empty()).collect();
        if secrets.is_empty() || secrets.len() > SECRETS_MAX || secrets.iter().any(|secret| secret.len() < SECRET_MIN_BYTES) {
            return Err(found.refuse(key, format!("must hold 1 to {SECRETS_MAX} secrets of at least {SECRET_MIN_BYTES} characters each")));
        }
        Ok(secrets.into_iter().map(|secret| Secret(secret.to_owned())).collect())
    }

    fn root_key(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Option<Secret>, Problem> {
        let key = "cluster.root_key_file";
        let Some(found) = self.find(key, environment, ROOT_KEY_VARIABLE, self.cluster.root_key_file.as_deref(), ROOT_KEY_FILE)? else {
            return Ok(None);
        };
        let text = found.text.reveal().trim();
        if !(ROOT_KEY_MIN_CHARS..=ROOT_KEY_MAX_CHARS).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(found.refuse(key, format!("must hold {ROOT_KEY_MIN_CHARS} to {ROOT_KEY_MAX_CHARS} visible ASCII characters")));
        }
        Ok(Some(Secret(text.to_owned())))
    }

    fn find(
        &self,
        key: &str,
        environment: &dyn Fn(&str) -> Option<OsString>,
        variable: &str,
        file: Option<&Path>,
        in_data_dir: &str,
    ) -> Result<Option<Found>, Problem> {
        if let Some(value) = environment(variable) {
            let source = format!("environment variable {variable}");
            let text = value.into_string().map_err(|_| Problem { key: String::new(), source: source.clone(), message: "is not UTF-8".to_owned() })?;
            return Ok(Some(Found { text: Secret(text), source, in_environment: true }));
        }
        let (path, must_exist) = file.map_or_else(|| (self.node.data_dir.join(in_data_dir), false), |file| (file.to_owned(), true));
        let source = format!("file {}", path.display());
        match read_secret(&path) {
            Ok(text) => Ok(Some(Found { text, source, in_environment: false })),
            Err(SecretFileError::Io(error)) if !must_exist && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Problem { key: key.to_owned(), source, message: error.to_string() }),
        }
    }
}

struct Found {
    text: Secret,
    source: String,
    in_environment: bool,
}

impl Found {
    fn refuse(self, key: &str, message: String) -> Problem {
        Problem { key: if self.in_environment { String::new() } else { key.to_owned() }, source: self.source, message }
    }
}

/// Why a file of a secret is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretFileError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is open to others (mode {0:04o}): set it to 0600")]
    Open(u32),
    #[error("is not a file")]
    NotAFile,
    #[error("is larger than {SECRET_FILE_MAX_BYTES} bytes")]
    TooLarge,
    #[error("is not UTF-8")]
    NotText,
}

pub(super) fn read_secret(path: &Path) -> Result<Secret, SecretFileError> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(SecretFileError::NotAFile);
    }
    if found.mode() & 0o077 != 0 {
        return Err(SecretFileError::Open(found.mode() & 0o7777));
    }
    let mut bytes = Vec::new();
    file.take(SECRET_FILE_MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SECRET_FILE_MAX_BYTES {
        return Err(SecretFileError::TooLarge);
    }
    String::from_utf8(bytes).map(Secret).map_err(|_| SecretFileError::NotText)
}

/// Keeps a new secret in a new file, readable by its owner alone and on stable storage before this returns.
///
/// # Errors
/// The file exists already, or cannot be written.
pub fn keep_secret(path: &Path, secret: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    write_and_sync(&mut file, path, secret)
}

/// Keeps a secret in the place of one that was there, or of none: at every moment the file holds the old one or the new one.
///
/// # Errors
/// The file cannot be written; then the old one is untouched.
pub fn keep_secret_again(path: &Path, secret: &Secret) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    keep_secret(&part, secret)?;
    std::fs::rename(&part, path)?;
    sync_parent(path)
}

fn write_and_sync(file: &mut File, path: &Path, secret: &Secret) -> io::Result<()> {
    file.write_all(secret.reveal().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "fedcba9876543210fedcba9876543210";

    struct Bench {
        dir: tempfile::TempDir,
        config: Config,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let mut config = Config::default();
            config.node.data_dir = dir.path().to_owned();
            Self { dir, config }
        }

        fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
            let path = self.dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        }

        fn secrets(&self, environment: &[(&str, &str)]) -> Result<Secrets, String> {
            let look = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
            self.config.secrets_with(&look).map_err(|error| error.to_string())
        }
    }

    fn of(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret((*text).to_owned())).collect()
    }

    #[test]
    fn a_new_node_of_its_own_has_none_yet() {
        assert_eq!(Bench::new().secrets(&[]), Ok(Secrets { cluster: vec![], root_key: None }));
    }

    #[test]
    fn the_environment_wins_over_the_named_file_over_the_data_directory() {
        let mut bench = Bench::new();
        bench.file(CLUSTER_SECRET_FILE, ONE, 0o600);
        bench.file(ROOT_KEY_FILE, &format!("{ONE}\n"), 0o600);
        assert_eq!(bench.secrets(&[]), Ok(Secrets { cluster: of(&[ONE]), root_key: Some(of(&[ONE])[0].clone()) }));
        bench.config.cluster.secret_file = Some(bench.file("named", &format!("{TWO}\n{ONE}\n"), 0o400));
        assert_eq!(bench.secrets(&[]).unwrap().cluster, of(&[TWO, ONE]), "the first wraps");
        let found = bench.secrets(&[(CLUSTER_SECRET_VARIABLE, &format!("{ONE},{TWO}")), (ROOT_KEY_VARIABLE, TWO)]).unwrap();
        assert_eq!(found, Secrets { cluster: of(&[ONE, TWO]), root_key: Some(of(&[TWO])[0].clone()) });
    }

    #[test]
    fn a_cluster_of_several_needs_a_secret() {
        let mut bench = Bench::new();
        bench.config.cluster.join = vec!["127.0.0.1:7412".parse().unwrap()];
        let refusal = bench.secrets(&[]).unwrap_err();
        assert!(refusal.contains("cluster.secret_file") && refusal.contains("CURFEW_CLUSTER_SECRET"), "{refusal}");
        bench.file(CLUSTER_SECRET_FILE, ONE, 0o600);
        assert_eq!(bench.secrets(&[]).unwrap().cluster, of(&[ONE]), "a single node that grows keeps its own");
    }

    #[test]
    fn a_secret_that_is_open_short_or_missing_is_refused_and_not_shown() {
        let mut bench = Bench::new();
        for (text, mode, needle) in [(ONE, 0o644, "mode 0644"), ("short", 0o600, "at least 32"), ("", 0o600, "at least 32")] {
            bench.config.cluster.secret_file = Some(bench.file("named", text, mode));
            let refusal = bench.secrets(&[]).unwrap_err();
            assert!(refusal.contains(needle) && refusal.contains("named"), "{refusal}");
            assert!(text.is_empty() || !refusal.contains(text), "{refusal}");
        }
        bench.config.cluster.secret_file = Some(PathBuf::from("/nowhere/secret"));
        assert!(bench.secrets(&[]).unwrap_err().contains("/nowhere/secret"));
        let refusal = bench.secrets(&[(CLUSTER_SECRET_VARIABLE, ONE), (ROOT_KEY_VARIABLE, "tiny-but-secret")]).unwrap_err();
        assert!(refusal.contains("CURFEW_ROOT_KEY") && !refusal.contains("tiny"), "{refusal}");
        assert_eq!(format!("{:?}", of(&[ONE])), "[Secret(..)]");
    }

    #[test]
    fn a_kept_secret_is_its_owners_and_is_never_overwritten_by_mistake() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ROOT_KEY_FILE);
        keep_secret(&path, &of(&[ONE])[0]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keep_secret(&path, &of(&[TWO])[0]).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        keep_secret_again(&path, &of(&[TWO])[0]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{TWO}\n"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
