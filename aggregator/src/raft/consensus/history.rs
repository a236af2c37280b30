//! Archive files between nodes: what this one gives, and asking the others.
//!
//! Consensus only carries them: what a file holds, and whether it is whole, is for the archive.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wardmesh_common::id::NodeId;

use super::Consensus;
use super::node::{self, Node};
use crate::raft::network::CallError;
use crate::raft::rpc::{
    Failure, HISTORY_BYTES_MAX, HISTORY_FILES_MAX, HistoryFile, HistoryName, Reply, Request,
};

/// How long a peer may take to read some bytes of a file while it has better things to do.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node's archive, as its peers see it.
pub trait History: Send + Sync + 'static {
    /// The files that begin below an entry, by log index. What was applied before it and is not in a
    /// file yet is to be archived soon.
    fn files(&self, below: u64) -> Vec<HistoryFile>;

    /// Bytes of a file from an offset on. Blocking.
    ///
    /// # Errors
    /// The disk's; `NotFound` where there is no such file, or no more.
    fn read(&self, file: HistoryName, offset: u64, length: usize) -> io::Result<Vec<u8>>;
}

/// Why a peer's archive cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// It is no member.
    #[error("node {0} is no member of this cluster")]
    Stranger(NodeId),
    /// It did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It answered that it cannot.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// It answered something else.
    #[error("it gave an answer to another call")]
    Unexpected,
}

impl Consensus {
    /// Lets peers fetch this node's archive; the first one stays.
    pub fn serve_history(&self, history: Arc<dyn History>) {
        let _ = self.node.history.set(history);
    }

    /// The archive files of a member that begin below an entry, by log index.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn history_files(
        &self,
        of: NodeId,
        below: u64,
    ) -> Result<Vec<HistoryFile>, HistoryError> {
        match self.ask(of, Request::HistoryFiles { below }).await? {
            Reply::HistoryFiles(files) => Ok(files),
            _ => Err(HistoryError::Unexpected),
        }
    }

    /// Bytes of a member's archive file from an offset on, [`HISTORY_BYTES_MAX`] at most.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn history_bytes(
        &self,
        of: NodeId,
        file: HistoryName,
        offset: u64,
    ) -> Result<Bytes, HistoryError> {
        let length = HISTORY_BYTES_MAX as u32;
        match self.ask(of, Request::HistoryBytes { file, offset, length }).await? {
            Reply::HistoryBytes(bytes) => Ok(bytes),
            _ => Err(HistoryError::Unexpected),
        }
    }

    async fn ask(&self, of: NodeId, request: Request) -> Result<Reply, HistoryError> {
        let membership = self.node.membership();
        let member = membership.get_node(&of).ok_or(HistoryError::Stranger(of))?;
        match self.node.peers.call(&node::peer(of, member), &request, PATIENCE).await? {
            Reply::Failed(failure) => Err(failure.into()),
            reply => Ok(reply),
        }
    }
}

impl Node {
    pub(super) async fn history_files(&self, below: u64) -> Result<Reply, Failure> {
        let mut files = self.read_history(move |history| Ok(history.files(below))).await?;
        let older = files.len().saturating_sub(HISTORY_FILES_MAX);
        Ok(Reply::HistoryFiles(files.split_off(older)))
    }

    pub(super) async fn history_bytes(
        &self,
        file: HistoryName,
        offset: u64,
        length: u32,
    ) -> Result<Reply, Failure> {
        let length = (length as usize).min(HISTORY_BYTES_MAX);
        let bytes = self.read_history(move |history| history.read(file, offset, length)).await?;
        Ok(Reply::HistoryBytes(bytes.into()))
    }

    async fn read_history<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn History) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let refused = |cause: &dyn std::fmt::Display| Failure::Refused(cause.to_string());
        let history = self.history.get().ok_or_else(|| refused(&"it has no archive"))?;
        let history = Arc::clone(history);
        let reading = tokio::task::spawn_blocking(move || read(&*history));
        let read = reading.await.map_err(|cause| refused(&cause))?;
        read.map_err(|cause| refused(&cause))
    }
}
