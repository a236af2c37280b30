//! At a start: what the ledger was told holds against what lies in the spool.
//!
//! It looks once and mends the ledger, or forgets; it must not promise anything anew.

use std::collections::BTreeMap;

use wardmesh_common::wire::frame::{Frame, Header};

use super::super::store::{self, key};
use super::super::{Position, SpoolError};
use super::Writer;
use crate::ledger::{Entry, Place, Standing, Told};

impl Writer {
    /// Writes the lines that an earlier start was killed before: `emitted` of batches that had reached
    /// the disk, `rejected` of those that became dead letters, and `readopted` of those that had got
    /// another number, which only a `complete` spool can tell. What is called acknowledged and lies
    /// here all the same, it was killed before it had forgotten.
    pub(super) fn catch_up_ledger(&mut self, complete: bool) -> Result<(), SpoolError> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        let Told { mut open, acked } = ledger.take_told();
        let (mut lines, mut forgotten) = (Vec::new(), Vec::new());
        for entry in self.store.batches.iter() {
            let (key, bytes) = entry.map_err(|cause| self.store.error(&cause))?;
            let Ok(frame) = Frame::open(&bytes) else { continue };
            let Header { lane, epoch, seq, events, .. } = frame.header;
            let place = (lane, epoch, seq);
            if acked.contains(&place) {
                forgotten.extend(store::position(&key).map(|at| (lane, at, bytes.len())));
            } else if open.remove(&place).is_none() {
                lines.push(Entry { lane, epoch, seq, events, standing: Standing::Emitted });
            }
        }
        lines.extend(self.gone(open, complete));
        self.record(&lines)?;
        forgotten.into_iter().try_for_each(|(lane, at, length)| self.remove(lane, at, length))
    }

    /// What became of places that are open in the ledger and do not lie here.
    fn gone(&self, open: BTreeMap<Place, u32>, complete: bool) -> Vec<Entry> {
        let starts = self.store.starts();
        let is_dead = |lane, epoch, seq| {
            let of = starts.iter().filter(|(_, of)| *of == epoch);
            let mut keys = of.map(|(start, _)| key(lane, Position { start: *start, seq }));
            keys.any(|key| self.store.dead.contains_key(key).unwrap_or(false))
        };
        let standing = |(lane, epoch, seq)| match is_dead(lane, epoch, seq) {
            true => Some(Standing::Rejected),
            false => complete.then_some(Standing::Readopted),
        };
        let entry = |((lane, epoch, seq), events)| {
            standing((lane, epoch, seq)).map(|standing| Entry {
                lane,
                epoch,
                seq,
                events,
                standing,
            })
        };
        open.into_iter().filter_map(entry).collect()
    }
}
