//! Fetches the history that a node lacks from its peers: after a snapshot from another node, and on
//! a new node.
//!
//! The newest first, whole files by range, slowly beside live traffic. A file counts once every
//! record of it was checked; history begins earlier only once its rows can be found.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use wardmesh_common::id::NodeId;
use wardmesh_common::space::Space;

use crate::raft::consensus::{Consensus, HistoryError};
use crate::raft::log_store::end_process;
use crate::raft::rpc::{HistoryFile, HistoryName};
use crate::replica::Replica;
use crate::store::StoreError;
use crate::store::archive::FileName;

/// Between two looks at what is lacking.
const PERIOD: Duration = Duration::from_secs(1);

/// Bytes fetched a second: an eighth of a gigabit line, and little to a disk that takes what sensors
/// send meanwhile.
const BYTES_PER_SECOND_MAX: u64 = 16 * 1024 * 1024;

/// Eighths of the retention up to which history is fetched: what is fetched beyond would be removed
/// with the next file that this node writes itself.
const EIGHTHS_FETCHED: u64 = 7;

/// What the task needs.
pub struct Backfill {
    /// Whose history.
    pub replica: Arc<Replica>,
    /// The way to the peers.
    pub consensus: Arc<Consensus>,
    /// Bytes of archive that are kept.
    pub archive_bytes: u64,
    /// The room on the volume.
    pub space: Arc<Space>,
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
enum BackfillError {
    /// A peer does not give it.
    #[error("node {peer}: {cause}")]
    Peer {
        /// Which.
        peer: NodeId,
        /// Why not.
        cause: HistoryError,
    },
    /// What a peer gave is not what it should be.
    #[error("node {peer} gave a file that cannot be used: {cause}")]
    File {
        /// Which.
        peer: NodeId,
        /// What is wrong with it.
        cause: StoreError,
    },
    /// This node's own archive.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This node's disk.
    #[error("what was fetched cannot be written: {0}")]
    Disk(#[from] io::Error),
}

impl Backfill {
    /// Works until `stopping` turns true.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        let mut turn = 0;
        loop {
            let working = async {
                tokio::time::sleep(PERIOD).await;
                while self.step(turn).await {}
            };
            tokio::select! {
                () = working => turn += 1,
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Makes history begin earlier by one file; whether it did.
    async fn step(&self, turn: usize) -> bool {
        match self.extended(turn).await {
            Ok(extended) => extended,
            Err(cause) => {
                tracing::warn!(%cause, "history cannot be fetched now");
                match &cause {
                    BackfillError::Store(own) if own.is_damage() => {
                        self.consensus.stop(own.to_string());
                    }
                    // Whoever gave it, it is this node's disk that it could not be synced to.
                    BackfillError::Store(own) | BackfillError::File { cause: own, .. }
                        if own.is_of_the_disk() =>
                    {
                        end_process()(&own.to_string());
                    }
                    _ => {}
                }
                false
            }
        }
    }

    async fn extended(&self, turn: usize) -> Result<bool, BackfillError> {
        let replica = Arc::clone(&self.replica);
        let extending = move || {
            let store = replica.store();
            store.extend_index(&|| false).inspect_err(|cause| store.note_damage(cause))
        };
        let indexed = blocking(extending).await??;
        let from = self.replica.store().history_from(&self.consensus.log());
        if indexed {
            tracing::info!(history_from = from, "older history is here");
            return Ok(true);
        }
        // Of a file that begins so, nothing can lie before it.
        if from <= 1 {
            return Ok(false);
        }
        let status = self.consensus.status();
        let mut peers: Vec<_> =
            status.members.into_keys().filter(|id| *id != status.node_id).collect();
        // Another one each time: what one cannot give, the next may.
        let first = turn % peers.len().max(1);
        peers.rotate_left(first);
        let mut failed = None;
        for peer in peers {
            match self.fetch_before(peer, from).await {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(own @ (BackfillError::Store(_) | BackfillError::Disk(_))) => return Err(own),
                Err(cause) => failed = Some(cause),
            }
        }
        failed.map_or(Ok(false), Err)
    }

    /// Fetches the file in which a peer has what comes before an entry; whether it has one.
    async fn fetch_before(&self, peer: NodeId, from: u64) -> Result<bool, BackfillError> {
        let at_peer = |cause| BackfillError::Peer { peer, cause };
        let files = self.consensus.history_files(peer, from).await.map_err(at_peer)?;
        let holds = |name: HistoryName| name.first < from && name.through >= from - 1;
        let Some(file) = files.into_iter().find(|file| holds(file.name)) else { return Ok(false) };
        let here = self.replica.store().archive().bytes();
        if here + file.bytes > self.archive_bytes / 8 * EIGHTHS_FETCHED {
            tracing::debug!(from, "older history would exceed the retention");
            return Ok(false);
        }
        // Twice: what overlaps is copied.
        if !self.space.fits(file.bytes.saturating_mul(2)) {
            tracing::debug!(from, "there is no room for older history");
            return Ok(false);
        }
        self.fetch(peer, file).await?;
        let (replica, name) = (Arc::clone(&self.replica), name(file.name));
        let adopting = move || {
            let archive = replica.store().archive();
            let path = archive.fetched_path(name);
            // Whatever is wrong with it, it is not gone on with.
            archive.adopt(&path, from).inspect_err(|_| std::fs::remove_file(&path).unwrap_or(()))
        };
        let adopted = blocking(adopting).await?;
        let adopted = adopted.map_err(|cause| BackfillError::File { peer, cause })?;
        tracing::info!(peer, first = adopted.first, through = adopted.through, "fetched history");
        Ok(true)
    }

    /// Fetches a file, from where an earlier attempt ended.
    async fn fetch(&self, peer: NodeId, file: HistoryFile) -> Result<(), BackfillError> {
        let (replica, name) = (Arc::clone(&self.replica), name(file.name));
        let opening = move || {
            let archive = replica.store().archive();
            archive.forget_fetched(Some(name))?;
            let path = archive.fetched_path(name);
            let named = |cause| written(&path, cause);
            let (out, offset) = open(&path, file.bytes).map_err(named)?;
            Ok::<_, BackfillError>((path, out, offset))
        };
        let (path, mut out, mut offset) = blocking(opening).await??;
        let path = Arc::new(path);
        let (begun, first) = (Instant::now(), offset);
        while offset < file.bytes {
            let reading = self.consensus.history_bytes(peer, file.name, offset);
            let bytes = reading.await.map_err(|cause| BackfillError::Peer { peer, cause })?;
            if bytes.is_empty() {
                // Shorter than it was said to be: adopting says what is wrong.
                break;
            }
            offset += bytes.len() as u64;
            let path = Arc::clone(&path);
            let writing = move || {
                let done = out.write_all(&bytes).map(|()| out);
                done.map_err(|cause| written(&path, cause))
            };
            out = blocking(writing).await??;
            let due = (offset - first) as f64 / BYTES_PER_SECOND_MAX as f64;
            tokio::time::sleep_until(begun + Duration::from_secs_f64(due)).await;
        }
        Ok(())
    }
}

fn name(of: HistoryName) -> FileName {
    FileName { first: of.first, through: of.through }
}

fn written(path: &Path, cause: io::Error) -> BackfillError {
    BackfillError::Disk(io::Error::new(cause.kind(), format!("{}: {cause}", path.display())))
}

/// Opens what there is of a file that is being fetched, and says how much.
fn open(path: &Path, bytes: u64) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    let length = file.metadata()?.len();
    if length > bytes {
        file.set_len(0)?;
        return Ok((file, 0));
    }
    Ok((file, length))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}
