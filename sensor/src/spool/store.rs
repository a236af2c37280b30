//! The spool's tables in sled, and the sync that sled itself does not do.
//!
//! ```text
//! batches       lane u8 · start u64 · seq u64 (big-endian)  →  the sealed frame
//! dead letters  the same key                                →  reason, 0, the frame
//! starts        start u64                                   →  epoch u64
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Serialize;
use sled::Tree;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;

use super::{Epochs, Position, SetAside, SpoolError};

/// sled's page cache; its default of 1 GiB ignores cgroups.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Segments hold whole values: larger pages spill into files that sled never syncs.
const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// Earlier starts that a hello lists: with the current one the aggregator keeps 16 open.
const HELD_MAX: usize = 15;

const KEY_LENGTH: usize = 17;

/// The tables of an open spool; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
    db: sled::Db,
    pub(super) batches: Tree,
    pub(super) dead: Tree,
    starts: Tree,
}

/// What one lane of one start holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// `urgent` or `bulk`.
    pub lane: &'static str,
    /// The epoch, 16 hexadecimal digits.
    pub epoch: String,
    /// The first sequence number held.
    pub first_seq: u64,
    /// The last one.
    pub last_seq: u64,
    /// Batches held.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes of their frames.
    pub bytes: u64,
}

/// What a spool holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpoolStatus {
    /// Unacknowledged batches, by lane and start.
    pub held: Vec<Held>,
    /// Batches that the aggregator will never take.
    pub dead_letters: u64,
    /// When the oldest held batch was sealed, RFC 3339.
    pub oldest: Option<String>,
}

