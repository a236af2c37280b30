//! Snapshots that are not whole yet: being written here, or on their way from another node.
//!
//! What breaks off on its way is set aside under the snapshot's name, also over a restart, and gone on
//! with when the same snapshot is offered again. None is used before all of it was read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{PARTIAL, SnapshotFile, Snapshots, files, format, parse_name, stem};
use crate::raft::rpc::SnapshotName;
use crate::raft::state_machine::Frozen;
use crate::raft::types::{LogId, Snapshot, SnapshotMeta};

/// What the name of one begins with that comes from another node.
const RECEIVED: &str = "received-";

/// Bytes that a checksum is taken over at once.
const READ_LENGTH: usize = 1 << 18;

/// A file that is removed when it is let go of, unless it was set aside.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    kept: AtomicBool,
}

impl Partial {
    fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, kept: AtomicBool::new(false) })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if *self.kept.get_mut() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.path.display(), %error, "a partial snapshot stays behind");
        }
    }
}

/// A snapshot that is being received; dropped before it is finished or set aside, it is removed.
#[derive(Debug)]
pub struct Incoming {
    file: File,
    partial: Arc<Partial>,
}

impl Incoming {
    fn create(path: PathBuf) -> io::Result<Self> {
        let opened = OpenOptions::new().write(true).create(true).truncate(true).open(&path);
        let file = opened.map_err(|error| super::name(&path, error))?;
        Ok(Self { file, partial: Partial::new(path) })
    }

    /// Syncs it and reads all of it. Blocking.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` with file and offset if it was damaged on the way.
    pub fn finish(self) -> io::Result<Snapshot> {
        self.file.sync_all().map_err(|error| super::name(&self.partial.path, error))?;
        SnapshotFile::verified(self.partial.path.clone(), Some(self.partial))
    }

    /// Keeps what there is of it until the same snapshot is offered again, or another.
    pub fn set_aside(self) {
        self.partial.kept.store(true, Ordering::Release);
    }
}

impl Write for Incoming {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Snapshots {
    /// Writes a state down and keeps it. Blocking.
    ///
    /// # Errors
    /// The disk's; then nothing has changed.
    pub fn write(&self, meta: &SnapshotMeta, state: &dyn Frozen) -> io::Result<Snapshot> {
        let draft = self.drafts.fetch_add(1, Ordering::Relaxed);
        let mut incoming = Incoming::create(self.folder.join(format!("{draft}.{PARTIAL}")))?;
        let out = BufWriter::with_capacity(1 << 18, &mut incoming.file);
        let mut writer = format::Writer::begin(out, meta)?;
        state.write(&mut writer)?;
        writer.finish()?.flush()?;
        let snapshot = incoming.finish()?;
        self.keep(meta, snapshot.snapshot)
    }

    /// How many bytes are here of a snapshot that did not get through, and their crc32c. Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub fn held(&self, name: &SnapshotName) -> io::Result<(u64, u32)> {
        let path = self.received_path(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, 0)),
            Err(error) => return Err(super::name(&path, error)),
        };
        let length = file.metadata()?.len().min(name.length);
        Ok((length, checksum(&mut file, length)?))
    }

    /// A file for a snapshot that comes from another node; its first `offset` bytes are those that
    /// were set aside. What was set aside of other snapshots is removed. Blocking.
    ///
    /// # Errors
    /// The disk's; `InvalidInput` where fewer bytes are here.
    pub fn receive(&self, name: &SnapshotName, offset: u64) -> io::Result<Incoming> {
        let path = self.received_path(name);
        for other in files(&self.folder, PARTIAL)? {
            if is_received(&other) && other != path {
                fs::remove_file(&other).map_err(|error| super::name(&other, error))?;
            }
        }
        if offset == 0 {
            return Incoming::create(path);
        }
        let mut file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|error| super::name(&path, error))?;
        let held = file.metadata()?.len();
        if held < offset {
            let why = format!("{held} bytes of the snapshot are here, not {offset}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        file.set_len(offset)?;
        io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
        Ok(Incoming { file, partial: Partial::new(path) })
    }

    pub(super) fn received_path(&self, name: &SnapshotName) -> PathBuf {
        let SnapshotName { last, length, sum } = name;
        let stem = stem(last.as_ref());
        self.folder.join(format!("{RECEIVED}{stem}-{length}-{sum:08x}.{PARTIAL}"))
    }
}

fn is_received(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(RECEIVED))
}

/// What an earlier life of this node was writing and nobody goes on with.
pub(super) fn unfinished(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut partial = files(folder, PARTIAL)?;
    partial.retain(|path| !is_received(path));
    Ok(partial)
}

/// What was received of snapshots that are no newer than `reached`: nobody offers them any more.
pub(super) fn overtaken(folder: &Path, reached: Option<&LogId>) -> io::Result<Vec<PathBuf>> {
    let mut received = files(folder, PARTIAL)?;
    received.retain(|path| {
        is_received(path) && received_of(path).is_none_or(|of| of.as_ref() <= reached)
    });
    Ok(received)
}

/// The last entry of the snapshot that a received file is of; `None` if its name is not one of ours.
fn received_of(path: &Path) -> Option<Option<LogId>> {
    let name = path.file_stem()?.to_str()?.strip_prefix(RECEIVED)?;
    let mut parts = name.rsplitn(3, '-');
    parse_name(parts.nth(2)?)
}

/// The crc32c of the first `length` bytes.
pub(super) fn checksum(from: &mut impl Read, length: u64) -> io::Result<u32> {
    let (mut sum, mut left, mut buffer) = (0, length, vec![0; READ_LENGTH]);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(READ_LENGTH).min(READ_LENGTH);
        let read = from.read(buffer.get_mut(..most).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        sum = crc32c::crc32c_append(sum, buffer.get(..read).unwrap_or_default());
        left -= read as u64;
    }
    Ok(sum)
}
