//! This node's copy of the agreed state and its store, as consensus drives them and readers see them.
//!
//! Applying is the only writer. Effects outside the process never happen here.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard};
use wardmesh_common::id::{ClusterId, NodeId, SensorId};
use wardmesh_common::time::Timestamp;
use wardmesh_common::wire::v1::ArchivedEvent;

use crate::facets::Facets;
use crate::ingest::Registry;
use crate::raft::consensus::History;
use crate::raft::log_store::LogStore;
use crate::raft::rpc::{HistoryFile, HistoryName};
use crate::raft::state_machine::{Frozen, Machine};
use crate::state::State;
use crate::state::command::Command;
use crate::state::effects::AppliedBatch;
use crate::state::receipt::Receipt;
use crate::state::snapshot::Picture;
use crate::store::archive::FileName;
use crate::store::{CommandLog, DeviceResolver, Store};

/// Where the rows of applied batches go: this node's store, but in a simulation.
pub trait Rows: Send + Sync + 'static {
    /// Takes what the entry at `index` applied, which may be nothing.
    fn commit(&self, index: u64, batches: Vec<AppliedBatch>);

    /// Makes what was taken durable.
    fn flush(&self);

    /// Told the log before its first entry is applied.
    fn attach(&self, log: LogStore) {
        drop(log);
    }

    /// Keeps what applying entries through `index` gave, which a snapshot will stand for: they are
    /// not applied again.
    ///
    /// # Errors
    /// The disk's.
    fn keep(&self, index: u64) -> io::Result<()> {
        let _ = index;
        self.flush();
        Ok(())
    }

    /// The state is now that of a snapshot of `index`.
    fn restored(&self, index: u64) {
        let _ = index;
    }
}

impl Rows for Store {
    fn commit(&self, index: u64, batches: Vec<AppliedBatch>) {
        Self::commit(self, index, batches);
    }

    fn flush(&self) {
        Self::flush(self);
    }

    fn attach(&self, log: LogStore) {
        Self::attach(self, Box::new(log));
    }

    fn keep(&self, index: u64) -> io::Result<()> {
        Ok(Self::keep(self, index)?)
    }

    fn restored(&self, index: u64) {
        Self::restored(self, index);
    }
}

/// The state and the store of this node.
pub struct Replica<R = Store> {
    state: RwLock<State>,
    facets: Facets,
    store: Arc<R>,
}

impl<R> Replica<R> {
    /// An empty state beside an open store; consensus restores and replays into it.
    #[must_use]
    pub fn new(store: Arc<R>) -> Self {
        Self { state: RwLock::new(State::new()), facets: Facets::default(), store }
    }

    /// The state as of the last applied entry; held only as long as a page takes.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    /// By what devices are found.
    #[must_use]
    pub fn facets(&self) -> &Facets {
        &self.facets
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<R> {
        &self.store
    }
}

impl<R: Rows> Machine for Replica<R> {
    fn apply(&self, index: u64, command: Option<&Command>) -> Receipt {
        let Some(command) = command else {
            let mut state = self.state.write();
            state.advance(index);
            self.store.commit(index, Vec::new());
            return Receipt::Done;
        };
        let mut state = self.state.write();
        let effects = state.apply(index, command);
        self.facets.touch(&effects.refaceted);
        // Before anybody can see that the entry is applied, or it would be archived without its rows.
        self.store.commit(index, effects.batches);
        effects.receipt
    }

    fn attach(&self, log: LogStore) {
        self.store.attach(log);
    }

    fn reconfigure(&self, index: u64, gone: &[NodeId]) -> Receipt {
        let mut state = self.state.write();
        state.reconfigure(index, gone);
        self.store.commit(index, Vec::new());
        Receipt::Done
    }

    fn retired(&self) -> Vec<(NodeId, Timestamp)> {
        self.state().retired_nodes().map(|node| (node.id, node.at)).collect()
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        Box::new(Copy { state: self.state.read().picture(), store: Arc::clone(&self.store) })
    }

    fn restore(&self, index: u64, reader: &mut dyn Read) -> io::Result<()> {
        let state = State::read(reader).map_err(io::Error::other)?;
        // Whatever follows the state is for the reader to check: it has to come to its end.
        let rest = io::copy(reader, &mut io::sink())?;
        if rest > 0 || state.applied() != index {
            let what = format!("the snapshot of index {index} holds another state");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        self.store.restored(index);
        let mut current = self.state.write();
        self.facets.reset();
        let before = std::mem::replace(&mut *current, state);
        // Its rows are let go of while readers have the new ones.
        drop(current);
        drop(before);
        Ok(())
    }
}

/// A state that does not change any more.
struct Copy<R> {
    state: Picture,
    store: Arc<R>,
}

impl<R: Rows> Frozen for Copy<R> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.store.keep(self.state.applied())?;
        self.state.write(out).map_err(io::Error::other)
    }
}

impl<R: Rows> Registry for Replica<R> {
    fn cluster(&self) -> Option<ClusterId> {
        self.state().cluster()
    }

    fn is_revoked(&self, sensor: SensorId) -> bool {
        self.state().sensor(sensor).is_some_and(|sensor| sensor.revoked_at.is_some())
    }
}

impl History for Replica {
    fn files(&self, below: u64) -> Vec<HistoryFile> {
        let archive = self.store.archive();
        let last = below.saturating_sub(1);
        if archive.archived_through() < Some(last) && last <= self.state().applied() {
            self.store.want_archived(last);
        }
        let files = archive.files().into_iter().filter(|file| file.first < below);
        files
            .map(|file| HistoryFile {
                name: HistoryName { first: file.first, through: file.through },
                bytes: file.bytes,
            })
            .collect()
    }

    fn read(&self, file: HistoryName, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let name = FileName { first: file.first, through: file.through };
        Ok(self.store.archive().read_file(name, offset, length)?)
    }
}

impl DeviceResolver for Replica {
    fn device_of(
        &self,
        batch: &AppliedBatch,
        interface: &str,
        event: &ArchivedEvent,
    ) -> Option<wardmesh_common::id::DeviceId> {
        self.state().device_of(batch.sensor, interface, event)
    }
}

impl CommandLog for LogStore {
    fn read(&self, index: u64) -> io::Result<Option<Bytes>> {
        if !self.kept().contains(&index) {
            // An entry of Raft's own and one that is not here are different answers.
            return Err(io::ErrorKind::NotFound.into());
        }
        let stored = Self::read(self, index)?;
        Ok(stored.filter(|stored| stored.is_command()).map(|stored| stored.bytes().clone()))
    }

    fn first(&self) -> u64 {
        self.kept().start
    }

    fn bytes_from(&self, index: u64) -> u64 {
        Self::bytes_from(self, index)
    }
}
