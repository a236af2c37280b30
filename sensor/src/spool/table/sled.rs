//! The spool's tables in sled, and the sync that sled itself does not do.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{Disk, Rack, Rows, Table};
use crate::spool::SpoolError;

/// sled's page cache; its default of 1 GiB ignores cgroups.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Segments hold whole values: larger pages spill into files that sled never syncs.
const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// An open database.
#[derive(Debug)]
pub(in crate::spool) struct Sled {
    folder: PathBuf,
    db: sled::Db,
}

impl Sled {
    /// Opens the database in a folder, which is made where it is missing.
    pub(in crate::spool) fn open(folder: &Path) -> Result<Self, SpoolError> {
        let failed = |cause: &dyn std::fmt::Display| SpoolError::Io {
            path: folder.to_owned(),
            cause: cause.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(|cause| failed(&cause))?;
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(Some(500));
        // Some damage makes sled panic instead of telling.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| config.open()));
        let damaged =
            |cause: &str| SpoolError::Damaged { path: folder.to_owned(), cause: cause.to_owned() };
        let db = opened
            .map_err(|_| damaged("the store cannot be read"))?
            .map_err(|cause| reaction(folder, &cause))?;
        Ok(Self { folder: folder.to_owned(), db })
    }
}

/// What to do about sled's error: wait, repair the disk, or set the spool aside.
fn reaction(folder: &Path, cause: &sled::Error) -> SpoolError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    let path = folder.to_owned();
    match cause {
        sled::Error::Io(io) if io.to_string().contains("lock") => SpoolError::Locked(path),
        sled::Error::Io(io) if !matches!(io.kind(), InvalidData | UnexpectedEof) => {
            SpoolError::Io { path, cause: io.to_string() }
        }
        _ => SpoolError::Damaged { path, cause: cause.to_string() },
    }
}

impl Disk for Sled {
    fn table(&self, name: &str) -> io::Result<Table> {
        // As at the opening of the whole.
        let opened =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.db.open_tree(name)));
        let damaged = |_| io::Error::new(io::ErrorKind::InvalidData, "the store cannot be read");
        Ok(Table(Arc::new(opened.map_err(damaged)??)))
    }

    /// sled's own buffers first, then the disk's.
    fn sync(&self) -> io::Result<()> {
        self.db.flush()?;
        File::open(self.folder.join("db"))?.sync_data()
    }

    fn sync_folder(&self) -> io::Result<()> {
        let above = self.folder.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(&self.folder)?.sync_all()?;
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Rack for sled::Tree {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        Ok(Self::get(self, key)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn apply(&self, mut changes: Vec<(Vec<u8>, Option<Bytes>)>) -> io::Result<()> {
        match (changes.len(), changes.pop()) {
            (1, Some((key, Some(value)))) => drop(self.insert(key, value.as_ref())?),
            (1, Some((key, None))) => drop(self.remove(key)?),
            (_, last) => {
                let mut batch = sled::Batch::default();
                for (key, value) in changes.into_iter().chain(last) {
                    match value {
                        Some(value) => batch.insert(key, value.as_ref()),
                        None => batch.remove(key),
                    }
                }
                self.apply_batch(batch)?;
            }
        }
        Ok(())
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Rows<'_> {
        let rows = Self::range(self, (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec)));
        Box::new(rows.map(|row| {
            let (key, value) = row?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        }))
    }

    fn len(&self) -> usize {
        Self::len(self)
    }
}
