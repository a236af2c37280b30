//! ARP (RFC 826): requests with their answers, and the gratuitous announcement (RFC 5227).

use std::net::Ipv4Addr;

use wardmesh_common::net::MacAddress;

use super::hospital::Host;
use super::wire::Script;

const ETHERTYPE: u16 = 0x0806;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// A host tells the link of its address.
pub(super) fn announce(script: &mut Script<'_>, host: &Host) {
    let body = packet(REQUEST, host, MacAddress::default(), host.ip);
    script.link(MacAddress::BROADCAST, host.mac, ETHERTYPE, &body);
    script.wait(300, 900);
}

/// One host asks for another, which answers.
pub(super) fn resolve(script: &mut Script<'_>, asker: &Host, owner: &Host) {
    let question = packet(REQUEST, asker, MacAddress::default(), owner.ip);
    script.link(MacAddress::BROADCAST, asker.mac, ETHERTYPE, &question);
    script.wait(80, 400);
    let answer = packet(REPLY, owner, asker.mac, asker.ip);
    script.link(asker.mac, owner.mac, ETHERTYPE, &answer);
    script.wait(50, 200);
}

fn packet(operation: u8, from: &Host, to_mac: MacAddress, to_ip: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![0, 1, 0x08, 0x00, 6, 4, 0, operation];
    body.extend_from_slice(&from.mac.0);
    body.extend_from_slice(&from.ip.octets());
    body.extend_from_slice(&to_mac.0);
    body.extend_from_slice(&to_ip.octets());
    body
}
