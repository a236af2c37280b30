//! The frame: header, checksum, chain hash, compression. Knows nothing of what the archive holds.

use std::hash::Hasher;

use bytes::Bytes;
use siphasher::sip::SipHasher13;

use super::{ARCHIVE_LENGTH_MAX, FRAME_LENGTH_MAX, Lane};
use crate::time::Timestamp;

/// Bytes of a header.
pub const HEADER_LENGTH: usize = 64;

const MAGIC: [u8; 4] = *b"WMSH";
const FLAG_LZ4: u16 = 1;
const CHECKSUM_AT: usize = 60;

/// The header's fields, little-endian at the offsets below; the checksum at 60 is crc32c (Castagnoli,
/// RFC 3385) over the payload and then the first 60 bytes of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Offset 4, u16: which archive follows.
    pub schema: Schema,
    /// Offset 6, u16: the archive's version.
    pub version: u16,
    /// Offset 8, u16, bit 0: the payload is one LZ4 block.
    pub compressed: bool,
    /// Offset 10, u8 (11 is reserved).
    pub lane: Lane,
    /// Offset 12, u32: bytes that follow the header.
    pub payload_length: u32,
    /// Offset 16, u32: bytes of the archive; checked against [`ARCHIVE_LENGTH_MAX`] before anything
    /// is expanded.
    pub raw_length: u32,
    /// Offset 20, u32: events in the archive.
    pub events: u32,
    /// Offset 24, u64: the sensor's start that sealed it.
    pub epoch: u64,
    /// Offset 32, u64: place in the lane, from 1, without gaps.
    pub seq: u64,
    /// Offset 40, u64: when it was sealed, by the sensor's clock.
    pub sealed_at: Timestamp,
    /// Offset 48, u64: [`chain`] over the lane up to and including this frame (56 to 59 reserved).
    pub chain: u64,
}

/// Which archive a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Schema {
    /// Events of a sensor.
    Batch = 1,
    /// A session's first frame, from the sensor.
    Hello = 2,
    /// The answer to it.
    Welcome = 3,
    /// What became of a batch.
    Receipt = 4,
    /// Why a session is not served.
    Refusal = 5,
}

impl Schema {
    const ALL: [Self; 5] = [Self::Batch, Self::Hello, Self::Welcome, Self::Receipt, Self::Refusal];
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than a header, or the payload is not as long as it says.
    #[error("the frame has {actual} bytes where its header wants {expected}")]
    Length {
        /// Bytes that are there.
        actual: usize,
        /// Bytes that should be.
        expected: usize,
    },
    /// Does not begin with `WMSH`.
    #[error("the frame does not begin with WMSH: the peer speaks another protocol")]
    Magic,
    /// The bytes were changed on the way.
    #[error("the frame's checksum is {actual:08x}, its header says {expected:08x}")]
    Checksum {
        /// As computed here.
        actual: u32,
        /// As the header says.
        expected: u32,
    },
    /// No such schema or version: the peer is newer, or hostile.
    #[error("unknown schema {schema} version {version}")]
    UnknownSchema {
        /// The schema's number.
        schema: u16,
        /// Its version.
        version: u16,
    },
    /// A reserved field is set, or a lane or flag does not exist.
    #[error("the header's field at offset {0} has no meaning in this version")]
    Field(usize),
    /// Longer than is accepted.
    #[error("{length} bytes are more than the {limit} that a frame may hold")]
    TooLarge {
        /// As the frame says.
        length: usize,
        /// [`FRAME_LENGTH_MAX`] or [`ARCHIVE_LENGTH_MAX`].
        limit: usize,
    },
    /// The LZ4 block does not expand to what the header says.
    #[error("the payload does not expand to the {0} bytes that its header says")]
    Compression(usize),
}

/// The version of every schema that this build writes.
pub const VERSION: u16 = 1;

/// The chain hash after a frame: what came before it in the lane, its place, and its payload's
/// checksum and length. A restored memory or disk image continues a lane with other bytes and so
/// with another chain. Not cryptographic: the sender is authenticated by its certificate.
#[must_use]
pub fn chain(previous: u64, seq: u64, payload: &[u8]) -> u64 {
    chain_of(previous, seq, crc32c::crc32c(payload), payload.len())
}

fn chain_of(previous: u64, seq: u64, checksum: u32, length: usize) -> u64 {
    let mut hasher = SipHasher13::new_with_key(b"wardmesh lane v1");
    hasher.write_u64(previous);
    hasher.write_u64(seq);
    hasher.write_u32(checksum);
    hasher.write_u64(length as u64);
    hasher.finish()
}

