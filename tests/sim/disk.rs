//! The simulated disks: what was not synced is forgotten at a crash, but for a beginning of it that
//! chance chooses. A node's log is synced in groups and late; a sensor's spool at once, and the power
//! may fail between any two of its writes and syncs.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use wardmesh_sensor::ledger::Journal;
use wardmesh_sensor::spool::table::{Disk, Rack, Rows, Table};

use crate::dice::Dice;
use crate::judge::Judge;

/// A value that is written in steps, and what of it is on the disk.
#[derive(Clone, Debug)]
pub(crate) struct Platter<S, W> {
    pub(crate) durable: S,
    /// As the running process reads it.
    pub(crate) current: S,
    pending: Vec<W>,
    written: u64,
}

impl<S: Default, W> Default for Platter<S, W> {
    fn default() -> Self {
        let (durable, current) = Default::default();
        Self { durable, current, pending: Vec::new(), written: 0 }
    }
}

/// A step.
pub(crate) trait Step<S> {
    fn take(&self, state: &mut S);
}

impl<S: Clone, W: Step<S>> Platter<S, W> {
    /// Writes; not durable yet.
    pub(crate) fn write(&mut self, step: W) -> u64 {
        step.take(&mut self.current);
        self.pending.push(step);
        self.written += 1;
        self.written
    }

    /// How many steps were written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Makes durable what was written up to a step.
    pub(crate) fn sync(&mut self, upto: u64) {
        let first = self.written - self.pending.len() as u64;
        for step in self.pending.drain(..upto.saturating_sub(first) as usize) {
            step.take(&mut self.durable);
        }
    }

    /// The power fails: of what was not synced a beginning has got to the disk.
    pub(crate) fn crash(&mut self, dice: &mut Dice) -> usize {
        let kept = dice.below(self.pending.len() as u64 + 1) as usize;
        let lost = self.pending.len() - kept;
        self.sync(self.written - lost as u64);
        self.pending.clear();
        self.current = self.durable.clone();
        lost
    }

    /// Changes what is on the disk as no disk should.
    pub(crate) fn damage(&mut self, damage: impl FnOnce(&mut S)) {
        damage(&mut self.durable);
        self.current = self.durable.clone();
    }
}

/// The tables of a spool.
pub(crate) type Tables = BTreeMap<String, BTreeMap<Vec<u8>, Bytes>>;

/// Changes of one table that come to be together.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    table: String,
    rows: Vec<(Vec<u8>, Option<Bytes>)>,
}

impl Step<Tables> for Change {
    fn take(&self, tables: &mut Tables) {
        let table = tables.entry(self.table.clone()).or_default();
        for (key, value) in &self.rows {
            match value {
                Some(value) => drop(table.insert(key.clone(), value.clone())),
                None => drop(table.remove(key)),
            }
        }
    }
}

/// A sensor's disk: its spool and its ledger.
#[derive(Default)]
pub(crate) struct SensorDisk {
    pub(crate) spool: Platter<Tables, Change>,
    pub(crate) ledger: Vec<u8>,
    /// After so many more writes and syncs the power fails.
    pub(crate) fuse: Option<u64>,
    /// The power has failed.
    pub(crate) dead: bool,
    /// Syncs do nothing: a disk that lies.
    pub(crate) lies: bool,
}

impl SensorDisk {
    fn burn(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.fuse {
            self.dead |= *left == 0;
            *left = left.saturating_sub(1);
        }
        if self.dead { Err(io::Error::other("the power has failed")) } else { Ok(()) }
    }

    /// The host goes down.
    pub(crate) fn crash(&mut self, dice: &mut Dice) -> usize {
        (self.fuse, self.dead) = (None, false);
        self.spool.crash(dice)
    }
}

/// A sensor's disk as its spool and ledger hold it.
#[derive(Clone)]
pub(crate) struct Mounted {
    pub(crate) disk: Arc<Mutex<SensorDisk>>,
    pub(crate) judge: Arc<Mutex<Judge>>,
    pub(crate) sensor: u64,
}

impl Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the disk of sensor {}", self.sensor)
    }
}

impl Disk for Mounted {
    fn table(&self, name: &str) -> io::Result<Table> {
        Ok(Table(Arc::new(MountedTable { name: name.to_owned(), on: self.clone() })))
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.burn()?;
        if !disk.lies {
            let written = disk.spool.written();
            disk.spool.sync(written);
        }
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.disk.lock().burn()
    }
}

impl Journal for Mounted {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.burn()?;
        disk.ledger.extend_from_slice(lines);
        drop(disk);
        self.judge.lock().ledger(self.sensor, lines);
        Ok(())
    }
}

#[derive(Debug)]
struct MountedTable {
    name: String,
    on: Mounted,
}

impl Rack for MountedTable {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        let disk = self.on.disk.lock();
        Ok(disk.spool.current.get(&self.name).and_then(|table| table.get(key).cloned()))
    }

    fn apply(&self, rows: Vec<(Vec<u8>, Option<Bytes>)>) -> io::Result<()> {
        let mut disk = self.on.disk.lock();
        disk.burn()?;
        if self.name == "batches" {
            let mut judge = self.on.judge.lock();
            let frames = rows.iter().filter_map(|(_, value)| value.as_ref());
            frames.for_each(|frame| judge.sealed(self.on.sensor, frame));
        }
        disk.spool.write(Change { table: self.name.clone(), rows });
        Ok(())
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Rows<'_> {
        let disk = self.on.disk.lock();
        let found: Vec<_> = disk.spool.current.get(&self.name).map_or_else(Vec::new, |table| {
            let rows = table.range::<[u8], _>((from, to));
            rows.map(|(key, value)| Ok((Bytes::copy_from_slice(key), value.clone()))).collect()
        });
        Box::new(found.into_iter())
    }

    fn len(&self) -> usize {
        self.on.disk.lock().spool.current.get(&self.name).map_or(0, BTreeMap::len)
    }
}