pub(super) fn key(lane: Lane, position: Position) -> [u8; KEY_LENGTH] {
    let mut key = [lane.number(); KEY_LENGTH];
    key[1..9].copy_from_slice(&position.start.to_be_bytes());
    key[9..].copy_from_slice(&position.seq.to_be_bytes());
    key
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

pub(super) fn position(key: &[u8]) -> Option<Position> {
    let (start, seq) = key.get(1..KEY_LENGTH)?.split_at(8);
    Some(Position { start: number(start), seq: number(seq) })
}

impl Store {
    /// Opens a spool, checking every frame in it.
    pub(super) fn open(folder: &Path) -> Result<Self, SpoolError> {
        let failed = |cause: &dyn std::fmt::Display| SpoolError::Io {
            path: folder.to_owned(),
            cause: cause.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(|cause| failed(&cause))?;
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(Some(500));
        // Some damage makes sled panic instead of telling.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let db = config.open()?;
            let trees = ["batches", "dead letters", "starts"].map(|name| db.open_tree(name));
            Ok((db, trees))
        }));
        let damaged =
            |cause: &str| SpoolError::Damaged { path: folder.to_owned(), cause: cause.to_owned() };
        let (db, [batches, dead, starts]) = opened
            .map_err(|_| damaged("the store cannot be read"))?
            .map_err(|cause| reaction(folder, cause))?;
        let tree = |tree: sled::Result<Tree>| tree.map_err(|cause| reaction(folder, cause));
        let (batches, dead, starts) = (tree(batches)?, tree(dead)?, tree(starts)?);
        let store = Self { folder: folder.to_owned(), db, batches, dead, starts };
        store.bury_damaged()?;
        Ok(store)
    }

    /// Opens a spool; one that is damaged is renamed and a new one begun.
    pub(super) fn open_or_set_aside(folder: &Path) -> Result<(Self, Option<SetAside>), SpoolError> {
        let cause = match Self::open(folder) {
            Ok(store) => return Ok((store, None)),
            Err(SpoolError::Damaged { cause, .. }) => cause,
            // A full disk or a missing right is no reason to leave behind what is intact.
            Err(other) => return Err(other),
        };
        let failed = |cause: std::io::Error| SpoolError::Io {
            path: folder.to_owned(),
            cause: cause.to_string(),
        };
        let aside = (1_u32..)
            .map(|n| folder.with_extension(format!("broken-{n}")))
            .find(|path| !path.exists())
            .ok_or(SpoolError::Closed)?;
        let bytes = folder_bytes(folder);
        std::fs::rename(folder, &aside).map_err(failed)?;
        let store = Self::open(folder)?;
        Ok((store, Some(SetAside { path: aside, bytes, cause })))
    }

    /// Moves single batches that fail their checksum to the dead letters: the rest is good.
    fn bury_damaged(&self) -> Result<(), SpoolError> {
        for entry in &self.batches {
            let (key, frame) = entry.map_err(|cause| reaction(&self.folder, cause))?;
            if position(&key).is_some() && Frame::open(&frame).is_ok() {
                continue;
            }
            tracing::error!(spool = %self.folder.display(), "a batch is damaged: dead letter");
            let letter = [b"damaged\0", frame.as_ref()].concat();
            let moved = self.dead.insert(&key, letter).and_then(|_| self.batches.remove(&key));
            moved.map_err(|cause| self.error(&cause))?;
        }
        Ok(())
    }

    pub(super) fn error(&self, cause: &dyn std::fmt::Display) -> SpoolError {
        SpoolError::Io { path: self.folder.clone(), cause: cause.to_string() }
    }

    /// Makes what was written durable: sled's own buffers first, then the disk's.
    pub(super) fn sync(&self) -> Result<(), SpoolError> {
        self.db.flush().map_err(|cause| self.error(&cause))?;
        File::open(self.folder.join("db"))
            .and_then(|file| file.sync_data())
            .map_err(|cause| self.error(&cause))
    }

    /// Syncs the folder itself, after files were made in it, and the one that it was made in.
    pub(super) fn sync_folder(&self) -> Result<(), SpoolError> {
        let above = self.folder.parent().filter(|above| !above.as_os_str().is_empty());
        for folder in [&self.folder, above.unwrap_or(Path::new("."))] {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|cause| self.error(&cause))?;
        }
        Ok(())
    }

    /// The last position that a lane holds; zeros where it holds nothing.
    pub(super) fn last(&self, lane: Lane) -> Position {
        let found = self.batches.scan_prefix([lane.number()]).next_back();
        found.and_then(Result::ok).and_then(|(key, _)| position(&key)).unwrap_or_default()
    }

    pub(super) fn position(&self, lane: Lane, epoch: u64, seq: u64) -> Option<Position> {
        let starts = self.starts().into_iter().filter(|(_, of)| *of == epoch);
        let mut places = starts.map(|(start, _)| Position { start, seq });
        places.find(|place| self.batches.contains_key(key(lane, *place)).unwrap_or(false))
    }

    pub(super) fn held(
        &self,
        lane: Lane,
        epoch: u64,
        seq: u64,
    ) -> Result<Option<Bytes>, SpoolError> {
        let Some(place) = self.position(lane, epoch, seq) else { return Ok(None) };
        let found = self.batches.get(key(lane, place)).map_err(|cause| self.error(&cause))?;
        Ok(found.map(|frame| Bytes::copy_from_slice(&frame)))
    }

    pub(super) fn between(
        &self,
        lane: Lane,
        after: Option<Position>,
        through: Position,
        most: usize,
    ) -> Result<Vec<(Position, Bytes)>, SpoolError> {
        let from = after.unwrap_or_default();
        if from >= through {
            return Ok(Vec::new());
        }
        let end = key(lane, through);
        let range = (std::ops::Bound::Excluded(key(lane, from)), std::ops::Bound::Included(end));
        self.batches
            .range::<[u8; KEY_LENGTH], _>(range)
            .take(most)
            .map(|entry| {
                let (key, frame) = entry.map_err(|cause| self.error(&cause))?;
                let position = position(&key).ok_or_else(|| self.error(&"a key is cut short"))?;
                Ok((position, Bytes::copy_from_slice(&frame)))
            })
            .collect()
    }

    /// Writes that a start uses an epoch.
    pub(super) fn record_start(&self, start: u64, epoch: u64) -> Result<(), SpoolError> {
        self.starts
            .insert(start.to_be_bytes(), &epoch.to_be_bytes())
            .map(drop)
            .map_err(|cause| self.error(&cause))
    }

    /// The starts that are on record, in order, with their epochs.
    pub(super) fn starts(&self) -> Vec<(u64, u64)> {
        self.starts.iter().flatten().map(|(key, epoch)| (number(&key), number(&epoch))).collect()
    }

    /// Whether a start still holds batches in any lane.
    pub(super) fn holds(&self, start: u64) -> bool {
        Lane::ALL.into_iter().any(|lane| {
            let (first, last) = (Position { start, seq: 0 }, Position { start, seq: u64::MAX });
            self.batches.range(key(lane, first)..=key(lane, last)).next().is_some()
        })
    }

    /// Forgets starts before `current` that hold nothing.
    pub(super) fn forget_empty_starts(&self, current: u64) {
        for (start, _) in self.starts() {
            if start != current && !self.holds(start) {
                // A start that stays on record only makes the next hello longer.
                let _ = self.starts.remove(start.to_be_bytes());
            }
        }
    }

    pub(super) fn epochs(&self) -> Epochs {
        let mut starts = self.starts();
        let current = starts.pop().map_or(0, |(_, epoch)| epoch);
        let held = starts.into_iter().filter(|(start, _)| self.holds(*start)).map(|(_, e)| e);
        // The oldest first, since they are sent first: what is not listed has not been sent.
        Epochs { current, held: held.take(HELD_MAX).collect() }
    }

    pub(super) fn status(&self) -> Result<SpoolStatus, SpoolError> {
        let mut held: Vec<Held> = Vec::new();
        let mut oldest = None;
        for entry in &self.batches {
            let (key, bytes) = entry.map_err(|cause| self.error(&cause))?;
            let (Some(position), Ok(frame)) = (position(&key), Frame::open(&bytes)) else {
                return Err(self.error(&"a batch fails its checksum"));
            };
            let (header, epoch) = (frame.header, format!("{:016x}", frame.header.epoch));
            oldest = oldest.into_iter().chain([header.sealed_at]).min();
            let lane = header.lane.as_str();
            if held.last().is_none_or(|last| (last.lane, &last.epoch) != (lane, &epoch)) {
                let first_seq = position.seq;
                held.push(Held {
                    lane,
                    epoch,
                    first_seq,
                    last_seq: 0,
                    batches: 0,
                    events: 0,
                    bytes: 0,
                });
            }
            if let Some(last) = held.last_mut() {
                last.last_seq = position.seq;
                last.batches += 1;
                last.events += u64::from(header.events);
                last.bytes += bytes.len() as u64;
            }
        }
        let dead_letters = self.dead.len() as u64;
        Ok(SpoolStatus { held, dead_letters, oldest: oldest.map(|at| at.to_string()) })
    }
}

/// What to do about sled's error: wait, repair the disk, or set the spool aside.
fn reaction(folder: &Path, cause: sled::Error) -> SpoolError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    let path = folder.to_owned();
    match &cause {
        sled::Error::Io(io) if io.to_string().contains("lock") => SpoolError::Locked(path),
        sled::Error::Io(io) if !matches!(io.kind(), InvalidData | UnexpectedEof) => {
            SpoolError::Io { path, cause: io.to_string() }
        }
        _ => SpoolError::Damaged { path, cause: cause.to_string() },
    }
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
