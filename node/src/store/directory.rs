//! The data directory: its lock, its header, its identity, and how it comes into being.
//!
//! ```text
//! LOCK        held by the process that works here
//! FORMAT      curfew-store / format 1 / store <uuid>; written last, so that it says: complete
//! cluster     the cluster id, eight hexadecimal digits, once there is one
//! marker      what this disk has promised (marker.rs)
//! log/ tables/  two sled databases
//! snapshots/  <index>.snap
//! ballast     room to give back (space.rs)
//! ```
//! While a store is made, its header stands in `FORMAT.part`. A directory with that and without `FORMAT` was never used, and is made anew.

use super::database::Database;
use super::disk;
use super::error::OpenError;
use super::marker::Marker;
use super::settings::Settings;
use crate::domain::{ClusterId, StoreUuid};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::info;

/// The format of everything below the data directory.
const FORMAT_VERSION: u16 = 1;
const MAGIC_LINE: &str = "curfew-store";
/// What a directory may hold before its store is made: secrets that were put there first, and what every ext4 file system has at its root.
const NEIGHBOURS: [&str; 3] = [".key", ".secret", "lost+found"];
/// All that the making of a store leaves behind when it is interrupted.
const OWN: [&str; 8] = ["LOCK", "FORMAT.part", "marker", "marker.part", "log", "tables", "snapshots", "ballast"];
/// What there is besides once it is made.
const OWN_WHEN_MADE: [&str; 3] = ["FORMAT", "cluster", "cluster.part"];

/// A locked data directory. Whoever works in it holds a clone.
#[derive(Clone)]
pub(super) struct Directory(Arc<Locked>);

struct Locked {
    path: PathBuf,
    _lock: File,
}

/// What `Directory::open` found or made.
pub(super) struct Found {
    pub(super) directory: Directory,
    pub(super) store: StoreUuid,
    /// Whether the store was there before.
    pub(super) resumed: bool,
}

impl Directory {
    /// Locks the data directory, and makes a store in it when it is empty.
    pub(super) fn open(settings: &Settings, fresh: StoreUuid) -> Result<Found, OpenError> {
        let path = &settings.data_dir;
        make_private_dir(path)?;
        refuse_shared(path)?;
        refuse_foreign(path)?;
        let directory = Self(Arc::new(Locked { path: path.clone(), _lock: lock(path)? }));
        let found = read_format(&directory.format())?;
        directory.make_private()?;
        match found {
            Some(store) => Ok(Found { directory, store, resumed: true }),
            None => {
                directory.create(settings, fresh)?;
                Ok(Found { directory, store: fresh, resumed: false })
            }
        }
    }

    fn create(&self, settings: &Settings, store: StoreUuid) -> Result<(), OpenError> {
        let format = self.format();
        let part = disk::part_of(&format);
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::failed("create", &path, error)
        };
        disk::write_synced(&part, format_text(store).as_bytes()).and_then(|()| disk::sync_parent(&part)).map_err(at(&part))?;
        for dir in [self.log(), self.tables(), self.snapshots()] {
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&dir)(error)),
                _ => {}
            }
        }
        Database::create(&self.log(), settings.log_cache_bytes, store)?;
        Database::create(&self.tables(), settings.tables_cache_bytes, store)?;
        DirBuilder::new().mode(0o700).create(self.snapshots()).map_err(at(&self.snapshots()))?;
        Marker::create(self.marker(), store).map_err(at(&self.marker()))?;
        disk::rename(&part, &format).map_err(at(&format))
    }

    /// Closes the directory, which is known to be ours, and what the store has made in it to everybody else.
    fn make_private(&self) -> Result<(), OpenError> {
        let path = self.path();
        let failed = |error| OpenError::failed("make private", path, error);
        let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)?;
            info!(path = %path.display(), mode = %format_args!("{mode:03o}"), "the data directory was open to others, and is closed to them now");
        }
        OWN.iter().chain(&OWN_WHEN_MADE).try_for_each(|name| disk::make_private(&path.join(name))).map_err(failed)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    fn format(&self) -> PathBuf {
        self.path().join("FORMAT")
    }

    fn cluster(&self) -> PathBuf {
        self.path().join("cluster")
    }

    pub(super) fn marker(&self) -> PathBuf {
        self.path().join("marker")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path().join("log")
    }

    pub(super) fn tables(&self) -> PathBuf {
        self.path().join("tables")
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        self.path().join("snapshots")
    }
}

