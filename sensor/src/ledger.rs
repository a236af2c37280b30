//! What this sensor promised, for an outsider to check: one synced JSON line a batch.
//!
//! `{"lane":"bulk","epoch":"00c0ffee00c0ffee","seq":1,"events":512,"state":"emitted","chain":"…"}`.
//! `emitted` is written after the spool's sync, `acked` before the batch is forgotten. A set back memory
//! seals other contents at a place: which batch a line is about, its chain hash tells.

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
    /// About to be numbered anew: to be believed only where the new batch is there.
    Readopting(Batch),
    /// Numbered anew: this batch, which is called emitted before, stands for it.
    Readopted(Batch),
    /// Gone from the spool before it was known to be acknowledged: it may have arrived.
    Lost,
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Emitted => "emitted",
            Self::Acked => "acked",
            Self::Rejected => "rejected",
            Self::Readopting(_) => "readopting",
            Self::Readopted(_) => "readopted",
            Self::Lost => "lost",
        }
    }
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
    /// Its chain hash; none where it cannot be read.
    pub chain: Option<u64>,
    /// What became of it.
    pub standing: Standing,
}

impl Entry {
    fn line(&self) -> String {
        let Self { lane, epoch, seq, events, chain, standing } = self;
        let state = standing.as_str();
        let mut line = format!(
            "{{\"lane\":\"{lane}\",\"epoch\":\"{epoch:016x}\",\"seq\":{seq},\
             \"events\":{events},\"state\":\"{state}\""
        );
        if let Some(chain) = chain {
            line.push_str(&format!(",\"chain\":\"{chain:016x}\""));
        }
        if let Standing::Readopting(((_, epoch, seq), chain))
        | Standing::Readopted(((_, epoch, seq), chain)) = standing
        {
            line.push_str(&format!(
                ",\"new_epoch\":\"{epoch:016x}\",\"new_seq\":{seq},\"new_chain\":\"{chain:016x}\""
            ));
        }
        line.push_str("}\n");
        line
    }
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
    /// The batches that were called emitted and nothing else since, with their events.
    pub open: BTreeMap<Batch, u32>,
    /// Those that were called acknowledged.
    pub acked: BTreeSet<Batch>,
    /// What was to be numbered anew, and as which batch.
    pub heirs: BTreeMap<Batch, Batch>,
}

impl Told {
    /// Whether a batch was acknowledged, under this number or under one that it got later.
    #[must_use]
    pub fn is_answered(&self, batch: &Batch) -> bool {
        let later = std::iter::successors(Some(batch), |batch| self.heirs.get(*batch));
        // A ledger that somebody wrote into may name them in a circle.
        later.take(self.heirs.len() + 1).any(|batch| self.acked.contains(batch))
    }

    fn note(&mut self, line: &Line<'_>) -> Option<()> {
        let place = line.place()?;
        let Some(chain) = line.chain.and_then(hash) else {
            // Of a batch that could not be read: whichever it was.
            self.open.retain(|(of, _), _| *of != place || line.state == "emitted");
            return None;
        };
        let batch = (place, chain);
        match line.state {
            // What is promised again is not forgotten for what was said before.
            "emitted" => {
                self.acked.remove(&batch);
                self.open.insert(batch, line.events);
            }
            "readopting" => drop(self.heirs.insert(batch, line.heir(place.0)?)),
            state => {
                self.open.remove(&batch);
                if state == "acked" {
                    self.acked.insert(batch);
                }
            }
        }
        Some(())
    }
}

/// A batch's lane, epoch and sequence number.
pub type Place = (Lane, u64, u64);

/// A batch: its place, and its chain hash.
pub type Batch = (Place, u64);

/// What is read of a line.
#[derive(Deserialize)]
struct Line<'a> {
    lane: &'a str,
    epoch: &'a str,
    seq: u64,
    events: u32,
    state: &'a str,
    chain: Option<&'a str>,
    new_epoch: Option<&'a str>,
    new_seq: Option<u64>,
    new_chain: Option<&'a str>,
}

