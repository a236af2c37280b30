//! One sealed archive file: verified when opened, each record again when read.
//!
//! Never repairs and never skips: what does not hold is an error with its file and offset.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use wardmesh_common::time::Timestamp;

use super::format::{
    self, ENTRY_LENGTH, Entry, FOOTER_LENGTH, Footer, HEADER_LENGTH, RECORD_HEADER_LENGTH,
};
use super::{ArchiveFile, FileName, Record};
use crate::store::StoreError;

/// What a sealed file's name ends with.
pub(super) const EXTENSION: &str = "wmar";

/// The name of the file that answers for these log indexes: sorts by the first.
pub(super) fn name(first: u64, through: u64) -> String {
    format!("{first:020}-{through:020}.{EXTENSION}")
}

/// The log indexes in the name of a file, whatever it ends with; `None` if it is not one of ours.
pub(super) fn parse_stem(path: &Path) -> Option<FileName> {
    let (first, through) = path.file_stem()?.to_str()?.split_once('-')?;
    Some(FileName { first: first.parse().ok()?, through: through.parse().ok()? })
}

/// An open file; reads go by position, so that it can be shared.
#[derive(Debug)]
pub(super) struct SealedFile {
    pub(super) summary: ArchiveFile,
    file: File,
    entries: Vec<Entry>,
    entries_at: u64,
}

impl SealedFile {
    /// Opens a file and checks its header, footer and index block.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = StoreError::io("open", path);
        let file = File::open(path).map_err(&failed)?;
        let length = file.metadata().map_err(&failed)?.len();
        let corrupt = |offset, what| StoreError::Corrupt { path: path.to_owned(), offset, what };
        let Some(footer_at) = length.checked_sub(FOOTER_LENGTH as u64) else {
            return Err(corrupt(length, "it is too short to be an archive file"));
        };
        let header = read(&file, path, 0, HEADER_LENGTH.min(footer_at as usize))?;
        let first = format::read_header(&header).map_err(|what| corrupt(0, what))?;
        let footer = read(&file, path, footer_at, FOOTER_LENGTH)?;
        let footer =
            Footer::from_bytes(&footer, length).map_err(|what| corrupt(footer_at, what))?;
        let entries_at = footer.entries_at;
        let entries = read(&file, path, entries_at, footer.records as usize * ENTRY_LENGTH)?;
        let entries = format::read_entries(&entries, first, &footer)
            .map_err(|what| corrupt(entries_at, what))?;
        let summary = ArchiveFile {
            path: path.to_owned(),
            first,
            through: footer.through,
            newest: Timestamp::from_nanos(footer.newest),
            bytes: length,
        };
        Ok(Self { summary, file, entries, entries_at })
    }

    /// What there is of a log index; `None` where the file holds nothing.
    pub(super) fn read(&self, index: u64) -> Result<Option<Record>, StoreError> {
        let Ok(position) = self.entries.binary_search_by_key(&index, |entry| entry.index) else {
            return Ok(None);
        };
        self.record(position).map(Some)
    }

    /// Reads every record: for a file that came from elsewhere.
    pub(super) fn verify(&self) -> Result<(), StoreError> {
        self.records().try_for_each(|record| record.map(drop))
    }

    /// Every record, in rising order.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<(u64, Record), StoreError>> {
        let places = self.entries.iter().enumerate();
        places.map(|(position, entry)| Ok((entry.index, self.record(position)?)))
    }

    fn record(&self, position: usize) -> Result<Record, StoreError> {
        let path: &PathBuf = &self.summary.path;
        let offset = self.entries.get(position).map_or(self.entries_at, |entry| entry.offset);
        let index = self.entries.get(position).map_or(u64::MAX, |entry| entry.index);
        let end = self.entries.get(position + 1).map_or(self.entries_at, |next| next.offset);
        let corrupt = |what| StoreError::Corrupt { path: path.clone(), offset, what };
        let mut header = Bytes::from(read(&self.file, path, offset, (end - offset) as usize)?);
        if header.len() < RECORD_HEADER_LENGTH {
            return Err(corrupt("the record is cut short"));
        }
        let mut rows = header.split_off(RECORD_HEADER_LENGTH);
        let length = format::check_record(&header, index, &rows).map_err(corrupt)?;
        let command = rows.split_off(length);
        Ok(Record { command, rows })
    }
}

fn read(file: &File, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).map_err(StoreError::io("read", path))?;
    Ok(bytes)
}
