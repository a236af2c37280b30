//! Writes archive files: to a temporary name, fsync, rename, fsync of the folder.
//!
//! Until the rename nothing counts; a file that was cut short by a crash is removed at the next
//! start and written again from the log, which is purged only after the rename.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use wardmesh_common::time::Timestamp;

use super::format::{self, Entry, Footer, HEADER_LENGTH, RECORD_HEADER_LENGTH};
use super::{Record, file};
use crate::store::StoreError;

/// What an unfinished file's name ends with.
pub(super) const PARTIAL_EXTENSION: &str = "partial";

/// Bytes collected before a write: a few entries, so that the log's readers are not starved.
const WRITE_BUFFER_BYTES: usize = 1024 * 1024;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct PartialFile {
    folder: PathBuf,
    path: PathBuf,
    out: BufWriter<File>,
    first: u64,
    newest: Timestamp,
    entries: Vec<Entry>,
    length: u64,
}

impl PartialFile {
    /// Begins a file that answers for log indexes from `first` on.
    pub(super) fn begin(folder: &Path, first: u64) -> Result<Self, StoreError> {
        let path = partial_path(folder, first);
        let file = File::create(&path).map_err(StoreError::io("create", &path))?;
        let mut out = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
        out.write_all(&format::header(first)).map_err(StoreError::io("write", &path))?;
        let length = HEADER_LENGTH as u64;
        let (newest, entries) = (Timestamp::EPOCH, Vec::new());
        Ok(Self { folder: folder.to_owned(), path, out, first, newest, entries, length })
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// The command's time at an entry that is passed, kept or not.
    pub(super) fn passed(&mut self, at: Timestamp) {
        self.newest = self.newest.max(at);
    }

    /// Adds an entry; indexes must rise.
    pub(super) fn append(&mut self, index: u64, record: &Record) -> Result<(), StoreError> {
        let failed = StoreError::io("write", &self.path);
        let Record { command, rows } = record;
        let header = format::record_header(index, rows, command);
        for part in [&header[..], rows, command] {
            self.out.write_all(part).map_err(&failed)?;
        }
        self.entries.push(Entry { index, offset: self.length });
        self.length += (RECORD_HEADER_LENGTH + rows.len() + command.len()) as u64;
        Ok(())
    }

    /// Closes the file, which then answers for every index through `through`, and makes it last.
    pub(super) fn seal(mut self, through: u64) -> Result<PathBuf, StoreError> {
        let failed = StoreError::io("write", &self.path);
        let entries = format::entries(&self.entries);
        let footer = Footer {
            through,
            newest: self.newest.as_nanos(),
            entries_at: self.length,
            records: self.entries.len() as u32,
            entries_checksum: crc32c::crc32c(&entries),
        };
        self.out.write_all(&entries).map_err(&failed)?;
        self.out.write_all(&footer.to_bytes()).map_err(&failed)?;
        self.out.flush().map_err(&failed)?;
        self.out.get_ref().sync_all().map_err(StoreError::io("sync", &self.path))?;
        let sealed = self.folder.join(file::name(self.first, through));
        publish(&self.path, &sealed)?;
        Ok(sealed)
    }
}

fn partial_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.{PARTIAL_EXTENSION}"))
}

/// Gives back the space of a file that could not be finished, also of one that has its name but may
/// not keep it: another would hold the same entries. What stays goes at the next start.
pub(super) fn discard(folder: &Path, first: u64) {
    std::fs::remove_file(partial_path(folder, first)).unwrap_or_default();
    let begins = format!("{first:020}-");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&begins)) {
            std::fs::remove_file(entry.path()).unwrap_or_default();
        }
    }
}

/// Gives a synced file its name, lastingly.
pub(super) fn publish(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(StoreError::io("rename", from))?;
    to.parent().map_or(Ok(()), sync_folder)
}

/// Makes names that were given or removed in a folder last.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(StoreError::io("sync", folder))
}
