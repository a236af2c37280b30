//! The checked way from an archive's bytes to a batch: after it, every index is in range.

use rkyv::rancor;

use super::ArchivedBatch;
use crate::wire::EVENTS_PER_BATCH_MAX;

/// Why an archive is no batch. No variant carries its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotABatch {
    /// The bytes break rkyv's layout.
    #[error("the archive is not laid out as a batch")]
    Layout,
    /// More events than a batch may hold, or not as many as the header says.
    #[error("the batch holds {actual} events, its header says {expected}")]
    Count {
        /// Events that are there.
        actual: usize,
        /// Events that the header says.
        expected: usize,
    },
    /// An event refers to a name or interface that the batch does not have, to a VLAN that cannot be,
    /// or has an attribute without a value.
    #[error("event {event}: {what}")]
    Event {
        /// Its position in the batch, from 0.
        event: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A batch whose every index was checked.
#[derive(Clone, Copy)]
pub struct Batched<'a>(&'a ArchivedBatch);

impl<'a> std::ops::Deref for Batched<'a> {
    type Target = &'a ArchivedBatch;

    fn deref(&self) -> &&'a ArchivedBatch {
        &self.0
    }
}

/// Checks an archive that must hold `events` events.
///
/// # Errors
/// [`NotABatch`], the first that is found.
pub fn open(archive: &[u8], events: u32) -> Result<Batched<'_>, NotABatch> {
    let batch = rkyv::access::<ArchivedBatch, rancor::Failure>(archive)
        .map_err(|rancor::Failure| NotABatch::Layout)?;
    let (actual, expected) = (batch.events.len(), events as usize);
    if actual != expected || actual > EVENTS_PER_BATCH_MAX {
        return Err(NotABatch::Count { actual, expected });
    }
    for (position, event) in batch.events.iter().enumerate() {
        let wrong = |what| NotABatch::Event { event: position, what };
        let names = batch.names.len();
        let known = |index: u16| (index as usize) < names;
        if event.interface.to_native() as usize >= batch.interfaces.len() {
            return Err(wrong("the interface is not in the batch"));
        }
        if event.device.vlan.as_ref().is_some_and(|vlan| !(1..=4094).contains(&vlan.to_native())) {
            return Err(wrong("the VLAN id is not between 1 and 4094"));
        }
        let protocol = event.service.as_ref().and_then(|service| service.protocol.as_ref());
        if protocol.is_some_and(|index| !known(index.to_native())) {
            return Err(wrong("the protocol's name is not in the batch"));
        }
        if event.attributes.iter().any(|attribute| !known(attribute.key.to_native())) {
            return Err(wrong("an attribute's key is not in the batch"));
        }
        if event.attributes.iter().any(|attribute| attribute.values.is_empty()) {
            return Err(wrong("an attribute has no value"));
        }
        if event.counters.iter().any(|counter| !known(counter.key.to_native())) {
            return Err(wrong("a counter's name is not in the batch"));
        }
    }
    Ok(Batched(batch))
}
