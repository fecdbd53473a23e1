//! A snapshot as a file: written once, read back before it is trusted, then never changed.
//!
//! ```text
//! "CURFSNAP"  version u16  header length u32  crc32c u32 of version, length and header  header (row.rs, SnapshotMeta)
//! per row:    key length u16  value length u32  crc32c u32 of lengths, key and value  key  value
//! trailer:    row count u64  crc32c u32 of the header and all that follows it up to here
//! ```

use super::super::entry::LogPos;
use super::super::error::StoreError;
use super::super::fields::Fields;
use super::super::row::{MEMBERSHIP_BYTES_MAX, ROW_BYTES_MAX, ROW_KEY_BYTES_MAX, SnapshotMeta, check_sizes};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"CURFSNAP";
const VERSION: u16 = 1;
const PREFIX_LEN: usize = 18;
const ROW_PREFIX_LEN: usize = 10;
const TRAILER_LEN: usize = 12;
/// The longest header: a membership and what stands before it.
const HEADER_BYTES_MAX: usize = MEMBERSHIP_BYTES_MAX + 1024;
/// The most bytes that `read_chunk` answers with.
const CHUNK_BYTES_MAX: usize = 16 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// A snapshot file that can be read, whatever happens to its name meanwhile.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    path: PathBuf,
    meta: SnapshotMeta,
    len: u64,
    file: Arc<File>,
}

impl SnapshotFile {
    /// Opens a file whose header and length are right. `verify` looks at all of it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::failed("open the snapshot", path, error);
        let file = Arc::new(File::open(path).map_err(failed)?);
        let len = file.metadata().map_err(failed)?.len();
        let (meta, _) = read_header(&mut At { file: Arc::clone(&file), offset: 0 }).map_err(|error| read_error(path, error))?;
        let opened = Self { path: path.to_owned(), meta, len, file };
        let trailer = opened.read_chunk(len.saturating_sub(TRAILER_LEN as u64), TRAILER_LEN)?;
        if Fields(&trailer).u64() == Some(opened.meta.rows) { Ok(opened) } else { Err(StoreError::damaged(path, "the snapshot is cut off")) }
    }

    /// Reads all of it and checks every checksum. Blocking.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.rows().try_for_each(|row| row.map(|_| ()))
    }

    /// What it says of itself.
    #[must_use]
    pub fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Up to `max` bytes from `offset` on, at most 16 MiB; fewer only at the end. Blocking.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_chunk(&self, offset: u64, max: usize) -> Result<Vec<u8>, StoreError> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut chunk = vec![0; left.min(max).min(CHUNK_BYTES_MAX)];
        self.file.read_exact_at(&mut chunk, offset).map_err(|error| read_error(&self.path, error))?;
        Ok(chunk)
    }

    /// Its rows in key order, each checked; a wrong ending is an error after the last row. Blocking.
    #[must_use]
    pub fn rows(&self) -> SnapshotRows {
        let reader = BufReader::with_capacity(BUFFER_BYTES, At { file: Arc::clone(&self.file), offset: 0 });
        SnapshotRows { path: self.path.clone(), reader, step: Step::Header }
    }

    /// Whether a log that was purged up to `purged` goes on from it.
    pub(super) fn reaches(&self, purged: Option<LogPos>) -> bool {
        self.meta.last.map(|last| last.index) >= purged.map(|purged| purged.index)
    }

    pub(super) fn named(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }
}

/// Writes a snapshot to `file` and syncs it; the number of rows in `meta` is the number that came.
pub(super) fn write(file: File, path: &Path, mut meta: SnapshotMeta, rows: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<(), StoreError> {
    let failed = |error| StoreError::failed("write the snapshot", path, error);
    if meta.membership.len() > MEMBERSHIP_BYTES_MAX {
        return Err(StoreError::Refused("a membership is larger than 16 KiB"));
    }
    meta.rows = 0;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
    out.write_all(&header(&meta)).map_err(failed)?;
    let (mut crc, mut len) = (0, 0);
    for (key, value) in rows {
        check_sizes(&key, &value)?;
        let prefix = row_prefix(&key, &value);
        for piece in [&prefix[..], &key, &value] {
            out.write_all(piece).map_err(failed)?;
            crc = crc32c::crc32c_append(crc, piece);
            len += piece.len();
        }
        meta.rows += 1;
    }
    let crc = crc32c::crc32c_combine(crc32c::crc32c(&meta.encode()), crc, len);
    let trailer = [&meta.rows.to_be_bytes()[..], &crc.to_be_bytes()].concat();
    out.write_all(&trailer).map_err(failed)?;
    // The header has the same length with every number of rows.
    out.seek(SeekFrom::Start(0)).map_err(failed)?;
    out.write_all(&header(&meta)).map_err(failed)?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)
}