/// What [`seal`] needs beside the archive.
#[derive(Clone, Copy, Debug)]
pub struct Seal {
    /// Which archive it is.
    pub schema: Schema,
    /// The lane that it goes on.
    pub lane: Lane,
    /// Events in it.
    pub events: u32,
    /// The sensor's start.
    pub epoch: u64,
    /// Its place in the lane.
    pub seq: u64,
    /// Now, by the sensor's clock.
    pub sealed_at: Timestamp,
    /// The chain hash of the frame before it; 0 for the first.
    pub previous_chain: u64,
}

/// Makes a frame of an archive, compressed where that saves bytes and `compress` asks for it.
///
/// The archive must be at most [`ARCHIVE_LENGTH_MAX`] bytes: the builder sees to it.
#[must_use]
pub fn seal(seal: &Seal, archive: &[u8], compress: bool) -> Bytes {
    let packed = compress.then(|| lz4_flex::block::compress(archive));
    let (payload, compressed) = match &packed {
        Some(packed) if packed.len() < archive.len() => (packed.as_slice(), true),
        _ => (archive, false),
    };
    let checksum = crc32c::crc32c(payload);
    let header = Header {
        schema: seal.schema,
        version: VERSION,
        compressed,
        lane: seal.lane,
        payload_length: payload.len() as u32,
        raw_length: archive.len() as u32,
        events: seal.events,
        epoch: seal.epoch,
        seq: seal.seq,
        sealed_at: seal.sealed_at,
        chain: chain_of(seal.previous_chain, seal.seq, checksum, payload.len()),
    };
    let mut bytes = Vec::with_capacity(HEADER_LENGTH + payload.len());
    bytes.extend_from_slice(&header.to_bytes(checksum));
    bytes.extend_from_slice(payload);
    bytes.into()
}

/// Where a frame says that it belongs: enough to pass over one that cannot be read, since these fields
/// stay where they are in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The sensor's start.
    pub epoch: u64,
    /// The place in the lane.
    pub seq: u64,
    /// The chain hash that the next frame goes on from.
    pub chain: u64,
    /// Events in it.
    pub events: u32,
}

impl Place {
    /// The place of a frame whose checksum holds, readable or not.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<HEADER_LENGTH>()?;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(payload), &head[..CHECKSUM_AT]);
        let believable = head[..4] == MAGIC && checksum == le_u32(head, CHECKSUM_AT);
        believable.then(|| Self {
            epoch: le_u64(head, 24),
            seq: le_u64(head, 32),
            chain: le_u64(head, 48),
            events: le_u32(head, 20),
        })
    }
}

/// What a frame's header says that it costs to apply; nothing of it is checked here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Events in it.
    pub events: usize,
    /// Bytes that it expands to.
    pub raw_length: usize,
}

impl Cost {
    /// The cost of a frame; none where it has no whole header.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        bytes.first_chunk::<HEADER_LENGTH>().map_or_else(Self::default, |head| Self {
            events: le_u32(head, 20) as usize,
            raw_length: le_u32(head, 16) as usize,
        })
    }
}

/// A frame whose lengths, fields and checksum hold.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The header.
    pub header: Header,
    /// The payload as sent.
    pub payload: &'a [u8],
    payload_checksum: u32,
}

impl<'a> Frame<'a> {
    /// Checks bytes from the network or a disk.
    ///
    /// # Errors
    /// Whatever is wrong first: `TooLarge` for the frame, `Length` for its header, `Magic`,
    /// `Checksum`, `UnknownSchema` (so that a newer peer is called newer, whatever else its header
    /// has), `Field`, then the payload: `Length`, `TooLarge` for what it expands to, and `Field` where
    /// it is not compressed and yet has another length raw.
    pub fn open(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let length = |expected| FrameError::Length { actual: bytes.len(), expected };
        if bytes.len() > FRAME_LENGTH_MAX {
            return Err(FrameError::TooLarge { length: bytes.len(), limit: FRAME_LENGTH_MAX });
        }
        let (head, payload) =
            bytes.split_first_chunk::<HEADER_LENGTH>().ok_or(length(HEADER_LENGTH))?;
        let payload_checksum = crc32c::crc32c(payload);
        let header = Header::from_bytes(head, payload_checksum)?;
        if payload.len() != header.payload_length as usize {
            return Err(length(HEADER_LENGTH + header.payload_length as usize));
        }
        if header.raw_length as usize > ARCHIVE_LENGTH_MAX {
            let length = header.raw_length as usize;
            return Err(FrameError::TooLarge { length, limit: ARCHIVE_LENGTH_MAX });
        }
        if !header.compressed && header.raw_length != header.payload_length {
            return Err(FrameError::Field(16));
        }
        Ok(Self { header, payload, payload_checksum })
    }

