//! How far the log is known to be on disk, written beside it: a file that is merely too short looks
//! like one whose last write a crash cut off.
//!
//! Two slots are written in turn, so that one is whole whatever a crash does to the other.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Between the slots, bytes: a disk writes a sector whole or not at all.
const SLOT_DISTANCE: u64 = 512;
/// Bytes of a slot: magic, the log's length, a crc32c of both.
const SLOT_LENGTH: usize = 20;
const MAGIC: [u8; 8] = *b"WMLOGEND";

/// The mark of one log.
#[derive(Debug)]
pub(super) struct Mark {
    path: PathBuf,
    written: u64,
    turn: u64,
}

impl Mark {
    /// Reads the mark beside a log's folder: the length that the log had at least, from its first
    /// file's first byte on, purged ones included; 0 where it was never marked.
    ///
    /// # Errors
    /// The disk's; `InvalidData` where neither slot is whole.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, u64)> {
        let path = folder.with_extension("end");
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(mut file) => drop(file.read_to_end(&mut bytes)?),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let slots = [0, SLOT_DISTANCE as usize].map(|at| bytes.get(at..).and_then(read_slot));
        let (mut mark, [first, second]) = (Self { path, written: 0, turn: 0 }, slots);
        let Some(end) = first.max(second) else {
            if bytes.is_empty() {
                return Ok((mark, 0));
            }
            let message = format!("{} is damaged from byte 0 on", mark.path.display());
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        };
        (mark.written, mark.turn) = (end, u64::from(first == Some(end)));
        Ok((mark, end))
    }

    /// Whether the log has grown since it was marked.
    pub(super) fn is_before(&self, end: u64) -> bool {
        self.written < end
    }

    /// Writes that the log is on disk up to `end`, and syncs it. Blocking.
    pub(super) fn write(&mut self, end: u64) -> io::Result<()> {
        let mut slot = Vec::from(MAGIC);
        slot.extend_from_slice(&end.to_le_bytes());
        slot.extend_from_slice(&crc32c::crc32c(&slot).to_le_bytes());
        let is_new = self.written == 0 && !self.path.exists();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?;
        file.write_all_at(&slot, self.turn * SLOT_DISTANCE)?;
        file.sync_data()?;
        if is_new && let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        (self.written, self.turn) = (end, 1 - self.turn);
        Ok(())
    }
}

fn read_slot(bytes: &[u8]) -> Option<u64> {
    let (contents, sum) = bytes.get(..SLOT_LENGTH)?.split_last_chunk::<4>()?;
    let end = contents.strip_prefix(&MAGIC)?;
    (crc32c::crc32c(contents) == u32::from_le_bytes(*sum)).then_some(())?;
    end.first_chunk().map(|end| u64::from_le_bytes(*end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn one_slot_is_enough_and_none_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let (mut mark, end) = Mark::open(&log).unwrap();
        assert_eq!(end, 0);
        for end in [10, 20, 30] {
            mark.write(end).unwrap();
            assert_eq!(Mark::open(&log).unwrap().1, end);
        }
        let path = folder.path().join("log.end");
        let whole = std::fs::read(&path).unwrap();
        for (at, left) in [(9, 20), (SLOT_DISTANCE as usize + 9, 30)] {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(&path, &bytes).unwrap();
            let (mut mark, end) = Mark::open(&log).unwrap();
            assert_eq!(end, left);
            mark.write(40).unwrap();
            assert_eq!(Mark::open(&log).unwrap().1, 40, "the damaged slot is written anew");
        }
        std::fs::write(&path, [0; 600]).unwrap();
        let error = Mark::open(&log).unwrap_err().to_string();
        assert!(error.contains("log.end") && error.contains("byte 0"), "{error}");
    }
}
