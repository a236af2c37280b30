//! Where frames come from: capture files now, live interfaces later. Both yield the same [`Frame`]s.

mod file;
mod pcap;
mod pcapng;
mod source;
#[cfg(test)]
mod tests;

pub use file::{CaptureError, CaptureFile, FRAME_BYTES_MAX, Truncated};

use wardmesh_common::time::Timestamp;

/// One captured frame, borrowed from the reader's buffer until the next is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Capture time, nanoseconds.
    pub at: Timestamp,
    /// Index of the interface within its source (pcapng has several; pcap always 0).
    pub interface: u16,
    /// How the bytes begin.
    pub link: LinkType,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// How long the frame was on the wire, bytes; larger than `bytes` where the capture cut it.
    pub wire_length: u32,
}

/// The link types that are read (the tcpdump.org LINKTYPE registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// LINKTYPE_NULL 0 and LINKTYPE_LOOP 108: four bytes of address family.
    Loopback,
    /// LINKTYPE_ETHERNET 1.
    Ethernet,
    /// LINKTYPE_PPP 9, and PPP in HDLC-like framing 50.
    Ppp,
    /// LINKTYPE_RAW 101, and 12 and 14 in old files.
    Raw,
    /// LINKTYPE_LINUX_SLL 113.
    LinuxSll,
    /// LINKTYPE_IPV4 228.
    Ipv4,
    /// LINKTYPE_IPV6 229.
    Ipv6,
    /// LINKTYPE_LINUX_SLL2 276.
    LinuxSll2,
    /// Any other, by its number: frames are counted and passed over.
    Other(u16),
}

impl LinkType {
    /// From a LINKTYPE or an old file's DLT number (<https://www.tcpdump.org/linktypes.html>).
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        match number {
            0 | 108 => Self::Loopback,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            12 | 14 | 101 => Self::Raw,
            113 => Self::LinuxSll,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::LinuxSll2,
            other => Self::Other(other),
        }
    }
}
