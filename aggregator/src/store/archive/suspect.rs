//! A file that was found damaged while the node ran: a start reads only the ends of all files, and
//! must not serve again what it had to stop for.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::file::SealedFile;
use super::{Archive, writer};
use crate::store::StoreError;

/// What holds the name of that file.
const MARK: &str = "suspect";

impl Archive {
    /// Has the next start read all of a file before anything else. A volume that does not even take
    /// this note makes that start no worse than it was.
    pub(in crate::store) fn suspect(&self, path: &Path) {
        let Some(name) = path.file_name().filter(|_| path.parent() == Some(&self.folder)) else {
            return;
        };
        let noted = File::create(self.folder.join(MARK))
            .and_then(|mut mark| {
                mark.write_all(name.as_encoded_bytes())?;
                mark.sync_all()
            })
            .map_err(StoreError::io("write", &self.folder))
            .and_then(|()| writer::sync_folder(&self.folder));
        if let Err(cause) = noted {
            tracing::warn!(%cause, "cannot note which file is damaged");
        }
    }
}

/// Reads the file that was noted, if one was; one that is whole after all, or retired since, is not
/// suspect any more.
pub(super) fn look_at(folder: &Path) -> Result<(), StoreError> {
    let mark = folder.join(MARK);
    if !mark.exists() {
        return Ok(());
    }
    let name = std::fs::read_to_string(&mark).map_err(StoreError::io("read", &mark))?;
    let suspected = folder.join(name);
    if suspected.is_file() {
        SealedFile::open(&suspected)?.verify()?;
    }
    std::fs::remove_file(&mark).map_err(StoreError::io("remove", &mark))
}
