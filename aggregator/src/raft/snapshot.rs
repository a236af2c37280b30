//! Snapshot files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A complete, verified snapshot file, open for reading: it stays readable when a later snapshot
/// replaces it.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    path: PathBuf,
    file: Arc<File>,
    length: u64,
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

    /// Reads at an offset, by itself in no way moved (`pread`): at the end 0 bytes. Blocking.
    ///
    /// # Errors
    /// The disk's.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&*self.file, buffer, offset)
    }
}