fn header(meta: &SnapshotMeta) -> Vec<u8> {
    let body = meta.encode();
    let len = u32::try_from(body.len()).expect("a membership of at most 16 KiB was checked before");
    let guarded = [&VERSION.to_be_bytes()[..], &len.to_be_bytes()].concat();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&guarded), &body);
    [&MAGIC[..], &guarded, &crc.to_be_bytes(), &body].concat()
}

fn row_prefix(key: &[u8], value: &[u8]) -> [u8; ROW_PREFIX_LEN] {
    let key_len = u16::try_from(key.len()).expect("a key of at most 256 bytes was checked before");
    let value_len = u32::try_from(value.len()).expect("a value of at most 16 MiB was checked before");
    let mut prefix = [0; ROW_PREFIX_LEN];
    prefix[..2].copy_from_slice(&key_len.to_be_bytes());
    prefix[2..6].copy_from_slice(&value_len.to_be_bytes());
    let crc = [key, value].into_iter().fold(crc32c::crc32c(&prefix[..6]), crc32c::crc32c_append);
    prefix[6..].copy_from_slice(&crc.to_be_bytes());
    prefix
}

/// The rows of a snapshot file, as they are read.
pub struct SnapshotRows {
    path: PathBuf,
    reader: BufReader<At>,
    step: Step,
}

enum Step {
    Header,
    Rows { left: u64, count: u64, crc: u32 },
    Over,
}

impl Iterator for SnapshotRows {
    type Item = Result<(Vec<u8>, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().map_err(|error| read_error(&self.path, error)).transpose();
        if !matches!(next, Some(Ok(_))) {
            self.step = Step::Over;
        }
        next
    }
}

impl SnapshotRows {
    fn advance(&mut self) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        if matches!(self.step, Step::Header) {
            let (meta, crc) = read_header(&mut self.reader)?;
            self.step = Step::Rows { left: meta.rows, count: meta.rows, crc };
        }
        match &mut self.step {
            Step::Rows { left: 0, count, crc } => read_trailer(&mut self.reader, *count, *crc).map(|()| None),
            Step::Rows { left, crc, .. } => {
                *left -= 1;
                read_row(&mut self.reader, crc).map(Some)
            }
            Step::Header | Step::Over => Ok(None),
        }
    }
}

fn read_header(reader: &mut impl Read) -> io::Result<(SnapshotMeta, u32)> {
    let mut prefix = [0; PREFIX_LEN];
    reader.read_exact(&mut prefix)?;
    let mut fields = Fields(&prefix);
    let (magic, version, len, crc) = (fields.array::<8>(), fields.u16(), fields.u32(), fields.u32());
    if magic.as_ref() != Some(MAGIC) {
        return Err(wrong("it is no snapshot of curfew"));
    }
    if version != Some(VERSION) {
        return Err(wrong("it is a snapshot of another version of curfew, or damaged"));
    }
    let len = len.and_then(|len| usize::try_from(len).ok()).filter(|len| *len <= HEADER_BYTES_MAX).ok_or_else(|| wrong("its header is too long"))?;
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    if crc != Some(crc32c::crc32c_append(crc32c::crc32c(&prefix[8..14]), &body)) {
        return Err(wrong("its header has a wrong checksum"));
    }
    let meta = SnapshotMeta::decode(&body).ok_or_else(|| wrong("its header has a wrong layout"))?;
    Ok((meta, crc32c::crc32c(&body)))
}

