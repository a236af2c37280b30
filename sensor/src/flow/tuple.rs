//! What makes two packets part of one conversation, and who began it.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use wardmesh_common::net::Transport;

use crate::decode::{Ip, Packet, Segment, TcpFlags};
use crate::dissect::Endpoint;

/// Ports below this are served, not dialled from (RFC 6335 section 6: system ports).
const SYSTEM_PORTS_END: u16 = 1024;

/// A conversation's key, the same for both of its directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FiveTuple {
    pub(crate) vlan: Option<u16>,
    pub(crate) transport: Transport,
    /// The two ends in canonical order; ports are 0 where the transport has none.
    ends: [(IpAddr, u16); 2],
}

/// One write of 16 bytes for IPv4, 40 for IPv6: hashing field by field takes three times as long.
impl Hash for FiveTuple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let transport = match self.transport {
            Transport::Link => 0,
            Transport::Tcp => 1,
            Transport::Udp => 2,
            Transport::Icmp => 3,
            Transport::Other(number) => 0x100 | u16::from(number),
        };
        // No VLAN has this number (IEEE 802.1Q: 1 to 4094).
        let [v0, v1] = self.vlan.unwrap_or(u16::MAX).to_le_bytes();
        let [t0, t1] = transport.to_le_bytes();
        let [(from, from_port), (to, to_port)] = self.ends;
        let ([f0, f1], [p0, p1]) = (from_port.to_le_bytes(), to_port.to_le_bytes());
        if let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) {
            let ([a, b, c, d], [e, f, g, h]) = (from.octets(), to.octets());
            state.write(&[a, b, c, d, e, f, g, h, f0, f1, p0, p1, v0, v1, t0, t1]);
            return;
        }
        let mut bytes = [0; 40];
        let (from_bytes, rest) = bytes.split_at_mut(16);
        let (to_bytes, rest) = rest.split_at_mut(16);
        from_bytes.copy_from_slice(&sixteen(from));
        to_bytes.copy_from_slice(&sixteen(to));
        rest.copy_from_slice(&[f0, f1, p0, p1, v0, v1, t0, t1]);
        state.write(&bytes);
    }
}

/// An address in the form of the larger family.
fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// One of the two parties of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Originator = 0,
    Responder = 1,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Originator => Self::Responder,
            Self::Responder => Self::Originator,
        }
    }
}

impl FiveTuple {
    pub(crate) fn of(packet: &Packet<'_>, ip: &Ip<'_>) -> Self {
        let (source, destination) = ports(&ip.segment);
        let from = (ip.source, source.unwrap_or(0));
        let to = (ip.destination, destination.unwrap_or(0));
        let ends = if from <= to { [from, to] } else { [to, from] };
        Self { vlan: packet.vlan, transport: transport(&ip.segment), ends }
    }
}

/// Who sent the packet and to whom.
pub(crate) fn endpoints(packet: &Packet<'_>, ip: &Ip<'_>) -> [Endpoint; 2] {
    let (source, destination) = ports(&ip.segment);
    [
        Endpoint { mac: packet.source, ip: Some(ip.source), port: source },
        Endpoint { mac: packet.destination, ip: Some(ip.destination), port: destination },
    ]
}

/// Which side the sender of a flow's first packet is.
///
/// The sender of a SYN originates and that of a SYN+ACK responds (RFC 9293 section 3.5). Without
/// either the first sender is taken for the originator, unless it speaks from a system port to one
/// that is none: then a server's answer was caught first. Groups never originate.
pub(crate) fn side_of_first(ip: &Ip<'_>) -> Side {
    let (flags, source, destination) = match ip.segment {
        Segment::Tcp { flags, source, destination, .. } => (flags, source, destination),
        Segment::Udp { source, destination, .. } => (TcpFlags::default(), source, destination),
        Segment::Other { .. } => return Side::Originator,
    };
    let answer = source < SYSTEM_PORTS_END && destination >= SYSTEM_PORTS_END;
    let to_group = match ip.destination {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    };
    match (flags.syn, flags.ack) {
        (true, false) => Side::Originator,
        (true, true) => Side::Responder,
        (false, _) if answer && !to_group => Side::Responder,
        (false, _) => Side::Originator,
    }
}

fn ports(segment: &Segment<'_>) -> (Option<u16>, Option<u16>) {
    match *segment {
        Segment::Tcp { source, destination, .. } | Segment::Udp { source, destination, .. } => {
            (Some(source), Some(destination))
        }
        Segment::Other { .. } => (None, None),
    }
}

/// ICMP is 1 for IPv4 and 58 for IPv6 (IANA protocol numbers).
fn transport(segment: &Segment<'_>) -> Transport {
    match *segment {
        Segment::Tcp { .. } => Transport::Tcp,
        Segment::Udp { .. } => Transport::Udp,
        Segment::Other { protocol: 1 | 58, .. } => Transport::Icmp,
        Segment::Other { protocol, .. } => Transport::Other(protocol),
    }
}
