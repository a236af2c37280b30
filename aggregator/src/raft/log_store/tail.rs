//! The log's last chunk, looked at before raft-log opens it.
//!
//! A crash may cut the last records short, and leave zeros where blocks were never written: nobody was
//! told that they are on disk, so they are taken off and logged. Anything else that does not read is
//! damage: the log is refused, never shortened.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use raft_log::chunked_wal::ChunkedWal;
use raft_log::codeq::Decode;
use raft_log::{ChunkId, Config, RaftLogAction, RaftLogRecord, RaftWalTypes, WALRecord};
use wardmesh_common::fault::{Fault, planted};

use super::record::{Id, Types};
use crate::raft::REPLACE;

/// A block of the file system, bytes. ext4 may make a file longer before it writes what belongs there,
/// as far as the block goes that the file already has: after a power cut zeros stand there.
const BLOCK: usize = 4096;
/// Zeros up to the end of a file that are taken for blocks that were never written, bytes: a record ends
/// with its checksum, so that no whole one, damaged or not, ends with as many.
const ZEROS_MIN: usize = 64;

/// What the intact records of a chunk say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Intact {
    /// Bytes that they take.
    length: usize,
    /// How many there are.
    records: usize,
    /// The last entry.
    last: Option<Id>,
    /// The last committed one.
    committed: Option<Id>,
}

/// Takes a last record that a crash cut short off the log, which must not become shorter than
/// `marked`: so much of it was on disk.
///
/// # Errors
/// The disk's, and `InvalidData` with file and offset if the last chunk is damaged.
pub(super) fn mend(config: &Config, marked: u64) -> io::Result<()> {
    let lock = ChunkedWal::<RaftWalTypes<Types>>::acquire_lock(&config.wal)?;
    let chunks = ChunkedWal::<RaftWalTypes<Types>>::load_chunk_ids(&config.wal, &lock)?;
    for (position, chunk) in chunks.iter().enumerate().rev() {
        let path = PathBuf::from(config.wal.chunk_path(*chunk));
        if mend_chunk(&path, marked.saturating_sub(chunk.0))? {
            return check_lengths(config, chunks.get(..=position).unwrap_or_default());
        }
        // Not even its first record: raft-log removes it, and the one before it is the last.
        tracing::warn!(file = %path.display(), "a crash cut short the beginning of a log file");
    }
    if marked > 0 {
        let error = io::Error::other(format!("its files are gone, {marked} bytes were written"));
        return Err(damaged(Path::new(&config.wal.dir), 0, &error));
    }
    Ok(())
}

/// Finds the damage that another reading of the log has met, among all of its files.
pub(super) fn locate(config: &Config) -> Option<io::Error> {
    let entries = std::fs::read_dir(&config.wal.dir).ok()?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    paths.sort();
    paths.iter().find_map(|path| match std::fs::read(path) {
        Ok(bytes) => {
            let (intact, error) = scan(&bytes);
            error.map(|error| damaged(path, intact.length as u64, &error))
        }
        Err(error) => Some(damaged(path, 0, &error)),
    })
}

/// What went wrong with a log that cannot be told where it is damaged.
pub(super) fn damaged_somewhere(config: &Config, cause: &io::Error) -> io::Error {
    locate(config).unwrap_or_else(|| damaged(Path::new(&config.wal.dir), 0, cause))
}

/// Each chunk must end where the next begins. raft-log looks too, but panics on an empty file.
fn check_lengths(config: &Config, chunks: &[ChunkId]) -> io::Result<()> {
    for (chunk, next) in chunks.iter().zip(chunks.iter().skip(1)) {
        let path = PathBuf::from(config.wal.chunk_path(*chunk));
        let length = std::fs::metadata(&path)?.len();
        if chunk.0.checked_add(length) != Some(next.0) {
            let error = io::Error::other("it does not end where the next file begins");
            return Err(damaged(&path, length, &error));
        }
    }
    Ok(())
}

/// Whether the chunk has its first record; `least` bytes of it were once on disk.
fn mend_chunk(path: &Path, least: u64) -> io::Result<bool> {
    let bytes = std::fs::read(path)?;
    let (intact, error) = scan(&bytes);
    let offset = intact.length as u64;
    if offset < least && !planted(Fault::DamageSkipped) {
        let cut = io::Error::other(format!("it ends there, but was written up to byte {least}"));
        return Err(damaged(path, offset, error.as_ref().unwrap_or(&cut)));
    }
    let Some(error) = error else {
        return Ok(intact.records > 0);
    };
    let begun = bytes.get(intact.length..).unwrap_or_default();
    let torn = error.kind() == io::ErrorKind::UnexpectedEof
        || ends_in_zeros(begun)
        || never_written(begun, intact.length);
    if (!torn || intact.last < intact.committed) && !planted(Fault::DamageSkipped) {
        return Err(damaged(path, offset, &error));
    }
    let file = OpenOptions::new().write(true).open(path)?;
    if intact.records == 0 {
        // raft-log removes it, once no zeros make it look like something else.
        file.set_len(0)?;
        file.sync_all()?;
        return Ok(false);
    }
    file.set_len(offset)?;
    file.sync_all()?;
    tracing::warn!(
        file = %path.display(),
        offset,
        bytes = bytes.len() - intact.length,
        last = ?intact.last.map(|id| id.0.index),
        committed = ?intact.committed.map(|id| id.0.index),
        "took what a crash cut short off the log's end; nothing acknowledged was in it"
    );
    Ok(true)
}

/// Whether nothing but zeros follows the last intact record, all in one block.
fn never_written(begun: &[u8], intact: usize) -> bool {
    let one_block = intact / BLOCK == (intact + begun.len()).saturating_sub(1) / BLOCK;
    intact > 0 && one_block && begun.iter().all(|byte| *byte == 0)
}

/// Whether these bytes are the beginning of a record, or nothing, and then zeros to the end.
fn ends_in_zeros(begun: &[u8]) -> bool {
    let written = begun.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let cut_short = |mut beginning: &[u8]| {
        let error = RaftLogRecord::<Types>::decode(&mut beginning).err();
        error.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
    };
    let beginning = begun.get(..written).unwrap_or_default();
    begun.len() - written >= ZEROS_MIN && (written == 0 || cut_short(beginning))
}

fn damaged(path: &Path, offset: u64, error: &io::Error) -> io::Error {
    let path = path.display();
    let message = format!("the Raft log is damaged: {path} at byte {offset}: {error}; {REPLACE}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Reads records up to the end or the first that does not read.
fn scan(bytes: &[u8]) -> (Intact, Option<io::Error>) {
    let mut intact = Intact::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        match RaftLogRecord::<Types>::decode(&mut rest) {
            Ok(record) => intact.note(&record),
            Err(error) => return (intact, Some(error)),
        }
        intact.length = bytes.len() - rest.len();
        intact.records += 1;
    }
    (intact, None)
}

impl Intact {
    fn note(&mut self, record: &RaftLogRecord<Types>) {
        match record {
            WALRecord::Action(RaftLogAction::Append(id, _)) => self.last = Some(*id),
            WALRecord::Action(RaftLogAction::TruncateAfter(id)) => self.last = *id,
            WALRecord::Action(RaftLogAction::PurgeUpto(id)) => self.last = self.last.max(Some(*id)),
            WALRecord::Action(RaftLogAction::Commit(id)) => self.committed = Some(*id),
            WALRecord::Action(RaftLogAction::SaveVote(_)) => {}
            WALRecord::Checkpoint(state) => {
                self.last = state.last().copied();
                self.committed = state.committed().copied();
            }
        }
    }
}