/// Who this disk is: the store's own uuid, and the cluster that it belongs to.
#[derive(Clone)]
pub struct Identity(Arc<Known>);

struct Known {
    directory: Directory,
    store: StoreUuid,
    cluster: Mutex<Option<ClusterId>>,
}

impl Identity {
    pub(super) fn open(directory: Directory, store: StoreUuid) -> Result<Self, OpenError> {
        let path = directory.cluster();
        let cluster = match fs::read_to_string(&path) {
            Ok(text) => {
                let id = text.trim_end_matches('\n').parse();
                Some(id.map_err(|_| OpenError::damaged(&path, "it holds no cluster id"))?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(OpenError::failed("read", &path, error)),
        };
        Ok(Self(Arc::new(Known { directory, store, cluster: Mutex::new(cluster) })))
    }

    /// The random identity of this disk, drawn when the store was made.
    #[must_use]
    pub fn store_uuid(&self) -> StoreUuid {
        self.0.store
    }

    /// The cluster that this disk belongs to, once it has formed one or joined one.
    #[must_use]
    pub fn cluster_id(&self) -> Option<ClusterId> {
        *self.0.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the cluster's id down, durably, once and for ever. Blocking.
    ///
    /// # Errors
    /// `AlreadyExists` when the disk belongs to another cluster; else what the file system says.
    pub fn set_cluster_id(&self, id: ClusterId) -> io::Result<()> {
        let mut known = self.0.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some(own) if own == id => Ok(()),
            Some(own) => Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("this data directory belongs to the cluster {own}, not to {id}"))),
            None => {
                disk::replace(&self.0.directory.cluster(), format!("{id}\n").as_bytes())?;
                *known = Some(id);
                Ok(())
            }
        }
    }
}

fn make_private_dir(path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::failed("create", path, error);
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    DirBuilder::new().mode(0o700).create(path).map_err(failed)?;
    disk::sync_parent(path).map_err(failed)
}

fn refuse_shared(path: &Path) -> Result<(), OpenError> {
    let meta = fs::metadata(path).map_err(|error| OpenError::failed("look at", path, error))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o022 == 0 { Ok(()) } else { Err(OpenError::Permissions { path: path.to_owned(), mode }) }
}

/// A directory without a header may hold only what a store that was never finished leaves behind, and its neighbours.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::failed("read", path, error);
    if path.join("FORMAT").exists() {
        return Ok(());
    }
    let unfinished = path.join("FORMAT.part").exists();
    for entry in fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_string_lossy();
        let neighbour = NEIGHBOURS.iter().any(|end| name.ends_with(end));
        let own = name == "LOCK" || (unfinished && OWN.contains(&&*name));
        if !neighbour && !own {
            return Err(OpenError::Foreign(path.to_owned()));
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let name = path.join("LOCK");
    let file = disk::private().create(true).truncate(false).open(&name).map_err(|error| OpenError::failed("open", &name, error))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked(path.to_owned())),
        Err(error) => Err(OpenError::failed("lock", &name, error.into())),
    }
}

fn format_text(store: StoreUuid) -> String {
    format!("{MAGIC_LINE}\nformat {FORMAT_VERSION}\nstore {store}\n")
}

