//! An archive file's bytes, little-endian; every one of them is under a crc32c (RFC 3385).
//!
//! ```text
//! header   "WMAR" · version u16 · 0 u16 · first index u64 · crc32c u32
//! records  index u64 · length u32 · rows' length u32 · crc32c u32 (of these and what follows) ·
//!          rows (see row.rs) · the command's bytes   …
//! index    index u64 · offset u64   …
//! footer   through u64 · newest u64 · offset of index u64 · records u32 · index's crc32c u32 ·
//!          "RAMW" · crc32c u32
//! ```

use crate::store::fields::{Fields, checked, seal};

/// Bytes of a header.
pub(super) const HEADER_LENGTH: usize = 20;
/// Bytes before a record's own.
pub(super) const RECORD_HEADER_LENGTH: usize = 20;
/// Bytes of a place in the index block.
pub(super) const ENTRY_LENGTH: usize = 16;
/// Bytes of a footer.
pub(super) const FOOTER_LENGTH: usize = 40;

const VERSION: u16 = 1;
const MAGIC: [u8; 4] = *b"WMAR";
const END_MAGIC: [u8; 4] = *b"RAMW";

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) index: u64,
    pub(super) offset: u64,
}

/// What closes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    /// The last log index that the file answers for.
    pub(super) through: u64,
    /// The latest command's time in it, nanoseconds since the Unix epoch.
    pub(super) newest: u64,
    /// Where the index block begins.
    pub(super) entries_at: u64,
    /// Records in the file.
    pub(super) records: u32,
    /// crc32c of the index block.
    pub(super) entries_checksum: u32,
}

/// A header for a file that begins at a log index.
pub(super) fn header(first: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_LENGTH);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&first.to_le_bytes());
    seal(bytes)
}

/// The first index that a header names; an error says what does not hold.
pub(super) fn read_header(bytes: &[u8]) -> Result<u64, &'static str> {
    const SHORT: &str = "the header is cut short";
    let mut fields = Fields(checked(bytes).ok_or("the header's checksum does not hold")?);
    if fields.array() != Some(MAGIC) {
        return Err("it does not begin with WMAR");
    }
    if fields.u16().ok_or(SHORT)? != VERSION {
        return Err("it is of a version that this build does not read");
    }
    fields.u16().ok_or(SHORT)?;
    fields.u64().ok_or(SHORT)
}

/// What stands before a record's rows and its command.
pub(super) fn record_header(index: u64, rows: &[u8], command: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(RECORD_HEADER_LENGTH);
    header.extend_from_slice(&index.to_le_bytes());
    header.extend_from_slice(&((rows.len() + command.len()) as u32).to_le_bytes());
    header.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&header), rows);
    header.extend_from_slice(&crc32c::crc32c_append(sum, command).to_le_bytes());
    header
}

/// Checks a record's header against where it was found and what follows it; the length of its rows.
pub(super) fn check_record(header: &[u8], index: u64, bytes: &[u8]) -> Result<usize, &'static str> {
    const SHORT: &str = "the record's header is cut short";
    let mut fields = Fields(header);
    if fields.u64() != Some(index) {
        return Err("the record is not the one that the index names");
    }
    if fields.u32().map(|length| length as usize) != Some(bytes.len()) {
        return Err("the record is not as long as the index says");
    }
    let rows = fields.u32().ok_or(SHORT)? as usize;
    let covered = header.first_chunk::<{ RECORD_HEADER_LENGTH - 4 }>().ok_or(SHORT)?;
    if fields.u32() != Some(crc32c::crc32c_append(crc32c::crc32c(covered), bytes)) {
        return Err("the record's checksum does not hold");
    }
    (rows <= bytes.len()).then_some(rows).ok_or("the record's rows are longer than the record")
}

/// The index block.
pub(super) fn entries(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_LENGTH);
    for entry in entries {
        bytes.extend_from_slice(&entry.index.to_le_bytes());
        bytes.extend_from_slice(&entry.offset.to_le_bytes());
    }
    bytes
}

/// Reads an index block whose places must rise within a file that answers from `first` on.
pub(super) fn read_entries(
    bytes: &[u8],
    first: u64,
    footer: &Footer,
) -> Result<Vec<Entry>, &'static str> {
    if crc32c::crc32c(bytes) != footer.entries_checksum {
        return Err("the index block's checksum does not hold");
    }
    let mut fields = Fields(bytes);
    let mut entries: Vec<Entry> = Vec::with_capacity(footer.records as usize);
    let (mut least, mut offset_least) = (first, HEADER_LENGTH as u64);
    while let (Some(index), Some(offset)) = (fields.u64(), fields.u64()) {
        let first_offset = entries.is_empty() && offset != HEADER_LENGTH as u64;
        if index < least || index > footer.through || offset < offset_least || first_offset {
            return Err("the index block's places do not rise");
        }
        (least, offset_least) = (index.saturating_add(1), offset + RECORD_HEADER_LENGTH as u64);
        entries.push(Entry { index, offset });
    }
    if offset_least > footer.entries_at {
        return Err("the index block's places lie past the records");
    }
    Ok(entries)
}

impl Footer {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER_LENGTH);
        bytes.extend_from_slice(&self.through.to_le_bytes());
        bytes.extend_from_slice(&self.newest.to_le_bytes());
        bytes.extend_from_slice(&self.entries_at.to_le_bytes());
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes.extend_from_slice(&self.entries_checksum.to_le_bytes());
        bytes.extend_from_slice(&END_MAGIC);
        seal(bytes)
    }

    /// Reads the footer of a file of `length` bytes, which it must account for exactly.
    pub(super) fn from_bytes(bytes: &[u8], length: u64) -> Result<Self, &'static str> {
        let mut fields = Fields(checked(bytes).ok_or("the footer's checksum does not hold")?);
        let footer = Self::fields(&mut fields).ok_or("the footer is cut short")?;
        if fields.array() != Some(END_MAGIC) {
            return Err("it does not end with RAMW");
        }
        let entries = u64::from(footer.records) * ENTRY_LENGTH as u64;
        if footer.entries_at.checked_add(entries + FOOTER_LENGTH as u64) != Some(length) {
            return Err("it is not as long as its footer says");
        }
        Ok(footer)
    }

    fn fields(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            through: fields.u64()?,
            newest: fields.u64()?,
            entries_at: fields.u64()?,
            records: fields.u32()?,
            entries_checksum: fields.u32()?,
        })
    }
}
