//! The classic pcap format (draft-ietf-opsawg-pcap): one file header, then records.
//!
//! Micro- and nanoseconds, both byte orders, the 24-byte records of the "modified" format, and the
//! files of before 1998 that store a record's two lengths in the other order.

use pcap_parser::{PcapHeader, parse_pcap_header};
use wardmesh_common::time::Timestamp;

use super::LinkType;
use super::file::{Defect, FRAME_BYTES_MAX, Located};
use super::source::{Source, word};

/// The shortest of the file headers, pcap's.
pub(super) const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const MODIFIED_RECORD_HEADER_BYTES: usize = 24;

/// What the file header says of all records.
pub(super) struct Pcap {
    header: PcapHeader,
    link: LinkType,
}

/// The lengths of a record, bytes.
struct Lengths {
    captured: u32,
    on_wire: u32,
}

impl Pcap {
    /// Reads the file header; `None` where the bytes begin no pcap file, or end inside its header.
    pub(super) fn open(source: &mut Source) -> std::io::Result<Option<Self>> {
        if !source.fill(FILE_HEADER_BYTES)? {
            return Ok(None);
        }
        let Ok((_, header)) = parse_pcap_header(source.ahead()) else {
            return Ok(None);
        };
        source.consume(FILE_HEADER_BYTES);
        // The upper half tells the length of a frame check sequence.
        let [low, high, ..] = header.network.0.to_le_bytes();
        let link = LinkType::from_number(u16::from_le_bytes([low, high]));
        Ok(Some(Self { header, link }))
    }

    /// Finds the next record; `None` at the end of the file.
    pub(super) fn next(&self, source: &mut Source) -> Result<Option<Located>, Defect> {
        let header_bytes = match self.header.is_modified_format() {
            true => MODIFIED_RECORD_HEADER_BYTES,
            false => RECORD_HEADER_BYTES,
        };
        if !source.fill(header_bytes)? {
            return match source.ahead().is_empty() {
                true => Ok(None),
                false => Err(Defect::EndsInside("a record header")),
            };
        }
        let (at, lengths) = (self.time(source.ahead()), self.lengths(source.ahead()));
        let captured = lengths.captured as usize;
        if captured > FRAME_BYTES_MAX {
            return Err(Defect::TooLong { what: "a record", bytes: captured });
        }
        if !source.fill(header_bytes + captured)? {
            return Err(Defect::EndsInside("a record"));
        }
        let record = source.consume(header_bytes + captured);
        let (bytes, wire_length) = (record.start + header_bytes..record.end, lengths.on_wire);
        Ok(Some(Located { at, interface: 0, link: self.link, bytes, wire_length }))
    }

    fn lengths(&self, record: &[u8]) -> Lengths {
        let (first, second) = (self.field(record, 8), self.field(record, 12));
        let exchanged = match (self.header.version_major, self.header.version_minor) {
            (2, 0..=2) => true,
            // Written either way, but never more captured than was there.
            (2, 3) => first > second,
            _ => false,
        };
        let (captured, on_wire) = if exchanged { (second, first) } else { (first, second) };
        Lengths { captured, on_wire: on_wire.max(captured) }
    }

    fn time(&self, record: &[u8]) -> Timestamp {
        let scale = if self.header.is_nanosecond_precision() { 1 } else { 1_000 };
        let seconds = u64::from(self.field(record, 0)) * 1_000_000_000;
        Timestamp::from_nanos(seconds + u64::from(self.field(record, 4)) * scale)
    }

    fn field(&self, record: &[u8], at: usize) -> u32 {
        word(record, at, self.header.is_bigendian()).unwrap_or_default()
    }
}
