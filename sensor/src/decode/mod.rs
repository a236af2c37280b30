//! L2 to L4: a [`Frame`](crate::capture::Frame)'s bytes become a [`Packet`].
//!
//! Pure. Malformed input is a value ([`Malformed`]), never a panic. Checksums are not verified: a
//! capture on a sending machine sees them before its network card has filled them in.

mod bytes;
mod decoder;
mod ethernet;
mod fragment;
mod ip;
mod ipv6;
mod link;
#[cfg(test)]
mod tests;
mod transport;

pub use decoder::Decoder;
pub use fragment::FragmentCounts;

use std::net::IpAddr;

use wardmesh_common::net::MacAddress;
use wardmesh_common::time::Timestamp;

/// A decoded frame; what it borrows lives in the frame or in the reassembly buffer of the decoder.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Capture time of the frame (of the last fragment where fragments were joined).
    pub at: Timestamp,
    /// Index of the interface within its source.
    pub interface: u16,
    /// Source MAC address, where the link has one.
    pub source: Option<MacAddress>,
    /// Destination MAC address, where the link has one.
    pub destination: Option<MacAddress>,
    /// IEEE 802.1Q VLAN id, the inner one of a QinQ pair; a priority tag (id 0) counts as untagged.
    pub vlan: Option<u16>,
    /// Bytes on the wire (of all its frames where fragments were joined).
    pub wire_length: u32,
    /// What the link carries.
    pub body: Body<'a>,
}

/// What a link carries.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// No IP: ARP (EtherType 0x0806), LLDP (0x88cc) and others.
    Link {
        /// IEEE 802.3 EtherType; LLC/SNAP frames with an encapsulated EtherType give that one, other
        /// LLC frames 0, PPP frames without IP 0x880b.
        ethertype: u16,
        /// What follows it, with the link's padding; from the LLC header or the PPP protocol field
        /// where these have no EtherType.
        bytes: &'a [u8],
    },
    /// IPv4 or IPv6, whole.
    Ip(Ip<'a>),
}

/// An IP packet, its fragments joined.
#[derive(Clone, Copy, Debug)]
pub struct Ip<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// What it carries.
    pub segment: Segment<'a>,
}

/// What IP carries.
#[derive(Clone, Copy, Debug)]
pub enum Segment<'a> {
    /// RFC 9293.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Sequence number of the first payload byte (of the SYN itself where that is set).
        sequence: u32,
        /// FIN, SYN, RST and ACK.
        flags: TcpFlags,
        /// The payload, never longer than the IP header says (Ethernet padding removed).
        payload: &'a [u8],
        /// Payload bytes on the wire; larger than `payload` where the capture cut the frame.
        wire_length: u32,
    },
    /// RFC 768.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// The payload.
        payload: &'a [u8],
    },
    /// Any other protocol.
    Other {
        /// IANA protocol number.
        protocol: u8,
        /// The payload.
        payload: &'a [u8],
    },
}

/// The TCP flags that matter to reassembly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    /// No more data from the sender.
    pub fin: bool,
    /// Synchronise sequence numbers.
    pub syn: bool,
    /// Reset the connection.
    pub rst: bool,
    /// The acknowledgement field is significant.
    pub ack: bool,
}

/// Bytes that are not what they claim to be; counted by protocol and reason, never logged with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Malformed {
    /// The layer or protocol: `ethernet`, `ipv4`, `tcp`, `dns`.
    pub protocol: &'static str,
    /// Why, in snake case: `header_cut_short`.
    pub reason: &'static str,
}
