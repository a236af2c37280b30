//! A machine for the tests of what drives it: it remembers what it applied.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use wardmesh_common::id::SensorId;
use wardmesh_common::time::Timestamp;

use super::log_store::Fatal;
use super::state_machine::{Frozen, Machine};
use super::types::{Entry, LeaderId, LogId, Payload};
use crate::state::command::{Action, Command, Submission};
use crate::state::receipt::Receipt;

/// The indexes that were applied, in order; a clone is the same one.
#[derive(Clone, Default)]
pub(crate) struct Recorder(pub(crate) Arc<Mutex<Vec<u64>>>);

impl Recorder {
    pub(crate) fn applied(&self) -> Vec<u64> {
        self.0.lock().clone()
    }
}

impl Machine for Recorder {
    fn apply(&self, index: u64, command: Option<&Command>) -> Receipt {
        self.0.lock().push(index);
        command.map_or(Receipt::Done, |_| Receipt::Accepted)
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        Box::new(Written(self.applied()))
    }

    fn restore(&self, _index: u64, reader: &mut dyn io::Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let numbers = bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap()));
        *self.0.lock() = numbers.collect();
        Ok(())
    }
}

/// A frozen [`Recorder`].
pub(crate) struct Written(pub(crate) Vec<u64>);

impl Frozen for Written {
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.0.iter().try_for_each(|number| out.write_all(&number.to_le_bytes()))
    }
}

/// A disk that must not fail.
pub(crate) fn never() -> Fatal {
    Arc::new(|reason| panic!("{reason}"))
}

pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, node_id: 1 }, index)
}

/// An entry with one batch of so many bytes.
pub(crate) fn ingest(term: u64, index: u64, bytes: usize) -> Entry {
    let frame = Bytes::from(vec![index as u8; bytes]);
    let batch = Submission { sensor: SensorId([7; 16]), clock_offset: 1, frame };
    let command = Command::new(Timestamp::default(), Action::Ingest(vec![batch]));
    Entry { log_id: log_id(term, index), payload: Payload::Normal(command) }
}
