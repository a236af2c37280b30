//! The event archive: applied commands, the very bytes of the log, and the index rows that applying
//! them gave, in immutable files.
//!
//! The Raft log is purged only through what is archived here, so a file counts only once it is
//! synced and renamed. Damage is an error that names file and offset; nothing is ever skipped.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use wardmesh_common::space::Space;
use wardmesh_common::time::Timestamp;

use self::file::SealedFile;
use self::writer::PartialFile;
use super::{CommandLog, Rows, StoreError, row};
use crate::state::command::{Action, Command};

mod adopt;
mod file;
mod format;
mod suspect;
mod writer;

pub use adopt::FileName;

/// A file is sealed when it has as many bytes: large enough to be few, small enough to fetch anew.
pub const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What a file may be longer than that, bytes: its last entry with its rows, and its index block.
const FILE_EXCESS_BYTES: u64 = 4 * 1024 * 1024;

/// Files kept open for reading, each with its index block (16 bytes an entry) in memory.
const OPEN_FILES_MAX: usize = 8;

/// A sealed file and the log indexes that it answers for, without gaps to either side of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Where it lies.
    pub path: PathBuf,
    /// The first log index.
    pub first: u64,
    /// The last log index.
    pub through: u64,
    /// The time of its latest command.
    pub newest: Timestamp,
    /// Its length, bytes.
    pub bytes: u64,
}

/// What is kept of one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The command, as the log has it.
    command: Bytes,
    /// The rows of its applied batches, as `row.rs` lays them out.
    rows: Bytes,
}

/// Gives the rows of an entry's applied batches, which apply alone knows.
pub(super) type RowSource<'a> = &'a dyn Fn(u64) -> Result<Rows, StoreError>;

/// How much history a node keeps; what breaks either bound goes. The newest file always stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Bytes of all files together.
    pub bytes_max: u64,
    /// Files whose latest command is older go.
    pub since: Timestamp,
}

/// What retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retired {
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// The files of one node.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    file_bytes: u64,
    /// Sorted by log index; they never overlap.
    files: RwLock<Vec<ArchiveFile>>,
    /// The last used at the back.
    open: Mutex<VecDeque<Arc<SealedFile>>>,
    /// Held by whoever adds or removes files.
    changing: Mutex<()>,
    /// The first entry that may be copied from the log; see [`Archive::go_on_from`].
    floor: AtomicU64,
    /// The room on its volume, where that is watched.
    space: OnceLock<Arc<Space>>,
}

