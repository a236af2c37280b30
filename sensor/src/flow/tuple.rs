//! What makes two packets part of one conversation, and who began it.

use std::net::IpAddr;

use wardmesh_common::net::Transport;

use crate::decode::{Ip, Packet, Segment, TcpFlags};
use crate::dissect::Endpoint;

/// Ports below this are served, not dialled from (RFC 6335 section 6: system ports).
const SYSTEM_PORTS_END: u16 = 1024;

/// A conversation's key, the same for both of its directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FiveTuple {
    pub(crate) vlan: Option<u16>,
    pub(crate) transport: Transport,
    /// The two ends in canonical order; ports are 0 where the transport has none.
    ends: [(IpAddr, u16); 2],
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
