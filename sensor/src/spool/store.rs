//! The spool's three tables: what is held, what was given up, and the starts.
//!
//! ```text
//! batches       lane u8 · start u64 · seq u64 (big-endian)  →  the sealed frame
//! dead letters  the same key                                →  reason, 0, the frame
//! starts        start u64                                   →  epoch u64
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use wardmesh_common::wire::Lane;
use wardmesh_common::wire::frame::Frame;

use super::table::sled::Sled;
use super::table::{Disk, Table};
use super::{Epochs, Position, SetAside, SpoolError};

/// Earlier starts that a hello lists: with the current one the aggregator keeps 16 open.
const HELD_MAX: usize = 15;

const KEY_LENGTH: usize = 17;

/// The tables of an open spool; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    pub(super) batches: Table,
    pub(super) dead: Table,
    starts: Table,
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
    /// Opens a spool in sled, checking every frame in it.
    pub(super) fn open(folder: &Path) -> Result<Self, SpoolError> {
        Self::over(folder, Arc::new(Sled::open(folder)?))
    }

    /// Opens a spool on this disk, checking every frame in it.
    pub(super) fn over(folder: &Path, disk: Arc<dyn Disk>) -> Result<Self, SpoolError> {
        let table = |name| disk.table(name).map_err(|cause| reaction(folder, &cause));
        let (batches, dead, starts) = (table("batches")?, table("dead letters")?, table("starts")?);
        let store = Self { folder: folder.to_owned(), disk, batches, dead, starts };
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

    /// Moves single batches that fail their checksum to the dead letters: the rest is good, but for what
    /// lies there already, whose removal a crash came before.
    fn bury_damaged(&self) -> Result<(), SpoolError> {
        for entry in self.batches.iter() {
            let (key, frame) = entry.map_err(|cause| reaction(&self.folder, &cause))?;
            let letter = self.dead.get(&key).map_err(|cause| self.error(&cause))?;
            if position(&key).is_some() && Frame::open(&frame).is_ok() {
                if letter.is_some_and(|letter| letter.ends_with(&frame)) {
                    self.batches.remove(&key).map_err(|cause| self.error(&cause))?;
                }
                continue;
            }
            tracing::error!(spool = %self.folder.display(), "a batch is damaged: dead letter");
            // A letter that lies there already holds what the batch was before it was damaged.
            if letter.is_none() {
                let letter = [b"damaged\0", frame.as_ref()].concat();
                self.dead.insert(&key, letter).map_err(|cause| self.error(&cause))?;
            }
            self.batches.remove(&key).map_err(|cause| self.error(&cause))?;
        }
        Ok(())
    }

    pub(super) fn error(&self, cause: &dyn std::fmt::Display) -> SpoolError {
        SpoolError::Io { path: self.folder.clone(), cause: cause.to_string() }
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self) -> Result<(), SpoolError> {
        self.disk.sync().map_err(|cause| self.error(&cause))
    }

    /// Syncs the folder itself, after files were made in it, and the one that it was made in.
    pub(super) fn sync_folder(&self) -> Result<(), SpoolError> {
        self.disk.sync_folder().map_err(|cause| self.error(&cause))
    }

    /// The last position that a lane holds; zeros where it holds nothing.
    pub(super) fn last(&self, lane: Lane) -> Position {
        let found = self.batches.range([lane.number()]..[lane.number() + 1]).next_back();
        found.and_then(Result::ok).and_then(|(key, _)| position(&key)).unwrap_or_default()
    }

    pub(super) fn position(&self, lane: Lane, epoch: u64, seq: u64) -> Option<Position> {
        let starts = self.starts().into_iter().filter(|(_, of)| *of == epoch);
        let mut places = starts.map(|(start, _)| Position { start, seq });
        places.find(|place| self.batches.contains_key(key(lane, *place)).unwrap_or(false))
    }

    /// The last place of an epoch in a lane, dead letters included; 0 where there is none.
    pub(super) fn tail(&self, lane: Lane, epoch: u64) -> u64 {
        let starts = self.starts().into_iter().filter(|(_, of)| *of == epoch);
        let last = |table: &Table, start| {
            let (first, last) = (Position { start, seq: 0 }, Position { start, seq: u64::MAX });
            let found = table.range(key(lane, first)..=key(lane, last)).next_back();
            found.and_then(Result::ok).and_then(|(key, _)| position(&key)).unwrap_or_default().seq
        };
        let tails =
            starts.map(|(start, _)| last(&self.batches, start).max(last(&self.dead, start)));
        tails.max().unwrap_or_default()
    }

    pub(super) fn held(
        &self,
        lane: Lane,
        epoch: u64,
        seq: u64,
    ) -> Result<Option<Bytes>, SpoolError> {
        let Some(place) = self.position(lane, epoch, seq) else { return Ok(None) };
        self.batches.get(key(lane, place)).map_err(|cause| self.error(&cause))
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
            .range(range)
            .take(most)
            .map(|entry| {
                let (key, frame) = entry.map_err(|cause| self.error(&cause))?;
                let position = position(&key).ok_or_else(|| self.error(&"a key is cut short"))?;
                Ok((position, frame))
            })
            .collect()
    }

    /// Writes that a start uses an epoch.
    pub(super) fn record_start(&self, start: u64, epoch: u64) -> Result<(), SpoolError> {
        self.starts
            .insert(start.to_be_bytes(), epoch.to_be_bytes().to_vec())
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
        for entry in self.batches.iter() {
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

/// What to do about a table that does not read: repair the disk, or set the spool aside.
fn reaction(folder: &Path, cause: &io::Error) -> SpoolError {
    let (path, words) = (folder.to_owned(), cause.to_string());
    match cause.raw_os_error() {
        Some(_) => SpoolError::Io { path, cause: words },
        // Not the system's: the store does not understand its files.
        None => SpoolError::Damaged { path, cause: words },
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
