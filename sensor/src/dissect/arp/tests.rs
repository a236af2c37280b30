//! ARP by data: what each packet says, and what is refused.

use super::super::testing::{Case, check, shake};
use super::*;

const CARRIER: Carrier = Carrier::Link(ETHERTYPE);

#[track_caller]
fn arp(hex: &str, expect: &str) {
    check(&Arp, Case::link(CARRIER), hex, expect);
    shake(&Arp, Case::link(CARRIER), hex);
}

#[test]
fn reports_the_sender_of_requests_and_replies() {
    arp(
        "0001 0800 06 04 0001 001f29da2d79 c0a80168 000000000000 c0a80101 0000",
        "00:1f:29:da:2d:79 192.168.1.104 arp.ip=192.168.1.104",
    );
    arp(
        "0006 0800 06 04 0002 0009fb123456 0a000002 001f29da2d79 0a000001",
        "00:09:fb:12:34:56 10.0.0.2 arp.ip=10.0.0.2",
    );
}

#[test]
fn tells_an_announcement_from_a_probe() {
    arp(
        "0001 0800 06 04 0001 0009fb123456 0a000002 000000000000 0a000002",
        "00:09:fb:12:34:56 10.0.0.2 arp.ip=10.0.0.2 arp.gratuitous=true",
    );
    arp("0001 0800 06 04 0001 0009fb123456 00000000 000000000000 0a000002", "");
}

#[test]
fn a_group_address_names_no_device() {
    arp(
        "0001 0800 06 04 0001 ffffffffffff 0a000002 000000000000 0a000001",
        "- 10.0.0.2 arp.ip=10.0.0.2",
    );
    arp("0001 0800 06 04 0001 0009fb123456 e0000001 000000000000 0a000001", "");
}

#[test]
fn other_hardware_protocols_and_operations_are_passed_over() {
    arp("0020 0800 14 04 0001", "");
    arp("0001 86dd 06 10 0001", "");
    arp("0001 0800 06 04 0008 0009fb123456 0a000002 000000000000 0a000001", "");
}

#[test]
fn broken_ones_are_malformed() {
    arp("0001 0800 06", "malformed@4 header_cut_short");
    arp("0001 0800 06 10 0001 0009fb123456", "malformed@4 address_length");
    arp("0001 0800 06 04 0001 0009fb123456 0a00", "malformed@14 address_cut_short");
    check(&Arp, Case::link(Carrier::Link(0x88cc)), "0001", "no");
}
