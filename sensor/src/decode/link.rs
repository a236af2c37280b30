//! Link layers other than Ethernet: Linux cooked, BSD loopback, PPP, and none at all.

use wardmesh_common::net::MacAddress;

use super::Malformed;
use super::bytes::{header, malformed, station};
use super::ethernet::{self, ETHERTYPE_MIN, ethertype};
use crate::capture::LinkType;

/// A frame without its link header and tags.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link<'a> {
    pub(super) source: Option<MacAddress>,
    pub(super) destination: Option<MacAddress>,
    pub(super) vlan: Option<u16>,
    pub(super) ethertype: u16,
    pub(super) bytes: &'a [u8],
}

/// ARP hardware type of Ethernet (IANA).
const HARDWARE_ETHERNET: u16 = 1;

/// Linux ARPHRD values whose protocol field is no EtherType: 802.11 with radio headers, netlink.
const HARDWARE_WITHOUT_ETHERTYPE: [u16; 5] = [801, 802, 803, 804, 824];

/// Linux's pseudo-EtherType for a frame that begins with LLC (ETH_P_802_2).
const LINUX_LLC: u16 = 0x0004;

/// Address families in the four bytes of LINKTYPE_NULL, where each system has its own for IPv6:
/// Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
const FAMILY_IPV4: u32 = 2;
const FAMILIES_IPV6: [u32; 5] = [10, 23, 24, 28, 30];

/// Reads the link header; a link type that is not read is `unsupported_link_type`.
pub(super) fn read(link: LinkType, bytes: &[u8]) -> Result<Link<'_>, Malformed> {
    match link {
        LinkType::Ethernet => ethernet::read(bytes),
        LinkType::LinuxSll => linux_sll(bytes),
        LinkType::LinuxSll2 => linux_sll2(bytes),
        LinkType::Loopback => loopback(bytes),
        LinkType::Ppp => ppp(bytes),
        LinkType::Raw => raw(bytes),
        LinkType::Ipv4 => Ok(bare(ethertype::IPV4, bytes)),
        LinkType::Ipv6 => Ok(bare(ethertype::IPV6, bytes)),
        LinkType::Other(_) => Err(malformed("link", "unsupported_link_type")),
    }
}

fn bare(ethertype: u16, bytes: &[u8]) -> Link<'_> {
    Link { ethertype, bytes, ..Link::default() }
}

/// LINKTYPE_LINUX_SLL: packet type, hardware, address length, address, protocol.
fn linux_sll(bytes: &[u8]) -> Result<Link<'_>, Malformed> {
    let (head, rest) = header::<16>(bytes, "sll")?;
    let [_, _, h0, h1, l0, l1, address @ .., p0, p1] = *head;
    let length = u16::from_be_bytes([l0, l1]);
    cooked(u16::from_be_bytes([h0, h1]), length, address, u16::from_be_bytes([p0, p1]), rest)
}

/// LINKTYPE_LINUX_SLL2: protocol, interface index, hardware, packet type, address length, address.
fn linux_sll2(bytes: &[u8]) -> Result<Link<'_>, Malformed> {
    let (head, rest) = header::<20>(bytes, "sll")?;
    let [p0, p1, _, _, _, _, _, _, h0, h1, _, length, address @ ..] = *head;
    let hardware = u16::from_be_bytes([h0, h1]);
    cooked(hardware, length.into(), address, u16::from_be_bytes([p0, p1]), rest)
}

fn cooked(
    hardware: u16,
    address_length: u16,
    address: [u8; 8],
    protocol: u16,
    rest: &[u8],
) -> Result<Link<'_>, Malformed> {
    if HARDWARE_WITHOUT_ETHERTYPE.contains(&hardware) {
        return Err(malformed("sll", "unsupported_hardware"));
    }
    let [a, b, c, d, e, f, _, _] = address;
    let is_mac = hardware == HARDWARE_ETHERNET && address_length == 6;
    let source = if is_mac { station([a, b, c, d, e, f]) } else { None };
    let link = match protocol {
        LINUX_LLC => {
            let (ethertype, bytes) = ethernet::llc(rest)?;
            bare(ethertype, bytes)
        }
        ETHERTYPE_MIN.. => ethernet::payload(protocol, rest)?,
        _ => return Err(malformed("sll", "unsupported_protocol")),
    };
    Ok(Link { source, ..link })
}

/// LINKTYPE_NULL in the byte order of the capturing machine, LINKTYPE_LOOP in network order.
fn loopback(bytes: &[u8]) -> Result<Link<'_>, Malformed> {
    let (family, rest) = header::<4>(bytes, "loopback")?;
    let (little, big) = (u32::from_le_bytes(*family), u32::from_be_bytes(*family));
    let is_ipv6 = |family| FAMILIES_IPV6.contains(&family);
    if little == FAMILY_IPV4 || big == FAMILY_IPV4 {
        Ok(bare(ethertype::IPV4, rest))
    } else if is_ipv6(little) || is_ipv6(big) {
        Ok(bare(ethertype::IPV6, rest))
    } else {
        Err(malformed("loopback", "unknown_address_family"))
    }
}

/// RFC 1661 and RFC 1662: optional address and control, a protocol of one or two bytes.
fn ppp(bytes: &[u8]) -> Result<Link<'_>, Malformed> {
    let protocol_on = match bytes {
        [0xff, 0x03, rest @ ..] => rest,
        // Cisco HDLC shares the link type; its protocol is an EtherType.
        [0x0f | 0x8f, 0x00, high, low, rest @ ..] => {
            return ethernet::payload(u16::from_be_bytes([*high, *low]), rest);
        }
        _ => bytes,
    };
    match protocol_on {
        [0x21, rest @ ..] | [0x00, 0x21, rest @ ..] => Ok(bare(ethertype::IPV4, rest)),
        [0x57, rest @ ..] | [0x00, 0x57, rest @ ..] => Ok(bare(ethertype::IPV6, rest)),
        [_, _, ..] => Ok(bare(ethertype::PPP, protocol_on)),
        _ => Err(malformed("ppp", "header_cut_short")),
    }
}

fn raw(bytes: &[u8]) -> Result<Link<'_>, Malformed> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => Ok(bare(ethertype::IPV4, bytes)),
        Some(6) => Ok(bare(ethertype::IPV6, bytes)),
        Some(_) => Err(malformed("raw", "neither_ipv4_nor_ipv6")),
        None => Err(malformed("raw", "header_cut_short")),
    }
}
