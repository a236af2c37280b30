//! What this sensor promised, for an outsider to check: one synced JSON line a batch.
//!
//! `{"lane":"bulk","epoch":"00c0ffee00c0ffee","seq":1,"events":512,"state":"emitted"}`. `emitted` is
//! written after the spool's sync, `acked` before the batch is forgotten.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

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

/// An open ledger.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    /// Opens a ledger to append to, making it and syncing its folder where it is new.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(Self(file))
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
        self.0.write_all(lines.as_bytes())?;
        self.0.sync_data()
    }
}
