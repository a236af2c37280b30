//! I6: within a sensor's epoch and lane, sequence numbers are applied without gaps and in order.

use std::collections::BTreeMap;

use super::Invariant;
use crate::judge::{Fact, Place};
use wardmesh_common::wire::Lane;

#[derive(Default)]
pub(crate) struct Order {
    last: BTreeMap<(u64, Lane, u64), u64>,
}

impl Order {
    fn next(&mut self, index: u64, sensor: u64, (lane, epoch, seq): Place) -> Result<(), String> {
        let last = self.last.insert((sensor, lane, epoch), seq).unwrap_or(0);
        if seq == last + 1 {
            return Ok(());
        }
        Err(format!("sensor {sensor}, {lane} of {epoch:x}: {seq} came after {last} at {index}"))
    }
}

impl Invariant for Order {
    fn name(&self) -> &'static str {
        "I6 order"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Agreed { index, batches, skipped } = fact else { return Ok(()) };
        for batch in *batches {
            self.next(*index, batch.sensor, batch.place)?;
        }
        skipped.map_or(Ok(()), |(sensor, place)| self.next(*index, sensor, place))
    }
}
