//! A snapshot's bytes: a header, the state in blocks, an end. Pure but for the reader it is given.
//!
//! `magic 8 | format u32 | apply version u32 | meta length u32 | meta | crc32c`, then blocks
//! `length u32 | bytes | crc32c`, then `0 u32 | state length u64 | crc32c`. Each checksum goes on
//! from the one before: a block that is changed, missing or moved is noticed where it lies.

use std::io::{self, Read, Write};

use bytes::Bytes;

use crate::raft::codec;
use crate::raft::types::SnapshotMeta;
use crate::state::command::APPLY_VERSION;

/// The first bytes of a snapshot.
const MAGIC: [u8; 8] = *b"WMSNAP\r\n";
/// The layout above.
const FORMAT: u32 = 1;
/// A block's length, bytes: what damage is located to, and what a reader holds.
pub(super) const BLOCK_LENGTH: usize = 1 << 20;
/// The longest meta, bytes: some hundred members' names and addresses.
const META_LENGTH_MAX: u32 = 1 << 20;

/// Writes a snapshot.
pub(super) struct Writer<W> {
    out: W,
    block: Vec<u8>,
    sum: u32,
    length: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    pub(super) fn begin(out: W, meta: &SnapshotMeta) -> io::Result<Self> {
        let mut fields = Vec::new();
        codec::put_meta(&mut fields, meta);
        let length = u32::try_from(fields.len()).unwrap_or(u32::MAX);
        if length > META_LENGTH_MAX {
            return Err(io::Error::other("the membership is too long for a snapshot"));
        }
        let mut header = Vec::from(MAGIC);
        header.extend(FORMAT.to_le_bytes());
        header.extend(u32::from(APPLY_VERSION).to_le_bytes());
        header.extend(length.to_le_bytes());
        header.extend(fields);
        let mut writer = Self { out, block: Vec::with_capacity(BLOCK_LENGTH), sum: 0, length: 0 };
        writer.put(&header)?;
        writer.put_sum()?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum = crc32c::crc32c_append(self.sum, bytes);
        self.out.write_all(bytes)
    }

    fn put_sum(&mut self) -> io::Result<()> {
        self.out.write_all(&self.sum.to_le_bytes())
    }

    fn put_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        self.put(&u32::try_from(block.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        self.put(&block)?;
        self.put_sum()?;
        self.block = block;
        self.block.clear();
        Ok(())
    }

    /// Writes what is left and the end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.put_block()?;
        self.put(&0_u32.to_le_bytes())?;
        self.put(&self.length.to_le_bytes())?;
        self.put_sum()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() >= BLOCK_LENGTH {
            self.put_block()?;
        }
        let (taken, _) = bytes.split_at(bytes.len().min(BLOCK_LENGTH - self.block.len()));
        self.block.extend_from_slice(taken);
        self.length += taken.len() as u64;
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a snapshot's state; a block's bytes come out only after their checksum held.
pub(super) struct Reader<R> {
    from: R,
    block: Bytes,
    sum: u32,
    /// Where the part begins that is being read.
    part: u64,
    offset: u64,
    length: u64,
    ended: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    pub(super) fn begin(from: R) -> io::Result<(SnapshotMeta, Self)> {
        let (block, ended) = (Bytes::new(), false);
        let mut reader = Self { from, block, sum: 0, part: 0, offset: 0, length: 0, ended };
        if reader.array::<8>()? != MAGIC {
            return Err(reader.damaged("it is no snapshot"));
        }
        let format = reader.u32()?;
        let apply_version = reader.u32()?;
        let length = reader.u32()?;
        if length > META_LENGTH_MAX {
            return Err(reader.damaged("its meta is too long"));
        }
        let fields = reader.run(length as usize)?;
        reader.check_sum()?;
        if format != FORMAT || apply_version > APPLY_VERSION.into() {
            let what = "it was written by a newer version: update this node";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        let meta = codec::Reader::new(fields.into()).meta();
        let meta = meta.map_err(|error| reader.damaged(&error.to_string()))?;
        Ok((meta, reader))
    }

    fn damaged(&self, what: &str) -> io::Error {
        let message = format!("damaged in the part from byte {} on: {what}", self.part);
        io::Error::new(io::ErrorKind::InvalidData, message)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.from.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it ends early"),
            _ => error,
        })?;
        self.sum = crc32c::crc32c_append(self.sum, bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn run(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Compares a checksum, which itself is in none, and goes on to the next part.
    fn check_sum(&mut self) -> io::Result<()> {
        let expected = self.sum;
        let found = self.u32()?;
        if found != expected {
            return Err(self.damaged("its checksum does not hold"));
        }
        self.sum = expected;
        self.part = self.offset;
        Ok(())
    }

    fn next_block(&mut self) -> io::Result<()> {
        let length = self.u32()? as usize;
        if length == 0 {
            return self.end();
        }
        if length > BLOCK_LENGTH {
            return Err(self.damaged("a block is too long"));
        }
        let block = self.run(length)?;
        self.check_sum()?;
        self.length += length as u64;
        self.block = block.into();
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let length = self.array().map(u64::from_le_bytes)?;
        self.check_sum()?;
        if length != self.length {
            return Err(self.damaged("its length does not hold"));
        }
        if self.from.read(&mut [0])? != 0 {
            return Err(self.damaged("something follows its end"));
        }
        self.ended = true;
        Ok(())
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() && !self.ended {
            self.next_block()?;
        }
        let taken = self.block.split_to(out.len().min(self.block.len()));
        let (front, _) = out.split_at_mut(taken.len());
        front.copy_from_slice(&taken);
        Ok(taken.len())
    }
}
