//! This node's copy of the agreed state and its store, as consensus drives them and readers see them.
//!
//! Applying is the only writer. Effects outside the process never happen here.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard};
use wardmesh_common::id::{ClusterId, SensorId};
use wardmesh_common::wire::v1::ArchivedEvent;

use crate::facets::Facets;
use crate::ingest::Registry;
use crate::raft::log_store::LogStore;
use crate::raft::state_machine::{Frozen, Machine};
use crate::state::State;
use crate::state::command::Command;
use crate::state::effects::AppliedBatch;
use crate::state::receipt::Receipt;
use crate::store::{CommandLog, DeviceResolver, Store};

/// The state and the store of this node.
pub struct Replica {
    state: RwLock<State>,
    facets: Facets,
    store: Arc<Store>,
}

impl Replica {
    /// An empty state beside an open store; consensus restores and replays into it.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
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
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }
}

impl Machine for Replica {
    fn apply(&self, index: u64, command: Option<&Command>) -> Receipt {
        let Some(command) = command else {
            self.state.write().advance(index);
            self.store.commit(index, Vec::new());
            return Receipt::Done;
        };
        let effects = {
            let mut state = self.state.write();
            let effects = state.apply(index, command);
            self.facets.touch(&effects.batches);
            effects
        };
        self.store.commit(index, effects.batches);
        effects.receipt
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        Box::new(Copy { state: self.state.read().clone(), store: Arc::clone(&self.store) })
    }

    fn restore(&self, index: u64, reader: &mut dyn Read) -> io::Result<()> {
        let state = State::read(reader).map_err(io::Error::other)?;
        // Whatever follows the state is for the reader to check: it has to come to its end.
        let rest = io::copy(reader, &mut io::sink())?;
        if rest > 0 || state.applied() != index {
            let what = format!("the snapshot of index {index} holds another state");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let mut current = self.state.write();
        self.facets.reset();
        *current = state;
        Ok(())
    }
}

/// A state that does not change any more.
struct Copy {
    state: State,
    store: Arc<Store>,
}

impl Frozen for Copy {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        // The index must not be behind a snapshot: what is older than that is not applied again.
        self.store.flush();
        self.state.write(out).map_err(io::Error::other)
    }
}

impl Registry for Replica {
    fn cluster(&self) -> Option<ClusterId> {
        self.state().cluster()
    }

    fn is_revoked(&self, sensor: SensorId) -> bool {
        self.state().sensor(sensor).is_some_and(|sensor| sensor.revoked_at.is_some())
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
}
