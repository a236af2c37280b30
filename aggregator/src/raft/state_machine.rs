//! The seam between openraft and the state: it hands on committed entries and remembers how far.
//!
//! It knows nothing of what a command means. The state lives in memory: at start the newest snapshot
//! is restored and openraft applies the log up to the saved commit again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use openraft::EntryPayload;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use parking_lot::Mutex;
use wardmesh_common::id::NodeId;
use wardmesh_common::offload;
use wardmesh_common::space::is_full;
use wardmesh_common::time::Timestamp;

use super::log_store::{Fatal, LogStore};
use super::snapshot::{SnapshotFile, Snapshots};
use super::types::{
    Applied, LogId, Membership, Snapshot, SnapshotMeta, StoredMembership, TypeConfig,
};
use crate::state::command::Command;
use crate::state::receipt::Receipt;

#[cfg(test)]
mod tests;

/// When a snapshot that found no room is tried again.
const FULL_AGAIN: Duration = Duration::from_secs(5);

/// The state and its store, as consensus drives them. Called from one task.
pub trait Machine: Send + Sync + 'static {
    /// Applies one committed entry (`None`: blank or a membership). It cannot fail; what cannot be
    /// written ends the process.
    fn apply(&self, index: u64, command: Option<&Command>) -> Receipt;

    /// The log that its entries come from, told before the first of them; a machine that keeps more
    /// than its state copies it from there.
    fn attach(&self, log: LogStore) {
        drop(log);
    }

    /// Applies a committed membership that leaves these nodes out. It cannot fail either.
    fn reconfigure(&self, index: u64, gone: &[NodeId]) -> Receipt {
        let _ = gone;
        self.apply(index, None)
    }

    /// The nodes that ever left, and when.
    fn retired(&self) -> Vec<(NodeId, Timestamp)> {
        Vec::new()
    }

    /// A consistent copy of the state as of the last applied entry; cheap (copy-on-write).
    fn freeze(&self) -> Box<dyn Frozen>;

    /// Replaces the state by what a snapshot of it holds, as of a log index; what it has read is
    /// whole only when the reader has come to its end without an error. Blocking.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` if the bytes are no state of this build.
    fn restore(&self, index: u64, reader: &mut dyn io::Read) -> io::Result<()>;
}

/// A state that does not change any more, to be written down while the machine goes on.
pub trait Frozen: Send {
    /// Writes it. Blocking.
    ///
    /// # Errors
    /// The writer's.
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()>;
}

/// Openraft's view of a [`Machine`].
pub struct StateMachine {
    machine: Arc<dyn Machine>,
    snapshots: Arc<Snapshots>,
    applied: Option<LogId>,
    membership: StoredMembership,
    /// Called where a snapshot's disk fails.
    fatal: Option<Fatal>,
}

/// Whether it is the disk that failed, and not the bytes on it or the want of room.
fn of_the_disk(cause: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, Other, UnexpectedEof, Unsupported};
    !is_full(cause) && !matches!(cause.kind(), InvalidData | Other | UnexpectedEof | Unsupported)
}

impl StateMachine {
    /// An empty state; openraft restores the current snapshot into it.
    #[must_use]
    pub fn new(machine: Arc<dyn Machine>, snapshots: Arc<Snapshots>) -> Self {
        let membership = StoredMembership::default();
        Self { machine, snapshots, applied: None, membership, fatal: None }
    }

    /// The same, which ends the process where a snapshot's disk fails: what it then holds is unknown.
    #[must_use]
    pub fn or_end(self, fatal: Fatal) -> Self {
        Self { fatal: Some(fatal), ..self }
    }

    fn apply_one(&mut self, (entry, responder): EntryResponder<TypeConfig>) {
        let index = entry.log_id.index;
        let receipt = match &entry.payload {
            EntryPayload::Normal(command) => self.machine.apply(index, Some(command)),
            EntryPayload::Blank => self.machine.apply(index, None),
            EntryPayload::Membership(membership) => {
                let gone = left(self.membership.membership(), membership);
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
                self.machine.reconfigure(index, &gone)
            }
        };
        self.applied = Some(entry.log_id);
        if let Some(responder) = responder {
            responder.send(Applied { index, receipt });
        }
    }

    fn builder(&self) -> Builder {
        let last_membership = self.membership.clone();
        Builder {
            meta: SnapshotMeta { last_log_id: self.applied, last_membership },
            state: Mutex::new(Some(self.machine.freeze())),
            snapshots: Arc::clone(&self.snapshots),
            fatal: self.fatal.clone(),
        }
    }
}

/// Who is in one membership and not in the next. Every replica sees the same memberships in the same
/// order, by entries and by snapshots, and so comes to the same.
fn left(before: &Membership, after: &Membership) -> Vec<NodeId> {
    let ids = before.nodes().map(|(id, _)| *id);
    ids.filter(|id| after.get_node(id).is_none()).collect()
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + Send,
    {
        while let Some(entry) = entries.next().await {
            self.apply_one(entry?);
            // A long catch-up must not hold a worker thread from heartbeats.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder> {
        Some(self.builder())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.builder()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        file: SnapshotFile,
    ) -> io::Result<()> {
        let (machine, snapshots) = (Arc::clone(&self.machine), Arc::clone(&self.snapshots));
        let kept = meta.clone();
        let installed = offload::run(move || {
            let index = kept.last_log_id.map_or(0, |id| id.index);
            // Kept only once this build has understood it, else no later start would succeed.
            machine.restore(index, &mut file.state()?)?;
            snapshots.keep(&kept, file)
        });
        or_end(installed.await?, self.fatal.as_ref())?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        Ok(self.snapshots.current())
    }
}

fn or_end<T>(done: io::Result<T>, fatal: Option<&Fatal>) -> io::Result<T> {
    done.inspect_err(|cause| {
        if let Some(fatal) = fatal.filter(|_| of_the_disk(cause)) {
            fatal(&format!("a snapshot cannot be written to disk: {cause}"));
        }
    })
}

/// Writes one snapshot while the machine goes on.
pub struct Builder {
    meta: SnapshotMeta,
    state: Mutex<Option<Box<dyn Frozen>>>,
    snapshots: Arc<Snapshots>,
    fatal: Option<Fatal>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let state = self.state.lock().take();
        let mut state = state.ok_or_else(|| io::Error::other("this snapshot was built already"))?;
        loop {
            let (meta, snapshots) = (self.meta.clone(), Arc::clone(&self.snapshots));
            let write = move || (snapshots.write(&meta, &*state), state);
            let (written, again) = offload::run(write).await?;
            match written {
                // The log goes on without it, and is not purged.
                Err(cause) if is_full(&cause) => {
                    tracing::warn!(%cause, "no room for a snapshot: trying again");
                }
                Err(cause) => {
                    // One that was installed meanwhile stands for all that this one would have.
                    let last = self.meta.last_log_id;
                    let newer = self.snapshots.current().filter(|it| it.meta.last_log_id > last);
                    return newer.map_or_else(|| or_end(Err(cause), self.fatal.as_ref()), Ok);
                }
                Ok(snapshot) => return Ok(snapshot),
            }
            tokio::time::sleep(FULL_AGAIN).await;
            state = again;
        }
    }
}
