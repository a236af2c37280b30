//! What this sensor promised, for an outsider to check: one synced JSON line a batch.
//!
//! `{"lane":"bulk","epoch":"00c0ffee00c0ffee","seq":1,"events":512,"state":"emitted"}`. `emitted` is
//! written after the spool's sync, `acked` before the batch is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Deserialize;
use wardmesh_common::wire::Lane;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Durable in the spool.
    Emitted,
    /// Acknowledged by the aggregator.
    Acked,
    /// Never to be taken: in the dead letters.
    Rejected,
    /// Numbered anew: the next `emitted` line of another epoch stands for it.
    Readopted,
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The lane.
    pub lane: Lane,
    /// The epoch.
    pub epoch: u64,
    /// The sequence number.
    pub seq: u64,
    /// Events in the batch.
    pub events: u32,
    /// What became of it.
    pub standing: Standing,
}

/// What a ledger is written to: a file, or memory in a simulation.
pub trait Journal: Debug + Send {
    /// Appends lines and makes them durable.
    ///
    /// # Errors
    /// The disk's.
    fn append(&mut self, lines: &[u8]) -> io::Result<()>;
}

impl Journal for File {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.write_all(lines)?;
        self.sync_data()
    }
}

/// An open ledger.
#[derive(Debug)]
pub struct Ledger {
    journal: Box<dyn Journal>,
    told: Told,
}

/// What earlier starts said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The places that were called emitted and nothing else since, with their events.
    pub open: BTreeMap<Place, u32>,
    /// Those that were called acknowledged.
    pub acked: BTreeSet<Place>,
}

/// A batch's lane, epoch and sequence number.
pub type Place = (Lane, u64, u64);

/// What is read of a line.
#[derive(Deserialize)]
struct Line<'a> {
    lane: &'a str,
    epoch: &'a str,
    seq: u64,
    events: u32,
    state: &'a str,
}

impl Line<'_> {
    fn place(&self) -> Option<Place> {
        let lane = Lane::ALL.into_iter().find(|lane| lane.as_str() == self.lane)?;
        Some((lane, u64::from_str_radix(self.epoch, 16).ok()?, self.seq))
    }
}

impl Ledger {
    /// Opens a ledger to append to, making it and syncing its folder where it is new. A last line that
    /// was cut off is removed: it promised nothing.
    ///
    /// # Errors
    /// Where the file cannot be made or read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64)?;
            file.sync_data()?;
        }
        Ok(Self::over(&text, Box::new(file)))
    }

    /// A ledger that holds `text` and goes on in `journal`.
    #[must_use]
    pub fn over(text: &[u8], journal: Box<dyn Journal>) -> Self {
        let mut told = Told::default();
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { continue };
            let Some(place) = line.place() else { continue };
            if line.state == "emitted" {
                told.open.insert(place, line.events);
                continue;
            }
            told.open.remove(&place);
            if line.state == "acked" {
                told.acked.insert(place);
            }
        }
        Self { journal, told }
    }

    /// What earlier starts said; it is told once.
    pub fn take_told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }

    /// Appends a line each and syncs once.
    ///
    /// # Errors
    /// Where the write or sync fails.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut lines = String::new();
        for Entry { lane, epoch, seq, events, standing } in entries {
            let state = match standing {
                Standing::Emitted => "emitted",
                Standing::Acked => "acked",
                Standing::Rejected => "rejected",
                Standing::Readopted => "readopted",
            };
            lines.push_str(&format!(
                "{{\"lane\":\"{lane}\",\"epoch\":\"{epoch:016x}\",\"seq\":{seq},\
                 \"events\":{events},\"state\":\"{state}\"}}\n"
            ));
        }
        if lines.is_empty() {
            return Ok(());
        }
        self.journal.append(lines.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_after_a_line_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.ndjson");
        let entry =
            |seq| Entry { lane: Lane::Bulk, epoch: 7, seq, events: 3, standing: Standing::Emitted };
        Ledger::open(&path).unwrap().append(&[entry(1), entry(2)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.take_told().open, BTreeMap::from([((Lane::Bulk, 7, 1), 3)]));
        ledger.append(&[entry(2)]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        ledger.append(&[Entry { standing: Standing::Acked, ..entry(1) }]).unwrap();
        let told = Ledger::open(&path).unwrap().take_told();
        assert_eq!(told.open, BTreeMap::from([((Lane::Bulk, 7, 2), 3)]));
        assert_eq!(told.acked, BTreeSet::from([(Lane::Bulk, 7, 1)]));
    }
}
