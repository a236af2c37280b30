//! Numbering anew what an epoch still holds: for a lane that cannot go on at the aggregator.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::{Frame, Header};

use super::{Writer, sealed_with};
use crate::ledger::{Batch, Entry, Standing};
use crate::spool::store::key;
use crate::spool::table::Changes;
use crate::spool::{Position, SpoolError};

/// Batches that are numbered anew in one step: at most 14 MiB of old and new frames.
const READOPTED_AT_ONCE: usize = 64;

/// What is said of a batch that gets another number.
fn line((old, new): &(Batch, Entry), standing: fn(Batch) -> Standing) -> Entry {
    let ((lane, epoch, seq), chain) = *old;
    let heir = ((new.lane, new.epoch, new.seq), new.chain.unwrap_or_default());
    Entry { lane, epoch, seq, events: new.events, chain: Some(chain), standing: standing(heir) }
}

impl Writer {
    /// See [`crate::spool::Spool::readopt`].
    pub(super) fn readopt(
        &mut self,
        lane: Lane,
        epoch: u64,
        renewed: u64,
    ) -> Result<(), SpoolError> {
        let starts = self.starts_of(epoch);
        if epoch == self.epoch {
            self.renew(self.start + 1, renewed)?;
        }
        for (start, _) in &starts {
            while self.readopt_some(lane, *start)? {}
        }
        self.store.forget_empty_starts(self.start);
        self.publish();
        Ok(())
    }

    /// Moves what an epoch holds before a place to the dead letters: it may have been applied, and to
    /// send it again could count it twice. A crash in between leaves both; the next start keeps the
    /// letter.
    pub(super) fn bury_before(
        &mut self,
        lane: Lane,
        epoch: u64,
        undecided: u64,
    ) -> Result<(), SpoolError> {
        let Some(through) = undecided.checked_sub(1) else { return Ok(()) };
        for (start, _) in self.starts_of(epoch) {
            loop {
                let range = self.range(lane, start, through);
                let held: Vec<_> = range.take(READOPTED_AT_ONCE).collect::<Result<_, _>>()?;
                if held.is_empty() {
                    break;
                }
                self.bury_some(lane, epoch, &held, "undecided")?;
            }
        }
        Ok(())
    }

    /// Moves some batches of an epoch to the dead letters: the letters last before the batches go.
    pub(super) fn bury_some(
        &mut self,
        lane: Lane,
        epoch: u64,
        held: &[(Position, Bytes)],
        reason: &str,
    ) -> Result<(), SpoolError> {
        let (mut letters, mut entries) = (Changes::default(), Vec::new());
        for (position, bytes) in held {
            let letter = [reason.as_bytes(), &[0], bytes].concat();
            letters.insert(&key(lane, *position), letter.into());
            let (seq, (events, chain)) = (position.seq, sealed_with(bytes));
            entries.push(Entry { lane, epoch, seq, events, chain, standing: Standing::Rejected });
        }
        self.store.dead.apply_batch(letters).map_err(|cause| self.store.error(&cause))?;
        self.store.sync()?;
        self.record(&entries)?;
        for ((position, bytes), entry) in held.iter().zip(&entries) {
            self.counts.dead.fetch_add(u64::from(entry.events), Ordering::Relaxed);
            self.remove(lane, *position, bytes.len())?;
        }
        Ok(())
    }

    /// Numbers some batches of a start anew: the new ones come and the old ones go in one step, so
    /// that no crash leaves both. The ledger is told before, so that after a crash the new ones are
    /// known for what they are, and again once they are durable. Whether there were any.
    fn readopt_some(&mut self, lane: Lane, start: u64) -> Result<bool, SpoolError> {
        let held = self.some_batches_of(lane, start)?;
        let (mut changes, mut moves, mut scratch) = (Changes::default(), Vec::new(), Vec::new());
        let (mut came, mut went) = (0, 0);
        for (old, bytes) in &held {
            let opened = Frame::open(bytes)
                .and_then(|frame| Ok((frame.header, frame.archive(&mut scratch)?)));
            let Ok((Header { epoch, seq, events, chain, .. }, archive)) = opened else {
                self.bury(lane, *old, "damaged")?;
                continue;
            };
            let (new, entry, sealed) = self.seal(lane, events, archive)?;
            moves.push((((lane, epoch, seq), chain), entry));
            came += sealed.len() as u64;
            changes.insert(&key(lane, new), sealed);
            changes.remove(&key(lane, *old));
            went += bytes.len() as u64;
        }
        let lines =
            |standing: fn(Batch) -> Standing| moves.iter().map(move |to| line(to, standing));
        self.record(&lines(Standing::Readopting).collect::<Vec<_>>())?;
        self.store.batches.apply_batch(changes).map_err(|cause| self.store.error(&cause))?;
        self.store.sync()?;
        self.counts.bytes.fetch_add(came, Ordering::AcqRel);
        self.counts.bytes.fetch_sub(went, Ordering::AcqRel);
        // The new ones first: cut off in between, they still stand for the old.
        let new = moves.iter().map(|(_, new)| *new);
        self.record(&new.chain(lines(Standing::Readopted)).collect::<Vec<_>>())?;
        Ok(!held.is_empty())
    }

    fn some_batches_of(
        &self,
        lane: Lane,
        start: u64,
    ) -> Result<Vec<(Position, Bytes)>, SpoolError> {
        self.range(lane, start, u64::MAX).take(READOPTED_AT_ONCE).collect()
    }
}
