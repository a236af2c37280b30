//! What raft-log stores for us, and its bytes on disk.
//!
//! raft-log takes `UnexpectedEof` for a write that a crash cut short. So every part starts with a
//! magic and guards its length with a checksum: a flipped bit answers `InvalidData`, and only bytes
//! that truly end early answer `UnexpectedEof`.

use std::io::{self, Read, Write};
use std::sync::mpsc::SyncSender;

use bytes::Bytes;
use openraft::storage::IOFlushed;
use raft_log::codeq::{Decode, Encode};

use super::Fatal;
use crate::raft::codec::{self, LOG_ID_LENGTH, Reader, VOTE_LENGTH};
use crate::raft::types::{Entry, LogId, Payload, TypeConfig, Vote};

/// The first byte of a log id. It and [`VOTE_MAGIC`] differ in more than one bit from each other and
/// from 0 and 1, which are raft-log's own tags.
const LOG_ID_MAGIC: u8 = b'L';
/// The first byte of a vote.
const VOTE_MAGIC: u8 = b'V';
/// The first bytes of a payload: "WMRE".
const RECORD_MAGIC: [u8; 4] = *b"WMRE";
/// Magic, kind and three zeros, length: what the header's checksum covers.
const HEADER_LENGTH: usize = 12;
/// The longest payload, bytes: far above an entry's 256 KiB, far below what memory allows.
pub(super) const RECORD_LENGTH_MAX: usize = 64 << 20;

/// raft-log's choices, filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Types;

impl raft_log::Types for Types {
    type LogId = Id;
    type LogPayload = Record;
    type Vote = Ballot;
    type Callback = Flushed;
    type UserData = ();

    fn log_index(id: &Id) -> u64 {
        id.0.index
    }

    fn payload_size(record: &Record) -> u64 {
        record.bytes.len() as u64
    }
}

/// A log id on disk: magic, term, node, index, crc32c.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(pub(super) LogId);

/// A vote on disk: magic, term, node, whether it won, crc32c.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Ballot(pub(super) Vote);

/// A payload on disk: magic, kind, length, crc32c of these, then its bytes, which raft-log's own
/// checksum covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// As `codec` has it.
    pub(super) kind: u8,
    /// As `codec` has it.
    pub(super) bytes: Bytes,
}

