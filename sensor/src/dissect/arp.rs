//! ARP (RFC 826) for IPv4 over Ethernet: who claims which address.
//!
//! The claim is the sender's pair of addresses, not the frame's: a poisoner and a proxy show here.
//! Whether two devices claim one address takes memory, and is told elsewhere (`arp.conflict`).

use std::net::{IpAddr, Ipv4Addr};

use wardmesh_common::net::MacAddress;

use super::reader::Reader;
use super::{Carrier, Dissector, Observation, Observations, Payload, Probe, Progress};

#[cfg(test)]
mod tests;

/// EtherType of ARP (IANA).
const ETHERTYPE: u16 = 0x0806;
/// Hardware type Ethernet, and IEEE 802 networks, which some stacks say instead (IANA).
const ETHERNET: [u16; 2] = [1, 6];
/// Protocol type IPv4, an EtherType.
const IPV4: u16 = 0x0800;
/// Operations request and reply (RFC 826); others (RARP, InARP) claim nothing of IPv4 here.
const REQUEST_OR_REPLY: [u16; 2] = [1, 2];

/// Reports `arp.ip` and, where the sender announces itself (RFC 5227 section 3), `arp.gratuitous`.
#[derive(Debug)]
pub(super) struct Arp;

impl Dissector for Arp {
    fn protocol(&self) -> &'static str {
        "arp"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        if payload.carrier == Carrier::Link(ETHERTYPE) { Probe::Yes } else { Probe::No }
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        let all = Progress::Consumed(payload.bytes.len());
        let mut reader = Reader::new(payload.bytes);
        let Some(header) = Header::read(&mut reader) else {
            return Progress::Malformed { at: reader.at(), reason: "header_cut_short" };
        };
        if !header.is_ipv4_over_ethernet() {
            return all;
        }
        if header.lengths != [6, 4] {
            return Progress::Malformed { at: 4, reason: "address_length" };
        }
        let Some(claim) = Claim::read(&mut reader) else {
            return Progress::Malformed { at: reader.at(), reason: "address_cut_short" };
        };
        found.0.extend(claim.observe());
        all
    }
}

/// What precedes the addresses.
struct Header {
    hardware: u16,
    protocol: u16,
    lengths: [u8; 2],
    operation: u16,
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            hardware: reader.u16()?,
            protocol: reader.u16()?,
            lengths: reader.array()?,
            operation: reader.u16()?,
        })
    }

    fn is_ipv4_over_ethernet(&self) -> bool {
        ETHERNET.contains(&self.hardware)
            && self.protocol == IPV4
            && REQUEST_OR_REPLY.contains(&self.operation)
    }
}

/// The addresses that matter: a target's hardware address is unknown in a request.
struct Claim {
    mac: MacAddress,
    ip: Ipv4Addr,
    target: Ipv4Addr,
}

impl Claim {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (mac, ip) = (MacAddress(reader.array()?), Ipv4Addr::from(reader.array::<4>()?));
        reader.skip(6)?;
        Some(Self { mac, ip, target: Ipv4Addr::from(reader.array::<4>()?) })
    }

    /// A probe (RFC 5227 section 2.1.1) has no sender address: it asks, and claims nothing.
    fn observe(&self) -> Option<Observation> {
        if self.ip.is_unspecified() || self.ip.is_broadcast() || self.ip.is_multicast() {
            return None;
        }
        let mut observation = Observation {
            device_mac: self.mac.is_unicast().then_some(self.mac),
            device_ip: Some(IpAddr::V4(self.ip)),
            ..Observation::default()
        };
        observation.say("arp.ip", self.ip.to_string());
        if self.ip == self.target {
            observation.say("arp.gratuitous", "true");
        }
        Some(observation)
    }
}
