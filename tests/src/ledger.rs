//! What a sensor promised: its ledger as an outsider reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// A batch's place: epoch, lane, sequence number.
pub type Place = (String, String, u64);

/// One line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which batch.
    pub place: Place,
    /// Events in it.
    pub events: u64,
    /// What became of it: `emitted`, `acked`, `rejected`, `readopted` or `lost`.
    pub state: String,
}

impl Line {
    /// Reads a whole line.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| Some(line[name].as_str()?.to_owned());
        let place = (text("epoch")?, text("lane")?, line["seq"].as_u64()?);
        Some(Self { place, events: line["events"].as_u64()?, state: text("state")? })
    }
}

/// A sensor's ledger.
#[derive(Default)]
pub struct Ledger {
    /// Batches that must be in the cluster, with the number of their events.
    pub promised: BTreeMap<Place, u64>,
    /// Those of them that were acknowledged.
    pub acked: BTreeSet<Place>,
    /// Batches that were moved to the dead letters.
    pub rejected: BTreeSet<Place>,
    /// Batches that were numbered anew.
    pub readopted: BTreeSet<Place>,
    /// Batches that are nowhere any more.
    pub lost: BTreeSet<Place>,
}

impl Ledger {
    /// Reads a ledger; a sensor that has not written yet promised nothing. A last line that was cut
    /// short by a kill promises nothing either.
    pub fn read(path: &Path) -> Self {
        let mut ledger = Self::default();
        let text = std::fs::read_to_string(path).unwrap_or_default();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let read = Line::read(line);
            ledger.note(read.unwrap_or_else(|| panic!("{}: {line}", path.display())));
        }
        ledger
    }

    fn note(&mut self, Line { place, events, state }: Line) {
        match state.as_str() {
            "emitted" => {
                let before = self.promised.insert(place.clone(), events);
                assert_eq!(before, None, "{place:?} was emitted twice");
            }
            "acked" => {
                // Synced in the spool, killed before its line was written.
                self.promised.entry(place.clone()).or_insert(events);
                assert!(self.acked.insert(place.clone()), "{place:?} was acknowledged twice");
            }
            "rejected" => {
                self.promised.remove(&place);
                self.rejected.insert(place);
            }
            "readopted" => {
                self.promised.remove(&place);
                self.readopted.insert(place);
            }
            "lost" => {
                self.promised.remove(&place);
                self.lost.insert(place);
            }
            other => panic!("the ledger calls {place:?} {other}"),
        }
    }

    /// Events that were promised.
    pub fn events(&self) -> u64 {
        self.promised.values().sum()
    }

    /// The epochs of what was promised.
    pub fn epochs(&self) -> BTreeSet<&str> {
        self.promised.keys().map(|(epoch, ..)| epoch.as_str()).collect()
    }
}
