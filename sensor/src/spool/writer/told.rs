//! At a start: what the ledger was told holds against what lies in the spool.
//!
//! It looks once and mends the ledger, or forgets; it must not promise anything anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{Frame, Header};

use super::super::{SpoolError, store};
use super::Writer;
use crate::ledger::{Batch, Entry, Place, Standing, Told};

/// What lies in the dead letters; without a chain hash where it cannot be read.
type Letters = BTreeSet<(Place, Option<u64>)>;

impl Writer {
    /// Writes the lines that an earlier start was killed before: `emitted` of batches that had reached
    /// the disk, `rejected` of those that became dead letters, `readopted` of those that had got
    /// another number. What else is promised and not here is `lost`. What is called acknowledged and
    /// lies here all the same, it was killed before it had forgotten.
    pub(super) fn catch_up_ledger(&mut self) -> Result<(), SpoolError> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        let told = ledger.take_told();
        let (mut lines, mut forgotten, mut held) = (Vec::new(), Vec::new(), BTreeSet::new());
        for entry in self.store.batches.iter() {
            let (key, bytes) = entry.map_err(|cause| self.store.error(&cause))?;
            let Ok(frame) = Frame::open(&bytes) else { continue };
            let batch = batch(&frame.header);
            if told.is_answered(&batch) {
                let lane = frame.header.lane;
                forgotten.extend(store::position(&key).map(|at| (lane, at, bytes.len())));
                continue;
            }
            if !told.open.contains_key(&batch) {
                lines.push(line(batch, frame.header.events, Standing::Emitted));
            }
            held.insert(batch);
        }
        lines.extend(self.gone(&told, &held)?);
        self.record(&lines)?;
        let lost = lines.iter().filter(|line| line.standing == Standing::Lost);
        self.count_lost(lost.map(|line| u64::from(line.events)).sum());
        forgotten.into_iter().try_for_each(|(lane, at, length)| self.remove(lane, at, length))
    }

    fn count_lost(&self, events: u64) {
        if events > 0 {
            tracing::error!(events, "the spool has lost what was promised: was its disk set back?");
            self.counts.lost.fetch_add(events, Ordering::Relaxed);
        }
    }

    /// What became of batches that are open in the ledger and are not held.
    fn gone(&self, told: &Told, held: &BTreeSet<Batch>) -> Result<Vec<Entry>, SpoolError> {
        let gone: Vec<_> = told.open.iter().filter(|(batch, _)| !held.contains(batch)).collect();
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let letters = self.letters()?;
        let before: BTreeMap<_, _> = told.heirs.iter().map(|(old, new)| (new, old)).collect();
        let other = |batch: &Batch| {
            // What was promised under its new number had been durable: it is lost under that one.
            let heir = told.heirs.get(batch);
            let heir = heir.filter(|new| held.contains(new) || told.open.contains_key(new));
            // Or an older disk has it under the number that it had.
            let mut olds = std::iter::successors(before.get(batch), |old| before.get(*old));
            heir.or_else(|| olds.find(|old| held.contains(*old)).copied()).copied()
        };
        let standing = |batch: &Batch| {
            let (place, chain) = *batch;
            match letters.contains(&(place, Some(chain))) || letters.contains(&(place, None)) {
                true => Standing::Rejected,
                false => other(batch).map_or(Standing::Lost, Standing::Readopted),
            }
        };
        Ok(gone.into_iter().map(|(batch, events)| line(*batch, *events, standing(batch))).collect())
    }

    fn letters(&self) -> Result<Letters, SpoolError> {
        let starts: BTreeMap<_, _> = self.store.starts().into_iter().collect();
        let mut letters = Letters::new();
        for entry in self.store.dead.iter() {
            let (key, letter) = entry.map_err(|cause| self.store.error(&cause))?;
            let frame = letter.splitn(2, |byte| *byte == 0).nth(1).unwrap_or_default();
            if let Ok(frame) = Frame::open(frame) {
                let (place, chain) = batch(&frame.header);
                letters.insert((place, Some(chain)));
            } else if let Some(at) = store::position(&key)
                && let Some(lane) = key.first().and_then(|lane| Lane::from_number(*lane))
                && let Some(epoch) = starts.get(&at.start)
            {
                letters.insert(((lane, *epoch, at.seq), None));
            }
        }
        Ok(letters)
    }
}

fn batch(Header { lane, epoch, seq, chain, .. }: &Header) -> Batch {
    ((*lane, *epoch, *seq), *chain)
}

fn line(((lane, epoch, seq), chain): Batch, events: u32, standing: Standing) -> Entry {
    Entry { lane, epoch, seq, events, chain: Some(chain), standing }
}
