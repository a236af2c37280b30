//! The classic pcap file format with nanosecond time stamps (tcpdump.org, pcap-savefile).

use std::io::{self, Write};

use wardmesh_common::time::Timestamp;

/// The magic number of files with nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Bytes kept of a frame: all of any Ethernet frame.
const SNAP_LENGTH: u32 = 262_144;
/// LINKTYPE_ETHERNET.
const ETHERNET: u32 = 1;

/// Writes the file header, little endian, version 2.4.
pub(super) fn header(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&MAGIC.to_le_bytes())?;
    out.write_all(&2_u16.to_le_bytes())?;
    out.write_all(&4_u16.to_le_bytes())?;
    for word in [0, 0, SNAP_LENGTH, ETHERNET] {
        out.write_all(&word.to_le_bytes())?;
    }
    Ok(())
}

/// Writes one frame; an error where its time is after 2106, which the format cannot say.
pub(super) fn record(out: &mut impl Write, at: Timestamp, frame: &[u8]) -> io::Result<()> {
    let (seconds, nanos) = (at.as_nanos() / 1_000_000_000, at.as_nanos() % 1_000_000_000);
    let seconds = u32::try_from(seconds).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "pcap holds no time after 2106")
    })?;
    let length = frame.len() as u32;
    for word in [seconds, nanos as u32, length, length] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(frame)
}