impl Archive {
    /// Opens a folder, makes it where there is none, removes unfinished files, also fetched ones that
    /// would bring nothing any more, and checks the header, index block and footer of all others.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] or [`StoreError::Misplaced`] for a file that must not be used,
    /// [`StoreError::Io`].
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::with_file_bytes(folder, FILE_BYTES)
    }

    pub(super) fn with_file_bytes(folder: &Path, file_bytes: u64) -> Result<Self, StoreError> {
        let failed = StoreError::io("read", folder);
        std::fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        // The log is purged through what is archived: the folders must last as well.
        folder.ancestors().skip(1).take(2).try_for_each(writer::sync_folder)?;
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(&failed)? {
            let path = entry.map_err(&failed)?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension == Some(writer::PARTIAL_EXTENSION) {
                std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            } else if extension == Some(file::EXTENSION) {
                files.push(open_named(&path)?);
            }
        }
        files.sort_by_key(|file| file.first);
        suspect::look_at(folder)?;
        adopt::forget_useless(folder, &files)?;
        let overlap = files.windows(2).find(|pair| matches!(pair, [a, b] if b.first <= a.through));
        if let Some([_, file]) = overlap {
            let (path, what) = (file.path.clone(), "another file holds the same entries");
            return Err(StoreError::Misplaced { path, what });
        }
        Ok(Self {
            folder: folder.to_owned(),
            file_bytes,
            files: RwLock::new(files),
            open: Mutex::default(),
            changing: Mutex::default(),
            floor: AtomicU64::new(0),
            space: OnceLock::new(),
        })
    }

    /// From now on begins no file that does not fit on the volume above its reserve.
    pub(super) fn watch(&self, space: Arc<Space>) {
        // Only the first counts: an archive stays on its volume.
        let _ = self.space.set(space);
    }

    /// Bytes that archiving the log through `through` would write, about: commands and as much for
    /// their rows.
    pub(super) fn lacks_bytes(&self, through: u64, log: &dyn CommandLog) -> u64 {
        let next = self.next(log);
        if next > through { 0 } else { log.bytes_from(next).saturating_mul(2) }
    }

    /// The first entry that is not archived and can be.
    fn next(&self, log: &dyn CommandLog) -> u64 {
        let next = self.archived_through().map_or(0, |archived| archived.saturating_add(1));
        next.max(log.first()).max(self.floor.load(Ordering::Acquire))
    }

    /// That the next file fits.
    fn room_for(&self, through: u64, log: &dyn CommandLog) -> Result<(), StoreError> {
        let most = self.file_bytes.saturating_add(FILE_EXCESS_BYTES);
        let bytes = self.lacks_bytes(through, log).min(most);
        if self.space.get().is_none_or(|space| space.fits(bytes)) {
            return Ok(());
        }
        Err(StoreError::Full { path: self.folder.clone(), bytes })
    }

    /// Entries below `first` came with a snapshot from another node: what the log still has of them
    /// is not copied, since their rows are not known here.
    pub(super) fn go_on_from(&self, first: u64) {
        let _changing = self.changing.lock();
        self.floor.fetch_max(first, Ordering::AcqRel);
    }

    /// The sealed files, by log index: what a peer may fetch.
    #[must_use]
    pub fn files(&self) -> Vec<ArchiveFile> {
        self.files.read().clone()
    }

    /// The last log index that is archived: the log may be purged through it.
    #[must_use]
    pub fn archived_through(&self) -> Option<u64> {
        self.files.read().last().map(|file| file.through)
    }

    /// The first log index from which on every applied command is here, up to
    /// [`archived_through`](Self::archived_through).
    #[must_use]
    pub fn history_from(&self) -> Option<u64> {
        let files = self.files.read();
        let mut first = files.last()?.first;
        for file in files.iter().rev().skip(1) {
            if file.through.checked_add(1) != Some(first) {
                break;
            }
            first = file.first;
        }
        Some(first)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.read().iter().map(|file| file.bytes).sum()
    }

    /// Copies applied entries from the log, those after the last archived one through `through`,
    /// and seals what it wrote. Ticks are passed over: time is in every other command as well.
    ///
    /// After a snapshot from another node the log may begin later; then so does the new file.
    ///
    /// # Errors
    /// [`StoreError`], [`StoreError::Full`] before a file that would not fit; what was sealed before
    /// it stays, and the next call goes on from there.
    pub(super) fn append(
        &self,
        through: u64,
        log: &dyn CommandLog,
        rows: RowSource<'_>,
    ) -> Result<Option<u64>, StoreError> {
        let _changing = self.changing.lock();
        loop {
            let (archived, next) = (self.archived_through(), self.next(log));
            if next > through || archived == Some(u64::MAX) {
                return Ok(archived);
            }
            self.room_for(through, log)?;
            let path = self.write(next, through, log, rows).inspect_err(|_| {
                writer::discard(&self.folder, next);
            })?;
            self.files.write().push(open_named(&path)?);
        }
    }

    /// Writes one file from `first` on, no further than `through`.
    fn write(
        &self,
        first: u64,
        through: u64,
        log: &dyn CommandLog,
        rows: RowSource<'_>,
    ) -> Result<PathBuf, StoreError> {
        let mut partial = PartialFile::begin(&self.folder, first)?;
        for index in first..=through {
            let bytes = log.read(index).map_err(|cause| StoreError::Log { index, cause })?;
            if let Some(bytes) = bytes {
                let command = Command::decode(bytes.clone())
                    .map_err(|cause| StoreError::Entry { index, cause: cause.to_string() })?;
                partial.passed(command.at);
                if command.action != Action::Tick {
                    let rows = row::encode_all(&rows(index)?).into();
                    partial.append(index, &Record { command: bytes, rows })?;
                }
            }
            if partial.len() >= self.file_bytes {
                return partial.seal(index);
            }
        }
        partial.seal(through)
    }

    /// The bytes of the command at a log index, checked; `None` where none is archived.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where they do not hold, [`StoreError::Io`].
    pub fn read(&self, index: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.record(index)?.map(|record| record.command))
    }

    /// The rows of the batches that were applied at a log index, checked; `None` where nothing of it
    /// is archived.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn rows(&self, index: u64) -> Result<Option<Rows>, StoreError> {
        let Some(record) = self.record(index)? else { return Ok(None) };
        let rows = row::decode_all(&record.rows);
        let cause = || "its rows cannot be read: another version of this program wrote them";
        rows.map(|rows| Some(rows.into()))
            .ok_or_else(|| StoreError::Entry { index, cause: cause().to_owned() })
    }

    fn record(&self, index: u64) -> Result<Option<Record>, StoreError> {
        let path = {
            let files = self.files.read();
            let after = files.partition_point(|file| file.through < index);
            match files.get(after) {
                Some(file) if file.first <= index => file.path.clone(),
                _ => return Ok(None),
            }
        };
        match self.opened(&path) {
            Ok(file) => file.read(index),
            // Retention was faster.
            Err(StoreError::Io { .. }) if !self.holds(&path) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn holds(&self, path: &Path) -> bool {
        self.files.read().iter().any(|file| file.path == path)
    }

    fn opened(&self, path: &Path) -> Result<Arc<SealedFile>, StoreError> {
        let mut open = self.open.lock();
        let found = open.iter().position(|file| file.summary.path == path);
        let file = match found.and_then(|position| open.remove(position)) {
            Some(file) => file,
            None => Arc::new(SealedFile::open(path)?),
        };
        while open.len() >= OPEN_FILES_MAX {
            open.pop_front();
        }
        open.push_back(Arc::clone(&file));
        Ok(file)
    }

    /// Removes whole files, the oldest first, until both bounds hold or one file is left.
    ///
    /// # Errors
    /// [`StoreError::Io`]; files that were removed before it stay removed.
    pub fn retain(&self, retention: &Retention) -> Result<Retired, StoreError> {
        let _changing = self.changing.lock();
        let mut retired = Retired::default();
        while let Some(file) = self.excess(retention) {
            // First out of sight, then off the disk: a reader never meets a file that has gone.
            self.files.write().retain(|kept| kept.first != file.first);
            self.open.lock().retain(|open| open.summary.path != file.path);
            std::fs::remove_file(&file.path).map_err(StoreError::io("remove", &file.path))?;
            retired.files += 1;
            retired.bytes += file.bytes;
        }
        if retired.files > 0 {
            writer::sync_folder(&self.folder)?;
        }
        Ok(retired)
    }

    fn excess(&self, retention: &Retention) -> Option<ArchiveFile> {
        let files = self.files.read();
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let oldest = files.first().filter(|_| files.len() > 1)?;
        (bytes > retention.bytes_max || oldest.newest < retention.since).then(|| oldest.clone())
    }
}

/// Opens a file, whose name must be that of its contents.
fn open_named(path: &Path) -> Result<ArchiveFile, StoreError> {
    let summary = SealedFile::open(path)?.summary;
    let name = file::name(summary.first, summary.through);
    if path.file_name().is_none_or(|actual| actual.to_str() != Some(&name)) {
        let what = "its name is not that of its contents";
        return Err(StoreError::Misplaced { path: path.to_owned(), what });
    }
    Ok(summary)
}

#[cfg(test)]
mod tests;
