//! Files that come from another node: what a peer may ask for, and taking them in.
//!
//! Every record is checked before a file counts. Other nodes cut their files elsewhere, so that a
//! fetched one may overlap what is here: then only what is lacking is copied.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use wardmesh_common::time::Timestamp;

use super::file::{self, SealedFile};
use super::writer::{self, PartialFile};
use super::{Archive, ArchiveFile};
use crate::state::command::Command;
use crate::store::StoreError;

/// What the name of a file that is being fetched ends with; it is kept over a restart.
const FETCHED_EXTENSION: &str = "fetched";

/// The log indexes that a file answers for, which name it on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName {
    /// The first log index.
    pub first: u64,
    /// The last log index.
    pub through: u64,
}

/// Removes what was being fetched when the node ended of files whose entries are here by now.
pub(super) fn forget_useless(folder: &Path, files: &[ArchiveFile]) -> Result<(), StoreError> {
    for path in fetched(folder)? {
        let lacks = |name: FileName| lacking(files, name.first, name.through).is_some();
        if !file::parse_stem(&path).is_some_and(lacks) {
            std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// The files of a folder that are being fetched.
fn fetched(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = StoreError::io("read", folder);
    let entries = std::fs::read_dir(folder).map_err(&failed)?;
    let paths = entries.map(|entry| Ok(entry.map_err(&failed)?.path()));
    let mut paths = paths.collect::<Result<Vec<_>, StoreError>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == FETCHED_EXTENSION));
    Ok(paths)
}

/// The last run of a range that none of the files answers for.
fn lacking(files: &[ArchiveFile], first: u64, through: u64) -> Option<FileName> {
    let mut lacking = FileName { first, through };
    for file in files.iter().rev().filter(|file| file.first <= through) {
        if file.through < lacking.through {
            lacking.first = lacking.first.max(file.through + 1);
            break;
        }
        lacking.through = file.first.checked_sub(1)?;
    }
    (lacking.first <= lacking.through).then_some(lacking)
}

impl Archive {
    /// Some bytes of a file from an offset on, for a peer; fewer at its end. Not checked: whoever
    /// takes the file in checks all of it.
    ///
    /// # Errors
    /// [`StoreError::Io`]; `NotFound` where there is no such file, or no more.
    pub fn read_file(
        &self,
        name: FileName,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, StoreError> {
        let path = self.folder.join(file::name(name.first, name.through));
        let failed = StoreError::io("read", &path);
        let file = File::open(&path).map_err(&failed)?;
        let size = file.metadata().map_err(&failed)?.len();
        let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(left)];
        file.read_exact_at(&mut bytes, offset).map_err(&failed)?;
        Ok(bytes)
    }

    /// Where a file of a peer is put while it is being fetched; what lies there is gone on with.
    #[must_use]
    pub fn fetched_path(&self, name: FileName) -> PathBuf {
        self.folder.join(file::name(name.first, name.through)).with_extension(FETCHED_EXTENSION)
    }

    /// Removes what was fetched of other files.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn forget_fetched(&self, but: Option<FileName>) -> Result<(), StoreError> {
        let kept = but.map(|name| self.fetched_path(name));
        for path in fetched(&self.folder)? {
            if Some(&path) != kept.as_ref() {
                std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Takes in what is lacking below entry `below` from a file that was fetched from another node
    /// into this volume; it is used up.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or [`StoreError::Misplaced`] where nothing of it is lacking.
    pub fn adopt(&self, fetched: &Path, below: u64) -> Result<ArchiveFile, StoreError> {
        let _changing = self.changing.lock();
        let sealed = SealedFile::open(fetched)?;
        sealed.verify()?;
        let ArchiveFile { first, through, .. } = sealed.summary;
        let lacking = lacking(&self.files.read(), first, through.min(below.saturating_sub(1)));
        let what = "its entries are here already";
        let misplaced = || StoreError::Misplaced { path: fetched.to_owned(), what };
        let lacking = lacking.ok_or_else(misplaced)?;
        let path = if lacking == (FileName { first, through }) {
            let file = File::open(fetched).map_err(StoreError::io("open", fetched))?;
            file.sync_all().map_err(StoreError::io("sync", fetched))?;
            let path = self.folder.join(file::name(first, through));
            writer::publish(fetched, &path)?;
            path
        } else {
            let path = self.copy(&sealed, lacking).inspect_err(|_| {
                writer::discard(&self.folder, lacking.first);
            })?;
            std::fs::remove_file(fetched).map_err(StoreError::io("remove", fetched))?;
            path
        };
        let summary = super::open_named(&path)?;
        let mut files = self.files.write();
        let at = files.partition_point(|file| file.first < summary.first);
        files.insert(at, summary.clone());
        Ok(summary)
    }

    /// Copies the records of a range into a file of its own.
    fn copy(&self, from: &SealedFile, range: FileName) -> Result<PathBuf, StoreError> {
        let mut partial = PartialFile::begin(&self.folder, range.first)?;
        let mut newest = Timestamp::EPOCH;
        for record in from.records() {
            let (index, record) = record?;
            if (range.first..=range.through).contains(&index) {
                let command = Command::decode(record.command.clone());
                let command = command
                    .map_err(|cause| StoreError::Entry { index, cause: cause.to_string() })?;
                newest = newest.max(command.at);
                partial.append(index, &record)?;
            }
        }
        partial.passed(newest);
        partial.seal(range.through)
    }
}