/// The store's uuid from its header; `None` when there is no header.
fn read_format(path: &Path) -> Result<Option<StoreUuid>, OpenError> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::failed("read", path, error)),
    };
    let mut lines = text.lines();
    if lines.next() != Some(MAGIC_LINE) {
        return Err(OpenError::Foreign(path.parent().unwrap_or(path).to_owned()));
    }
    let found = lines.next().and_then(|line| line.strip_prefix("format ")).unwrap_or_default().to_owned();
    if found != FORMAT_VERSION.to_string() {
        return Err(OpenError::UnknownFormat { path: path.to_owned(), found, known: FORMAT_VERSION });
    }
    let store = lines.next().and_then(|line| line.strip_prefix("store ")).and_then(|uuid| uuid.parse().ok());
    match (store, lines.next()) {
        (Some(store), None) => Ok(Some(store)),
        _ => Err(OpenError::damaged(path, "it names no store uuid")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreUuid = StoreUuid([0xab; 16]);

    fn settings(dir: &Path) -> Settings {
        Settings { data_dir: dir.join("data"), ballast_bytes: 0, ..Settings::default() }
    }

    #[test]
    fn a_store_is_made_once_in_a_private_directory_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let made = Directory::open(&settings, STORE).unwrap();
        assert!(!made.resumed);
        assert_eq!(fs::metadata(&settings.data_dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(
            fs::read_to_string(settings.data_dir.join("FORMAT")).unwrap(),
            "curfew-store\nformat 1\nstore abababab-abab-abab-abab-abababababab\n"
        );
        drop(made);
        let found = Directory::open(&settings, StoreUuid([1; 16])).unwrap();
        assert!(found.resumed);
        assert_eq!(found.store, STORE);
    }

    #[test]
    fn a_second_process_is_told_to_go_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let held = Directory::open(&settings, STORE).unwrap();
        assert!(matches!(Directory::open(&settings, STORE), Err(OpenError::Locked(_))));
        drop(held);
        assert!(Directory::open(&settings, STORE).is_ok());
    }

    #[test]
    fn a_foreign_directory_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        fs::create_dir(&settings.data_dir).unwrap();
        fs::write(settings.data_dir.join("thesis.txt"), "years of work").unwrap();
        let Err(refused) = Directory::open(&settings, STORE) else { panic!("a foreign directory was taken") };
        assert!(matches!(refused, OpenError::Foreign(_)), "{refused}");
        assert!(refused.to_string().contains("choose an empty directory"), "{refused}");
        assert_eq!(fs::read_dir(&settings.data_dir).unwrap().count(), 1);
    }

    #[test]
    fn secrets_may_be_there_before_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        fs::create_dir(&settings.data_dir).unwrap();
        fs::write(settings.data_dir.join("root.key"), "key").unwrap();
        fs::write(settings.data_dir.join("cluster.secret"), "secret").unwrap();
        assert!(!Directory::open(&settings, STORE).unwrap().resumed);
    }

    #[test]
    fn an_unknown_format_is_named_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        drop(Directory::open(&settings, STORE).unwrap());
        let header = settings.data_dir.join("FORMAT");
        for (text, part) in [
            ("curfew-store\nformat 7\nanything\n", "\"7\""),
            ("something else\n", "no curfew data directory"),
            ("", "no curfew data directory"),
            ("curfew-store\nformat 1\nstore nobody\n", "no store uuid"),
        ] {
            fs::write(&header, text).unwrap();
            let Err(refused) = Directory::open(&settings, STORE) else { panic!("{text:?} was taken for a header") };
            assert!(refused.to_string().contains(part), "{text:?} gave: {refused}");
            assert_eq!(fs::read_to_string(&header).unwrap(), text);
        }
    }

    #[test]
    fn a_store_that_was_never_finished_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        drop(Directory::open(&settings, STORE).unwrap());
        fs::rename(settings.data_dir.join("FORMAT"), settings.data_dir.join("FORMAT.part")).unwrap();
        fs::remove_file(settings.data_dir.join("log/conf")).unwrap();
        let again = Directory::open(&settings, StoreUuid([2; 16])).unwrap();
        assert!(!again.resumed);
        assert_eq!(again.store, StoreUuid([2; 16]));
    }

    #[test]
    fn a_store_without_its_header_is_not_taken_for_an_unfinished_one() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        drop(Directory::open(&settings, STORE).unwrap());
        fs::remove_file(settings.data_dir.join("FORMAT")).unwrap();
        assert!(matches!(Directory::open(&settings, STORE), Err(OpenError::Foreign(_))));
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        fs::create_dir(&settings.data_dir).unwrap();
        fs::set_permissions(&settings.data_dir, fs::Permissions::from_mode(0o770)).unwrap();
        let Err(refused) = Directory::open(&settings, STORE) else { panic!("a shared directory was taken") };
        assert!(refused.to_string().contains("770"), "{refused}");
    }

    #[test]
    fn a_disk_belongs_to_one_cluster_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(dir.path());
        let open = || {
            let found = Directory::open(&settings, STORE).unwrap();
            Identity::open(found.directory, found.store)
        };
        let identity = open().unwrap();
        assert_eq!(identity.cluster_id(), None);
        identity.set_cluster_id(ClusterId(0x7f3a_c210)).unwrap();
        identity.set_cluster_id(ClusterId(0x7f3a_c210)).unwrap();
        assert_eq!(identity.set_cluster_id(ClusterId(1)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        drop(identity);
        assert_eq!(open().unwrap().cluster_id(), Some(ClusterId(0x7f3a_c210)));
        fs::write(settings.data_dir.join("cluster"), "7f3ac21").unwrap();
        assert!(matches!(open(), Err(OpenError::Damaged { .. })));
    }
}
