//! How the values of LLDP's TLVs are rendered, each by its subtype.
//!
//! `None` means that a value is too short for what its subtype says.

use std::net::{Ipv4Addr, Ipv6Addr};

use wardmesh_common::net::MacAddress;

use crate::dissect::reader::{Reader, hex, text};

/// Names of the capability bits from the lowest (IEEE 802.1AB table 8-4).
const CAPABILITIES: [&str; 11] = [
    "other",
    "repeater",
    "bridge",
    "wlan_access_point",
    "router",
    "telephone",
    "docsis_cable_device",
    "station_only",
    "c_vlan",
    "s_vlan",
    "two_port_mac_relay",
];

/// A chassis id (IEEE 802.1AB table 8-2): subtype 4 is a MAC address, 5 a network address.
pub(super) fn chassis_id(value: &[u8]) -> Option<String> {
    identifier(value, 4, 5)
}

/// A port id (IEEE 802.1AB table 8-3): subtype 3 is a MAC address, 4 a network address.
pub(super) fn port_id(value: &[u8]) -> Option<String> {
    identifier(value, 3, 4)
}

/// The capabilities that are enabled, not those that the system could have.
pub(super) fn capabilities(value: &[u8]) -> Option<Vec<String>> {
    let mut reader = Reader::new(value);
    reader.u16()?;
    let enabled = reader.u16()?;
    let names = CAPABILITIES.iter().enumerate().filter(|(bit, _)| enabled >> bit & 1 == 1);
    Some(names.map(|(_, name)| (*name).to_owned()).collect())
}

/// The address of a management address TLV (IEEE 802.1AB 8.5.9).
pub(super) fn management_address(value: &[u8]) -> Option<String> {
    network_address(Reader::new(value).prefixed_u8()?)
}

fn identifier(value: &[u8], mac: u8, network: u8) -> Option<String> {
    let (&subtype, id) = value.split_first()?;
    if id.is_empty() {
        return None;
    }
    if subtype == mac {
        return Some(id.try_into().map_or_else(|_| hex(id), |id| MacAddress(id).to_string()));
    }
    if subtype == network { network_address(id) } else { Some(text_or_hex(id)) }
}

/// An address after its family (IANA address family numbers): 1 IPv4, 2 IPv6, 6 IEEE 802.
fn network_address(value: &[u8]) -> Option<String> {
    let (&family, address) = value.split_first()?;
    Some(match (family, address.len()) {
        (1, 4) => Ipv4Addr::from(*address.first_chunk::<4>()?).to_string(),
        (2, 16) => Ipv6Addr::from(*address.first_chunk::<16>()?).to_string(),
        (6, 6) => MacAddress(*address.first_chunk()?).to_string(),
        _ => hex(value),
    })
}

/// Names are text; a locally assigned id may be anything.
fn text_or_hex(id: &[u8]) -> String {
    let readable = std::str::from_utf8(id)
        .is_ok_and(|id| !id.trim_end_matches('\0').contains(|c: char| c.is_control()));
    if readable { text(id) } else { hex(id) }
}
