//! The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks, each with its own byte order.
//!
//! Packets (Enhanced, Simple and the obsolete Packet Block) are read, interfaces remembered, every
//! other block is passed over without being held. Interfaces are numbered through all sections,
//! since sections may come from different machines.

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{
    InterfaceDescriptionBlock, parse_enhancedpacketblock_be, parse_enhancedpacketblock_le,
    parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_simplepacketblock_be, parse_simplepacketblock_le,
};
use wardmesh_common::time::Timestamp;

use super::LinkType;
use super::file::{Defect, FRAME_BYTES_MAX, Located};
use super::source::{BUFFER_BYTES_MAX, Source, word};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type, length and length again (section 3.1).
const BLOCK_OVERHEAD_BYTES: usize = 12;

/// A section header without options (section 4.1).
const SECTION_HEADER_BYTES: usize = 28;

/// Interfaces that one section may describe; a machine has some tens, and each costs memory.
const INTERFACES_MAX: usize = 4_096;

/// The section that is being read.
pub(super) struct PcapNg {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Interfaces of the sections before.
    interfaces_before: usize,
    /// The time of a Simple Packet Block, which carries none, is that of the frame before.
    last: Timestamp,
}

#[derive(Clone, Copy)]
struct Interface {
    link: LinkType,
    snap_length: u32,
    resolution: u8,
    offset_seconds: i64,
}

/// A block's packet, by offsets into the block.
struct Packet {
    interface: usize,
    ticks: Option<u64>,
    begin: usize,
    length: usize,
    wire_length: u32,
}

impl PcapNg {
    /// Looks for a section header; `None`, and nothing consumed, where there is none.
    pub(super) fn open(source: &mut Source) -> std::io::Result<Option<Self>> {
        if !source.fill(SECTION_HEADER_BYTES)? {
            return Ok(None);
        }
        let begin = source.ahead();
        let section = word(begin, 0, false) == Some(SECTION_HEADER) && byte_order(begin).is_some();
        Ok(section.then(|| Self {
            big_endian: false,
            interfaces: Vec::new(),
            interfaces_before: 0,
            last: Timestamp::EPOCH,
        }))
    }

    /// Finds the next packet; `None` at the end of the file.
    pub(super) fn next(&mut self, source: &mut Source) -> Result<Option<Located>, Defect> {
        while let Some((kind, length)) = self.block(source)? {
            if !matches!(
                kind,
                INTERFACE_DESCRIPTION | OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET
            ) {
                if !source.skip(length)? {
                    return Err(Defect::EndsInside("a block"));
                }
                continue;
            }
            hold(source, length, self.big_endian)?;
            let block = source.ahead().get(..length).unwrap_or_default();
            if kind == INTERFACE_DESCRIPTION {
                self.describe(block)?;
                source.consume(length);
            } else {
                let packet = self.packet(kind, block)?;
                let begin = source.consume(length).start;
                return self.locate(&packet, begin).map(Some);
            }
        }
        Ok(None)
    }

    /// The type and length of the next block; a section header sets the byte order on the way.
    fn block(&mut self, source: &mut Source) -> Result<Option<(u32, usize)>, Defect> {
        if !source.fill(BLOCK_OVERHEAD_BYTES)? {
            return match source.ahead().is_empty() {
                true => Ok(None),
                false => Err(Defect::EndsInside("a block header")),
            };
        }
        let begin = source.ahead();
        let kind = word(begin, 0, self.big_endian).unwrap_or_default();
        if kind == SECTION_HEADER {
            self.big_endian =
                byte_order(begin).ok_or(Defect::Broken("a section has no byte order"))?;
            self.interfaces_before += self.interfaces.len();
            self.interfaces.clear();
        }
        let length = word(begin, 4, self.big_endian).unwrap_or_default() as usize;
        if length < BLOCK_OVERHEAD_BYTES || !length.is_multiple_of(4) {
            return Err(Defect::Broken("a block's length is none that a block can have"));
        }
        Ok(Some((kind, length)))
    }