    /// The archive, expanded into `scratch` where it is compressed.
    ///
    /// # Errors
    /// [`FrameError::Compression`] where the block does not give exactly what the header says.
    pub fn archive<'s>(&self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], FrameError>
    where
        'a: 's,
    {
        if !self.header.compressed {
            return Ok(self.payload);
        }
        let length = self.header.raw_length as usize;
        scratch.resize(length, 0);
        match lz4_flex::block::decompress_into(self.payload, scratch) {
            Ok(written) if written == length => Ok(scratch),
            _ => Err(FrameError::Compression(length)),
        }
    }

    /// Whether this frame continues a lane whose last frame left `previous`.
    #[must_use]
    pub fn continues(&self, previous: u64) -> bool {
        let length = self.payload.len();
        chain_of(previous, self.header.seq, self.payload_checksum, length) == self.header.chain
    }
}

impl Header {
    fn to_bytes(self, payload_checksum: u32) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(4, &(self.schema as u16).to_le_bytes());
        put(6, &self.version.to_le_bytes());
        put(8, &(if self.compressed { FLAG_LZ4 } else { 0 }).to_le_bytes());
        put(10, &[self.lane.number()]);
        put(12, &self.payload_length.to_le_bytes());
        put(16, &self.raw_length.to_le_bytes());
        put(20, &self.events.to_le_bytes());
        put(24, &self.epoch.to_le_bytes());
        put(32, &self.seq.to_le_bytes());
        put(40, &self.sealed_at.as_nanos().to_le_bytes());
        put(48, &self.chain.to_le_bytes());
        let checksum = crc32c::crc32c_append(payload_checksum, &bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER_LENGTH], payload_checksum: u32) -> Result<Self, FrameError> {
        if bytes[..4] != MAGIC {
            return Err(FrameError::Magic);
        }
        let expected = le_u32(bytes, CHECKSUM_AT);
        let actual = crc32c::crc32c_append(payload_checksum, &bytes[..CHECKSUM_AT]);
        if actual != expected {
            return Err(FrameError::Checksum { actual, expected });
        }
        let (schema, version, flags) = (le_u16(bytes, 4), le_u16(bytes, 6), le_u16(bytes, 8));
        let known = Schema::ALL.into_iter().find(|known| *known as u16 == schema);
        let known = known.filter(|_| version == VERSION);
        let schema = known.ok_or(FrameError::UnknownSchema { schema, version })?;
        if flags & !FLAG_LZ4 != 0 {
            return Err(FrameError::Field(8));
        }
        if bytes[11] != 0 || le_u32(bytes, 56) != 0 {
            return Err(FrameError::Field(if bytes[11] == 0 { 56 } else { 11 }));
        }
        Ok(Self {
            schema,
            version,
            compressed: flags & FLAG_LZ4 != 0,
            lane: Lane::from_number(bytes[10]).ok_or(FrameError::Field(10))?,
            payload_length: le_u32(bytes, 12),
            raw_length: le_u32(bytes, 16),
            events: le_u32(bytes, 20),
            epoch: le_u64(bytes, 24),
            seq: le_u64(bytes, 32),
            sealed_at: Timestamp::from_nanos(le_u64(bytes, 40)),
            chain: le_u64(bytes, 48),
        })
    }
}

fn le<const N: usize>(bytes: &[u8; HEADER_LENGTH], at: usize) -> [u8; N] {
    std::array::from_fn(|offset| bytes[at + offset])
}

fn le_u16(bytes: &[u8; HEADER_LENGTH], at: usize) -> u16 {
    u16::from_le_bytes(le(bytes, at))
}

fn le_u32(bytes: &[u8; HEADER_LENGTH], at: usize) -> u32 {
    u32::from_le_bytes(le(bytes, at))
}

fn le_u64(bytes: &[u8; HEADER_LENGTH], at: usize) -> u64 {
    u64::from_le_bytes(le(bytes, at))
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
