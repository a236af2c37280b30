//! Snapshots on disk: one file each, complete or not there, the newest two kept.
//!
//! A file is written beside, synced, renamed and its folder synced. One that does not read is never
//! passed over: the state would silently be older than what the log was purged for.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;
use wardmesh_common::offload;

use super::types::{LeaderId, LogId, Snapshot, SnapshotMeta};
use super::{REPLACE, folder};

mod format;
mod incoming;
#[cfg(test)]
mod tests;

pub use incoming::Incoming;

use incoming::Partial;

/// Snapshots that are kept: the newest, and the one before in case the newest is lost.
const KEPT: usize = 2;
/// What a complete snapshot's name ends with.
const COMPLETE: &str = "snapshot";
/// What an incomplete one's name ends with.
const PARTIAL: &str = "partial";

/// A complete, verified snapshot file, open for reading: it stays readable when a later snapshot
/// replaces it.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    path: PathBuf,
    file: Arc<File>,
    length: u64,
    /// Until it is kept, it goes away with its last clone.
    partial: Option<Arc<Partial>>,
}

impl SnapshotFile {
    /// Bytes in it.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where it lies; it may be gone from there.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads at an offset and keeps no position (`pread`); 0 bytes at the end. Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    /// Its last four bytes: a checksum that goes on over all of it and so tells it from every other.
    /// Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub fn sum(&self) -> io::Result<u32> {
        let mut sum = [0; 4];
        self.file.read_exact_at(&mut sum, self.length.saturating_sub(4))?;
        Ok(u32::from_le_bytes(sum))
    }

    /// The crc32c of its first `length` bytes. Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub fn checksum(&self, length: u64) -> io::Result<u32> {
        incoming::checksum(&mut Positioned { file: Arc::clone(&self.file), offset: 0 }, length)
    }

    /// The state in it, checked block by block as it is read. Blocking.
    ///
    /// # Errors
    /// The disk's; later `InvalidData` with file and offset where it is damaged.
    pub fn state(&self) -> io::Result<impl Read + use<>> {
        let (_, reader) = self.begin()?;
        Ok(reader)
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// `InvalidData` with file, offset and the way out where it is damaged; what else keeps it from
    /// being read now is none.
    pub async fn check(&self) -> io::Result<()> {
        let file = self.clone();
        let read = offload::run(move || io::copy(&mut file.state()?, &mut io::sink())).await;
        match read.flatten() {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(io::Error::new(error.kind(), format!("{error}; {REPLACE}")))
            }
            _ => Ok(()),
        }
    }

    fn begin(&self) -> io::Result<(SnapshotMeta, Named<format::Reader<BufReader<Positioned>>>)> {
        let positioned = Positioned { file: Arc::clone(&self.file), offset: 0 };
        let begun = format::Reader::begin(BufReader::new(positioned));
        let (meta, reader) = begun.map_err(|error| name(&self.path, error))?;
        Ok((meta, Named { path: self.path.clone(), reader }))
    }

    /// Opens a file and reads all of it.
    fn verified(path: PathBuf, partial: Option<Arc<Partial>>) -> io::Result<Snapshot> {
        let file = File::open(&path).map_err(|error| name(&path, error))?;
        let length = file.metadata()?.len();
        let snapshot = Self { path, file: Arc::new(file), length, partial };
        let (meta, mut reader) = snapshot.begin()?;
        io::copy(&mut reader, &mut io::sink())?;
        Ok(Snapshot { meta, snapshot })
    }
}

/// Reads a shared file from its own position.
struct Positioned {
    file: Arc<File>,
    offset: u64,
}

impl Read for Positioned {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(out, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Names the file in what goes wrong.
struct Named<R> {
    path: PathBuf,
    reader: R,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.reader.read(out).map_err(|error| name(&self.path, error))
    }
}

fn name(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("snapshot {}: {error}", path.display()))
}

/// The folder of snapshots.
#[derive(Debug)]
pub struct Snapshots {
    folder: PathBuf,
    current: Mutex<Option<Snapshot>>,
    drafts: AtomicU64,
}