    fn describe(&mut self, block: &[u8]) -> Result<(), Defect> {
        let parsed = match self.big_endian {
            true => parse_interfacedescriptionblock_be(block),
            false => parse_interfacedescriptionblock_le(block),
        };
        let Ok((_, description)) = parsed else {
            return Err(Defect::Broken("an interface description does not parse"));
        };
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(Defect::Broken("a section describes more than 4096 interfaces"));
        }
        self.interfaces.push(Interface::of(&description, self.big_endian));
        Ok(())
    }

    fn packet(&self, kind: u32, block: &[u8]) -> Result<Packet, Defect> {
        let packet = match kind {
            SIMPLE_PACKET => self.simple(block),
            OBSOLETE_PACKET => obsolete(block, self.big_endian),
            _ => enhanced(block, self.big_endian),
        };
        let packet = packet.ok_or(Defect::Broken("a packet block does not parse"))?;
        match packet.length > FRAME_BYTES_MAX {
            true => Err(Defect::TooLong { what: "a packet", bytes: packet.length }),
            false => Ok(packet),
        }
    }

    /// Section 4.4: interface 0, no time, and the captured length only by the snap length.
    fn simple(&self, block: &[u8]) -> Option<Packet> {
        let (_, simple) = match self.big_endian {
            true => parse_simplepacketblock_be(block).ok()?,
            false => parse_simplepacketblock_le(block).ok()?,
        };
        let limit = match self.interfaces.first()?.snap_length {
            0 => usize::MAX,
            limit => limit as usize,
        };
        let length = simple.packet_data().len().min(limit);
        let wire_length = simple.origlen.max(length as u32);
        Some(Packet { interface: 0, ticks: None, begin: 12, length, wire_length })
    }

    fn locate(&mut self, packet: &Packet, block: usize) -> Result<Located, Defect> {
        let Some(interface) = self.interfaces.get(packet.interface) else {
            return Err(Defect::Broken("a packet names an interface that is not described"));
        };
        self.last = packet.ticks.map_or(self.last, |ticks| interface.time(ticks));
        let begin = block + packet.begin;
        let number = self.interfaces_before + packet.interface;
        Ok(Located {
            at: self.last,
            interface: u16::try_from(number).unwrap_or(u16::MAX),
            link: interface.link,
            bytes: begin..begin + packet.length,
            wire_length: packet.wire_length,
        })
    }
}

impl Interface {
    fn of(description: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        // The parser reads the offset as little-endian in either section.
        let offset = description.if_tsoffset;
        Self {
            link: LinkType::from_number(description.linktype.0 as u16),
            snap_length: description.snaplen,
            resolution: description.if_tsresol,
            offset_seconds: if big_endian { offset.swap_bytes() } else { offset },
        }
    }

    /// Section 4.2, if_tsresol: the high bit chooses powers of two over powers of ten.
    fn time(&self, ticks: u64) -> Timestamp {
        let (ticks, exponent) = (u128::from(ticks), u32::from(self.resolution & 0x7f));
        let nanos = match (self.resolution & 0x80 != 0, exponent) {
            (true, _) => (ticks * 1_000_000_000) >> exponent,
            (false, 0..=9) => ticks * 10_u128.pow(9 - exponent),
            (false, _) => 10_u128.checked_pow(exponent - 9).map_or(0, |unit| ticks / unit),
        };
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX);
        let nanos = nanos.saturating_add(i128::from(self.offset_seconds) * 1_000_000_000);
        Timestamp::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

/// Section 4.3.
fn enhanced(block: &[u8], big_endian: bool) -> Option<Packet> {
    let (_, packet) = match big_endian {
        true => parse_enhancedpacketblock_be(block).ok()?,
        false => parse_enhancedpacketblock_le(block).ok()?,
    };
    Some(Packet {
        interface: packet.if_id as usize,
        ticks: Some(u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low)),
        begin: 28,
        length: packet.packet_data().len(),
        wire_length: packet.origlen.max(packet.caplen),
    })
}

/// Appendix A: as the enhanced one, but a 16-bit interface and a drop count; the parser has it not.
fn obsolete(block: &[u8], big_endian: bool) -> Option<Packet> {
    let (length, wire_length) = (word(block, 20, big_endian)?, word(block, 24, big_endian)?);
    let room = block.len().checked_sub(32)?;
    let [first, second] = *block.get(8..)?.first_chunk()?;
    let interface = match big_endian {
        true => u16::from_be_bytes([first, second]),
        false => u16::from_le_bytes([first, second]),
    };
    (length as usize <= room).then_some(())?;
    Some(Packet {
        interface: interface.into(),
        ticks: Some(
            u64::from(word(block, 12, big_endian)?) << 32 | u64::from(word(block, 16, big_endian)?),
        ),
        begin: 28,
        length: length as usize,
        wire_length: wire_length.max(length),
    })
}

/// Holds a whole block whose two lengths agree.
fn hold(source: &mut Source, length: usize, big_endian: bool) -> Result<(), Defect> {
    if length > BUFFER_BYTES_MAX {
        return Err(Defect::TooLong { what: "a block", bytes: length });
    }
    if !source.fill(length)? {
        return Err(Defect::EndsInside("a block"));
    }
    match word(source.ahead(), length - 4, big_endian) == Some(length as u32) {
        true => Ok(()),
        false => Err(Defect::Broken("a block's two lengths differ")),
    }
}

/// Whether a section is big-endian, by its byte-order magic; `None` where that is neither.
fn byte_order(section: &[u8]) -> Option<bool> {
    match word(section, 8, false)? {
        0x1a2b_3c4d => Some(false),
        0x4d3c_2b1a => Some(true),
        _ => None,
    }
}