impl Record {
    /// An entry's payload, to be stored.
    pub(super) fn of(payload: &Payload) -> io::Result<Self> {
        let (kind, bytes) = codec::payload_bytes(payload)?;
        if bytes.len() > RECORD_LENGTH_MAX {
            let length = bytes.len();
            let message = format!("an entry of {length} bytes exceeds {RECORD_LENGTH_MAX}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Self { kind, bytes })
    }

    /// The entry that was stored; an entry that cannot be decoded names its index.
    pub(super) fn into_entry(self, id: Id) -> io::Result<Entry> {
        let payload = codec::payload(self.kind, self.bytes);
        let payload = payload.map_err(|error| {
            let message = format!("log entry {} cannot be followed: {error}", id.0.index);
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        Ok(Entry { log_id: id.0, payload })
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is damaged"))
}

/// Writes a small fixed part: magic, contents, crc32c of both.
fn write_fixed(mut out: impl Write, magic: u8, contents: &[u8]) -> io::Result<usize> {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&[magic]), contents);
    out.write_all(&[magic])?;
    out.write_all(contents)?;
    out.write_all(&sum.to_le_bytes())?;
    Ok(1 + contents.len() + 4)
}

/// Reads what [`write_fixed`] wrote: the magic before all else, so that what is no such part is
/// never taken for one that ends early.
fn read_fixed<const N: usize>(mut from: impl Read, magic: u8, what: &str) -> io::Result<[u8; N]> {
    let mut first = [0; 1];
    from.read_exact(&mut first)?;
    if first != [magic] {
        return Err(damaged(what));
    }
    let mut contents = [0; N];
    let mut sum = [0; 4];
    from.read_exact(&mut contents)?;
    from.read_exact(&mut sum)?;
    let expected = crc32c::crc32c_append(crc32c::crc32c(&first), &contents);
    if u32::from_le_bytes(sum) != expected {
        return Err(damaged(what));
    }
    Ok(contents)
}

impl Encode for Id {
    fn encode<W: Write>(&self, out: W) -> io::Result<usize> {
        let mut contents = Vec::with_capacity(LOG_ID_LENGTH);
        codec::put_log_id(&mut contents, &self.0);
        write_fixed(out, LOG_ID_MAGIC, &contents)
    }
}

impl Decode for Id {
    fn decode<R: Read>(from: R) -> io::Result<Self> {
        let contents = read_fixed::<LOG_ID_LENGTH>(from, LOG_ID_MAGIC, "a log id")?;
        Ok(Self(Reader::new(Bytes::copy_from_slice(&contents)).log_id()?))
    }
}

impl Encode for Ballot {
    fn encode<W: Write>(&self, out: W) -> io::Result<usize> {
        let mut contents = Vec::with_capacity(VOTE_LENGTH);
        codec::put_vote(&mut contents, &self.0);
        write_fixed(out, VOTE_MAGIC, &contents)
    }
}

impl Decode for Ballot {
    fn decode<R: Read>(from: R) -> io::Result<Self> {
        let contents = read_fixed::<VOTE_LENGTH>(from, VOTE_MAGIC, "a vote")?;
        Ok(Self(Reader::new(Bytes::copy_from_slice(&contents)).vote()?))
    }
}

/// A payload's header without its checksum.
fn header(kind: u8, length: u32) -> [u8; HEADER_LENGTH] {
    let [m0, m1, m2, m3] = RECORD_MAGIC;
    let [l0, l1, l2, l3] = length.to_le_bytes();
    [m0, m1, m2, m3, kind, 0, 0, 0, l0, l1, l2, l3]
}

impl Encode for Record {
    fn encode<W: Write>(&self, mut out: W) -> io::Result<usize> {
        let length = u32::try_from(self.bytes.len()).map_err(io::Error::other)?;
        let header = header(self.kind, length);
        out.write_all(&header)?;
        out.write_all(&crc32c::crc32c(&header).to_le_bytes())?;
        out.write_all(&self.bytes)?;
        Ok(HEADER_LENGTH + 4 + self.bytes.len())
    }
}

impl Decode for Record {
    fn decode<R: Read>(mut from: R) -> io::Result<Self> {
        let mut found = [0; HEADER_LENGTH];
        let mut sum = [0; 4];
        from.read_exact(&mut found)?;
        from.read_exact(&mut sum)?;
        let [.., kind, _, _, _, l0, l1, l2, l3] = found;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let whole = u32::from_le_bytes(sum) == crc32c::crc32c(&found);
        if !whole || found != header(kind, length) || length as usize > RECORD_LENGTH_MAX {
            return Err(damaged("an entry's header"));
        }
        let mut bytes = vec![0; length as usize];
        from.read_exact(&mut bytes)?;
        Ok(Self { kind, bytes: bytes.into() })
    }
}

/// Whom to tell when bytes are on the disk; if they cannot be, the process ends.
pub(super) struct Flushed {
    pub(super) whom: Whom,
    pub(super) fatal: Fatal,
}

/// Who waits for a flush.
pub(super) enum Whom {
    /// Openraft, for an append.
    Raft(IOFlushed<TypeConfig>),
    /// A task that waits for a vote, a truncation or a purge.
    Task(tokio::sync::oneshot::Sender<io::Result<()>>),
    /// A thread that waits, at open.
    Thread(SyncSender<io::Result<()>>),
}

impl raft_log::Callback for Flushed {
    fn send(self, result: io::Result<()>) {
        if let Err(error) = &result {
            (self.fatal)(&format!("the Raft log cannot be written to disk: {error}"));
        }
        match self.whom {
            Whom::Raft(callback) => callback.io_completed(result),
            // A waiter that is gone has nothing to learn.
            Whom::Task(sender) => {
                sender.send(result).ok();
            }
            Whom::Thread(sender) => raft_log::Callback::send(sender, result),
        }
    }
}