fn read_row(reader: &mut impl Read, crc: &mut u32) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut prefix = [0; ROW_PREFIX_LEN];
    reader.read_exact(&mut prefix)?;
    let mut fields = Fields(&prefix);
    let lens = fields.u16().map(usize::from).zip(fields.u32().and_then(|len| usize::try_from(len).ok()));
    let (key_len, value_len) =
        lens.filter(|(key, value)| *key <= ROW_KEY_BYTES_MAX && *value <= ROW_BYTES_MAX).ok_or_else(|| wrong("a row is too long"))?;
    let (mut key, mut value) = (vec![0; key_len], vec![0; value_len]);
    reader.read_exact(&mut key)?;
    reader.read_exact(&mut value)?;
    if prefix != row_prefix(&key, &value) {
        return Err(wrong("a row has a wrong checksum"));
    }
    *crc = [&prefix[..], &key, &value].into_iter().fold(*crc, crc32c::crc32c_append);
    Ok((key, value))
}

fn read_trailer(reader: &mut impl Read, count: u64, crc: u32) -> io::Result<()> {
    let mut trailer = [0; TRAILER_LEN];
    reader.read_exact(&mut trailer)?;
    let mut fields = Fields(&trailer);
    if fields.u64() != Some(count) || fields.u32() != Some(crc) {
        return Err(wrong("its ending does not fit its rows"));
    }
    if reader.read(&mut [0])? > 0 {
        return Err(wrong("it goes on after its end"));
    }
    Ok(())
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn read_error(path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::InvalidData => StoreError::damaged(path, error.to_string()),
        io::ErrorKind::UnexpectedEof => StoreError::damaged(path, "the snapshot is cut off"),
        _ => StoreError::failed("read the snapshot", path, error),
    }
}

/// A reader with a place of its own in a file that others read too.
struct At {
    file: Arc<File>,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buf, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fields::hex;
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn meta() -> SnapshotMeta {
        let last = Some(LogPos { term: 2, index: 77 });
        SnapshotMeta { last, membership: Bytes::from_static(b"members"), membership_at: last, rows: 0 }
    }

    fn written(rows: &[(Vec<u8>, Vec<u8>)]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        write(File::create(&path).unwrap(), &path, meta(), rows.iter().cloned()).unwrap();
        (dir, path)
    }

    fn verify(path: &Path) -> Result<(), StoreError> {
        SnapshotFile::open(path).and_then(|file| file.verify())
    }

    #[test]
    fn the_bytes_of_a_snapshot_are_a_promise() {
        let (_dir, path) = written(&[(b"s1".to_vec(), b"one".to_vec())]);
        assert_eq!(
            hex(&std::fs::read(path).unwrap()),
            "43555246534e4150000100000031b4006e33010000000000000002000000000000004d010000000000000002000000000000004d00000000000000016d656d626572730002000000034f31ecda73316f6e65000000000000000171baab46"
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (_dir, path) = written(&[(b"s1".to_vec(), b"one".to_vec()), (b"s2".to_vec(), Vec::new())]);
        let good = std::fs::read(&path).unwrap();
        verify(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bad).unwrap();
            assert!(verify(&path).is_err(), "the flipped bit {bit} went unnoticed");
        }
        for len in 0..good.len() {
            std::fs::write(&path, &good[..len]).unwrap();
            assert!(verify(&path).is_err(), "a cut at {len} went unnoticed");
        }
        std::fs::write(&path, [&good[..], b"x"].concat()).unwrap();
        assert!(verify(&path).is_err(), "an appended byte went unnoticed");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn rows_come_back_and_chunks_make_up_the_file(
            rows in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..300)), 0..20),
            max in 1..100_usize,
        ) {
            let (_dir, path) = written(&rows);
            let file = SnapshotFile::open(&path).unwrap();
            prop_assert_eq!(file.meta(), &SnapshotMeta { rows: rows.len() as u64, ..meta() });
            let read: Result<Vec<_>, _> = file.rows().collect();
            prop_assert_eq!(read.unwrap(), rows);
            let mut bytes = Vec::new();
            while (bytes.len() as u64) < file.len() {
                bytes.extend(file.read_chunk(bytes.len() as u64, max).unwrap());
            }
            prop_assert!(file.read_chunk(file.len() + 5, max).unwrap().is_empty());
            prop_assert_eq!(bytes, std::fs::read(&path).unwrap());
        }

        #[test]
        fn no_bytes_make_reading_panic(tail: Vec<u8>) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("s");
            std::fs::write(&path, [&MAGIC[..], &VERSION.to_be_bytes(), &tail].concat()).unwrap();
            prop_assert!(verify(&path).is_err());
        }
    }
}
