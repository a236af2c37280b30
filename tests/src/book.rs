//! A sensor's ledger as it grows, in little memory: what was promised, and how far it came.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use wardmesh_common::wire::Lane;

use crate::ledger::Line;

/// A batch's place: lane, epoch, sequence number.
pub type Spot = (Lane, u64, u64);

/// What a sensor said of one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Events in it.
    pub events: u64,
    /// It was acknowledged.
    pub acked: bool,
    /// It was numbered anew: it arrives under its new number, and not under this one.
    pub readopted: bool,
    /// It was rejected, or is lost: its sensor gave it up.
    pub given_up: bool,
}

impl Batch {
    /// It was promised and has no answer yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.acked && !self.readopted && !self.given_up
    }
}

/// What a sensor promised so far.
#[derive(Debug, Default)]
pub struct Book {
    ledger: PathBuf,
    read: u64,
    /// Every batch that was ever named.
    pub batches: BTreeMap<Spot, Batch>,
    /// Events of batches that were promised.
    pub emitted: u64,
    /// Events of batches that were acknowledged.
    pub acked: u64,
    /// Lines that cannot be understood.
    pub strange: Vec<String>,
    /// Its sensor's spool was set back or copied, or a test plays the sensor: it may give batches up, and
    /// what it numbers anew may have arrived before.
    pub excused: bool,
}

impl Book {
    /// A book over a ledger, which need not exist yet.
    #[must_use]
    pub fn of(ledger: PathBuf) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// A book of a sensor that a test plays itself, which notes what it does.
    #[must_use]
    pub fn played() -> Self {
        Self { excused: true, ..Self::default() }
    }

    /// Reads the whole lines that were added; a last one that is being written, or that a kill cut
    /// short, is left. Returns how many events were acknowledged by them.
    ///
    /// # Errors
    /// The disk's.
    pub fn follow(&mut self) -> io::Result<u64> {
        let mut file = match File::open(&self.ledger) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(0),
            opened => opened?,
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.read += whole as u64;
        let before = self.acked;
        for line in String::from_utf8_lossy(&bytes[..whole]).lines() {
            self.line(line);
        }
        Ok(self.acked - before)
    }

    /// Notes one line.
    pub fn line(&mut self, text: &str) {
        let Some((spot, line)) = Line::read(text).and_then(|line| Some((spot(&line)?, line)))
        else {
            self.strange.push(text.to_owned());
            return;
        };
        self.note(spot, line.events, &line.state);
    }

    /// Notes what became of a batch.
    pub fn note(&mut self, spot: Spot, events: u64, state: &str) {
        let known = self.batches.contains_key(&spot);
        let batch = self.batches.entry(spot).or_insert(Batch { events, ..Batch::default() });
        if !known {
            self.emitted += events;
        }
        match state {
            // After an acknowledgement that a kill came too soon for: it is sent and answered again.
            "emitted" if !known || batch.acked => {}
            // A disk that was set back has it again under the number that it had.
            "emitted" if self.excused => (batch.readopted, batch.given_up) = (false, false),
            "emitted" => self.strange.push(format!("{spot:?} was emitted twice")),
            "acked" => {
                self.acked += if batch.acked { 0 } else { events };
                batch.acked = true;
            }
            "readopted" => batch.readopted = true,
            // Only once it is called readopted, it is.
            "readopting" => {}
            "rejected" | "lost" => batch.given_up = true,
            other => self.strange.push(format!("{spot:?} is called {other}")),
        }
    }

    /// Adds what another ledger of the same sensor says: that of a copy of it.
    pub fn absorb(&mut self, other: Self) {
        for (spot, theirs) in other.batches {
            match self.batches.get_mut(&spot) {
                None => {
                    self.emitted += theirs.events;
                    self.acked += if theirs.acked { theirs.events } else { 0 };
                    self.batches.insert(spot, theirs);
                }
                Some(ours) => {
                    self.acked += if theirs.acked && !ours.acked { ours.events } else { 0 };
                    ours.acked |= theirs.acked;
                }
            }
        }
        self.strange.extend(other.strange);
    }

    /// Batches that were promised and have no answer yet.
    #[must_use]
    pub fn open(&self) -> usize {
        self.batches.values().filter(|batch| batch.is_open()).count()
    }
}

/// The place that a line names.
fn spot(line: &Line) -> Option<Spot> {
    let (epoch, lane, seq) = &line.place;
    Some((lane_of(lane)?, u64::from_str_radix(epoch, 16).ok()?, *seq))
}

/// The lane of a name.
#[must_use]
pub fn lane_of(name: &str) -> Option<Lane> {
    Lane::ALL.into_iter().find(|lane| lane.as_str() == name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn line(seq: u64, state: &str) -> String {
        format!(
            "{{\"lane\":\"bulk\",\"epoch\":\"00000000000000ff\",\"seq\":{seq},\"events\":3,\
             \"state\":\"{state}\"}}\n"
        )
    }

    #[test]
    fn reads_on_and_leaves_what_is_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.ndjson");
        let mut book = Book::of(path.clone());
        assert_eq!(book.follow().unwrap(), 0);
        let mut file = File::create(&path).unwrap();
        let (first, second) = (line(1, "emitted"), line(1, "acked"));
        file.write_all(first.as_bytes()).unwrap();
        file.write_all(&second.as_bytes()[..10]).unwrap();
        assert_eq!((book.follow().unwrap(), book.emitted, book.open()), (0, 3, 1));
        file.write_all(&second.as_bytes()[10..]).unwrap();
        assert_eq!((book.follow().unwrap(), book.acked, book.open()), (3, 3, 0));
        // Synced in the spool and killed before its line was written.
        file.write_all(line(2, "acked").as_bytes()).unwrap();
        file.write_all(line(3, "emitted").as_bytes()).unwrap();
        file.write_all(line(3, "readopted").as_bytes()).unwrap();
        assert_eq!((book.follow().unwrap(), book.emitted, book.open()), (3, 9, 0));
        file.write_all(line(4, "lost").as_bytes()).unwrap();
        assert_eq!((book.follow().unwrap(), book.emitted, book.open()), (0, 12, 0));
        assert!(book.strange.is_empty());
        book.line(&line(4, "emitted"));
        for strange in ["no line", &line(4, "emitted"), &line(4, "eaten")] {
            book.line(strange.trim_end());
        }
        assert_eq!(book.strange.len(), 4, "{:?}", book.strange);
    }
}