fn hash(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

impl Line<'_> {
    fn place(&self) -> Option<Place> {
        let lane = Lane::ALL.into_iter().find(|lane| lane.as_str() == self.lane)?;
        Some((lane, hash(self.epoch)?, self.seq))
    }

    /// As which batch it goes on.
    fn heir(&self, lane: Lane) -> Option<Batch> {
        Some(((lane, hash(self.new_epoch?)?, self.new_seq?), hash(self.new_chain?)?))
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
            // A line that names no batch says nothing of one.
            let _ = told.note(&line);
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
        let lines: String = entries.iter().map(Entry::line).collect();
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
        let entry = |seq| entry(seq, seq, Standing::Emitted);
        Ledger::open(&path).unwrap().append(&[entry(1), entry(2)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let mut ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.take_told().open, BTreeMap::from([(((Lane::Bulk, 7, 1), 1), 3)]));
        ledger.append(&[entry(2)]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        ledger.append(&[Entry { standing: Standing::Acked, ..entry(1) }]).unwrap();
        let told = Ledger::open(&path).unwrap().take_told();
        assert_eq!(told.open, BTreeMap::from([(((Lane::Bulk, 7, 2), 2), 3)]));
        assert_eq!(told.acked, BTreeSet::from([((Lane::Bulk, 7, 1), 1)]));
    }

    /// A disk that remembers what was said.
    #[derive(Debug, Default)]
    struct Kept(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Journal for Kept {
        fn append(&mut self, lines: &[u8]) -> io::Result<()> {
            self.0.lock().unwrap().extend_from_slice(lines);
            Ok(())
        }
    }

    fn entry(seq: u64, chain: u64, standing: Standing) -> Entry {
        Entry { lane: Lane::Bulk, epoch: 7, seq, events: 3, chain: Some(chain), standing }
    }

    #[test]
    fn a_batch_is_its_place_and_its_chain() {
        use Standing::{Acked, Emitted, Lost, Readopted, Readopting, Rejected};
        let batch = |seq, chain| ((Lane::Bulk, 7, seq), chain);
        let heir = ((Lane::Bulk, 9, 1), 30);
        /// What is said in turn, then what is open, what is acknowledged.
        type Case = (Vec<Entry>, Vec<Batch>, Vec<Batch>);
        let unread = Entry { chain: None, ..entry(1, 0, Rejected) };
        let cases: [Case; 8] = [
            (vec![entry(1, 10, Emitted)], vec![batch(1, 10)], vec![]),
            (vec![entry(1, 10, Emitted), entry(1, 10, Acked)], vec![], vec![batch(1, 10)]),
            // The memory was set back: other contents at the same place.
            (
                vec![entry(1, 10, Emitted), entry(1, 10, Acked), entry(1, 11, Emitted)],
                vec![batch(1, 11)],
                vec![batch(1, 10)],
            ),
            (
                vec![entry(1, 10, Emitted), entry(1, 11, Emitted), entry(1, 10, Lost)],
                vec![batch(1, 11)],
                vec![],
            ),
            (
                vec![entry(1, 10, Emitted), entry(1, 10, Acked), entry(1, 10, Emitted)],
                vec![batch(1, 10)],
                vec![],
            ),
            (vec![entry(1, 10, Emitted), unread], vec![], vec![]),
            (
                vec![entry(1, 10, Emitted), entry(1, 10, Readopting(heir))],
                vec![batch(1, 10)],
                vec![],
            ),
            (vec![entry(1, 10, Emitted), entry(1, 10, Readopted(heir))], vec![], vec![]),
        ];
        for (said, open, acked) in cases {
            let kept = Kept::default();
            let text = std::sync::Arc::clone(&kept.0);
            Ledger::over(&[], Box::new(kept)).append(&said).unwrap();
            let text = text.lock().unwrap().clone();
            let told = Ledger::over(&text, Box::<Kept>::default()).take_told();
            assert_eq!(Vec::from_iter(told.open.into_keys()), open, "{said:?}");
            assert_eq!(Vec::from_iter(told.acked), acked, "{said:?}");
            let expected = said.iter().find_map(|entry| match entry.standing {
                Readopting(heir) => Some((batch(entry.seq, entry.chain?), heir)),
                _ => None,
            });
            assert_eq!(told.heirs.into_iter().next(), expected, "{said:?}");
        }
    }
}
