//! The node's id on its volume: a volume belongs to one node for good.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wardmesh_common::id::NodeId;

use crate::raft::folder;

/// The file within the data folder.
const FILE: &str = "node-id";

/// Why a volume is not this node's.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// It belongs to another node.
    #[error(
        "{path} says that this volume belongs to node {found}, but node {configured} is configured: mount the right volume, or correct the id"
    )]
    Another {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// Who asks for it.
        configured: NodeId,
    },
    /// The file holds no number.
    #[error("{path} holds no node id but '{text}': restore it, or start over with an empty volume")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it begins with.
        text: String,
    },
    /// The disk.
    #[error("{path}: {cause}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
}

/// Takes the volume for node `configured`, or finds that it is that node's already. Blocking.
///
/// # Errors
/// [`VolumeError`].
pub(super) fn claim(data: &Path, configured: NodeId) -> Result<(), VolumeError> {
    let path = data.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let text = text.trim();
            let unreadable = |_| VolumeError::Unreadable {
                path: path.clone(),
                text: text.chars().take(40).collect(),
            };
            let found = text.parse::<NodeId>().map_err(unreadable)?;
            if found == configured {
                return Ok(());
            }
            Err(VolumeError::Another { path, found, configured })
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            folder::write_line(data, FILE, &configured.to_string())
                .map_err(|cause| VolumeError::Disk { path, cause })
        }
        Err(cause) => Err(VolumeError::Disk { path, cause }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_volume_stays_with_its_node() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        claim(&data, 7).unwrap();
        claim(&data, 7).unwrap();
        let refused = claim(&data, 8).unwrap_err().to_string();
        assert!(refused.contains("node 7") && refused.contains("node 8"), "{refused}");
        fs::write(data.join(FILE), "seven").unwrap();
        assert!(matches!(claim(&data, 7), Err(VolumeError::Unreadable { .. })));
    }
}
