//! What can go wrong in the store, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use wardmesh_common::space::is_full;

use super::index::Missing;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused: space, rights or the device.
    #[error("cannot {doing} {path}: {cause}; check the volume's space, rights and health")]
    Io {
        /// What was being done, an infinitive.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        cause: io::Error,
    },
    /// The volume has no room for what is to be written; nothing was begun.
    #[error(
        "{path} has no room for {bytes} bytes above its reserve: free space or enlarge the volume"
    )]
    Full {
        /// The folder.
        path: PathBuf,
        /// What would be written.
        bytes: u64,
    },
    /// An archive file does not hold what was written.
    #[error(
        "{path} is damaged at byte {offset}: {what}; do not start this node again on this volume; replace it by an empty node: 'wardmesh cluster replace <id> --with <address>', see docs/operations.md"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it, bytes from its start.
        offset: u64,
        /// What does not hold.
        what: &'static str,
    },
    /// Two archive files hold the same entry, or a file's name is not that of its contents.
    #[error("{path} does not fit between the other archive files: {what}; move it away")]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// Another process has the index open.
    #[error("{0} is open in another process; stop that one first")]
    Locked(PathBuf),
    /// The index failed while running: it is derived, and a restart rebuilds it.
    #[error("the query index does not answer: {0}; restart the node to rebuild it")]
    Index(String),
    /// The index has not come as far within the time that was given.
    #[error("the query index has not reached entry {wanted} yet, only those below {next}")]
    Behind {
        /// What was asked for.
        wanted: u64,
        /// The first entry that it does not have.
        next: u64,
    },
    /// The index lacks the rows of what was asked for, and is being fed them.
    #[error(
        "the query index of this node lacks entries {} to {} and is being fed again",
        .0.from, .0.through
    )]
    Lacking(Missing),
    /// A committed entry cannot be read from the Raft log.
    #[error("entry {index} cannot be read from the log: {cause}")]
    Log {
        /// The entry.
        index: u64,
        /// Why.
        cause: io::Error,
    },
    /// The index names an entry that neither the log nor the archive has.
    #[error("entry {0} is in the query index but neither in the log nor in the archive")]
    Missing(u64),
    /// Applied entries' rows did not fit into memory before they could be archived.
    #[error(
        "the rows of entry {0} were not kept: the archive could not be written for too long; see why, then restart the node, which applies the entry again"
    )]
    RowsLost(u64),
    /// An entry is to be archived that is not applied here yet: later.
    #[error("entry {0} has not been applied on this node yet")]
    NotApplied(u64),
    /// An entry came with a snapshot while it was to be archived: the peers have what it brought.
    #[error("entry {0} came with a snapshot: only its peers know what applying it brought")]
    Overtaken(u64),
    /// An entry's bytes are not what the index or the log's format says.
    #[error("entry {index} cannot be used: {cause}")]
    Entry {
        /// The entry.
        index: u64,
        /// What is wrong with it; never its bytes.
        cause: String,
    },
}

impl From<StoreError> for io::Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Io { cause, .. } | StoreError::Log { cause, .. } => cause.kind(),
            StoreError::Full { .. } => io::ErrorKind::StorageFull,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl StoreError {
    /// Whether what was asked for is not on the disk, or no more.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }

    /// Whether bytes that this node wrote are not what it wrote: it must not serve any more. The
    /// index is derived and no such case.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt { .. } | Self::Misplaced { .. } => true,
            Self::Log { cause, .. } => {
                matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
            }
            _ => false,
        }
    }

    /// Whether a sync failed for another reason than want of room: what the disk then holds is
    /// unknown, and trying again may succeed without having written anything.
    #[must_use]
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Io { doing: "sync", cause, .. } => !is_full(cause),
            _ => false,
        }
    }

    /// For `map_err`: names the act and the path.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |cause| Self::Io { doing, path: path.to_owned(), cause }
    }

    /// For `map_err` on what sled answers.
    pub(super) fn index(cause: sled::Error) -> Self {
        Self::Index(cause.to_string())
    }
}