impl Snapshots {
    /// Opens the folder, which is made if it is missing, removes what was never finished, also what was
    /// received of a snapshot that is no newer than one that is here, and reads all of the newest.
    /// Blocking.
    ///
    /// # Errors
    /// The disk's; `InvalidData` with file and offset if the newest is damaged; `Unsupported` if a
    /// newer version wrote it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        folder::make(folder)?;
        for path in incoming::unfinished(folder)? {
            tracing::info!(file = %path.display(), "removing a snapshot that was never finished");
            fs::remove_file(&path).map_err(|error| name(&path, error))?;
        }
        let newest = complete(folder)?.pop();
        let newest = newest.map(|(_, path)| SnapshotFile::verified(path, None)).transpose();
        let newest = newest.map_err(|error| {
            match error.kind() {
                // Another build's: nothing is lost.
                io::ErrorKind::Unsupported => error,
                kind => io::Error::new(kind, format!("{error}; {REPLACE}")),
            }
        })?;
        let reached = newest.as_ref().and_then(|newest| newest.meta.last_log_id);
        for path in incoming::overtaken(folder, reached.as_ref())? {
            tracing::info!(file = %path.display(), "removing a received snapshot that is too old");
            fs::remove_file(&path).map_err(|error| name(&path, error))?;
        }
        let folder = folder.to_owned();
        Ok(Self { folder, current: Mutex::new(newest), drafts: AtomicU64::new(0) })
    }

    /// The newest snapshot.
    #[must_use]
    pub fn current(&self) -> Option<Snapshot> {
        self.current.lock().clone()
    }

    /// Makes a received snapshot the current one and removes the oldest. Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(&self, meta: &SnapshotMeta, mut file: SnapshotFile) -> io::Result<Snapshot> {
        let path = self.folder.join(format!("{}.{COMPLETE}", stem(meta.last_log_id.as_ref())));
        let partial = file.partial.take();
        if partial.is_some() {
            fs::rename(&file.path, &path).map_err(|error| name(&path, error))?;
            file.path = path;
        }
        let snapshot = Snapshot { meta: meta.clone(), snapshot: file };
        let mut current = self.current.lock();
        // One that was being written while a newer one came in stays behind it.
        if current.as_ref().is_none_or(|c| c.meta.last_log_id <= meta.last_log_id) {
            *current = Some(snapshot.clone());
        }
        let mut complete = complete(&self.folder)?;
        complete.truncate(complete.len().saturating_sub(KEPT));
        for (_, path) in complete {
            fs::remove_file(&path).map_err(|error| name(&path, error))?;
        }
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| name(&self.folder, error))?;
        Ok(snapshot)
    }
}

/// What names a snapshot: term, node and index of its last entry.
fn stem(last: Option<&LogId>) -> String {
    match last {
        Some(LogId { leader_id: LeaderId { term, node_id }, index }) => {
            format!("{term}-{node_id}-{index}")
        }
        None => "empty".to_owned(),
    }
}

/// The last entry that a snapshot's name tells; `None` if it is no name of ours.
fn parse_name(stem: &str) -> Option<Option<LogId>> {
    if stem == "empty" {
        return Some(None);
    }
    let mut numbers = stem.split('-').map(|number| number.parse().ok());
    let (term, node_id, index) = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then(|| Some(LogId::new(LeaderId { term, node_id }, index)))
}

fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| name(folder, error))? {
        let path = entry.map_err(|error| name(folder, error))?.path();
        if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The complete snapshots, the newest last.
fn complete(folder: &Path) -> io::Result<Vec<(Option<LogId>, PathBuf)>> {
    let named = files(folder, COMPLETE)?.into_iter().filter_map(|path| {
        let last = parse_name(path.file_stem()?.to_str()?)?;
        Some((last, path))
    });
    let mut found = named.collect::<Vec<_>>();
    found.sort();
    Ok(found)
}
