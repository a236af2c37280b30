//! One line a case: hexadecimal in, what the decoder says of it out.

use super::{bytes, decode, frame};
use crate::capture::{Frame, LinkType};
use crate::decode::Decoder;

const MACS: &str = "0009fb000002 0009fb000001";

/// 192.0.2.1 to 192.0.2.2, UDP 5000 to 53, payload aabb.
const UDP4: &str = "4500001e 00010000 40110000 c0000201 c0000202 13880035000a0000 aabb";
const UDP4_SAYS: &str = "192.0.2.1>192.0.2.2 ttl 64 udp 5000>53 [aabb]";

/// 2001:db8::1 to 2001:db8::2, the same datagram.
const UDP6: &str = "60000000 000a1140 20010db8 00*11 01 20010db8 00*11 02 13880035000a0000 aabb";
const UDP6_SAYS: &str = "2001:db8::1>2001:db8::2 ttl 64 udp 5000>53 [aabb]";

#[track_caller]
fn check(link: LinkType, hex: &str, expected: &str) {
    assert_eq!(decode(&mut Decoder::default(), &frame(link, &bytes(hex))), expected, "{hex}");
}

#[test]
fn ethernet() {
    let macs = "00:09:fb:00:00:01>00:09:fb:00:00:02";
    let (udp4, udp6) = (format!("{macs} {UDP4_SAYS}"), format!("{macs} {UDP6_SAYS}"));
    let cases = [
        (format!("0800 {UDP4}"), udp4.clone()),
        (format!("0800 {UDP4} 00*18"), udp4.clone()),
        (format!("86dd {UDP6} 00*9"), udp6),
        ("0806 0001 00*4".into(), format!("{macs} 0806 [000100000000]")),
        ("88cc 0207".into(), format!("{macs} 88cc [0207]")),
        (format!("8100 2064 0800 {UDP4}"), format!("{macs} vlan 100 {UDP4_SAYS}")),
        (format!("8100 2000 0800 {UDP4}"), udp4.clone()),
        (format!("88a8 0005 8100 0064 0800 {UDP4}"), format!("{macs} vlan 100 {UDP4_SAYS}")),
        (format!("9100 0005 8100 6000 0800 {UDP4}"), format!("{macs} vlan 5 {UDP4_SAYS}")),
        ("8100 0064 0004 424203 11 ffff".into(), format!("{macs} vlan 100 0000 [42420311]")),
        (format!("0026 aaaa03 000000 0800 {UDP4} 00*8"), udp4.clone()),
        (format!("0026 aaaa03 0000f8 0800 {UDP4} 00*8"), udp4),
        ("000a aaaa03 00000c 2000 0102 ff".into(), format!("{macs} 0000 [aaaa0300000c20000102]")),
        ("05dc 424203 00".into(), format!("{macs} 0000 [42420300]")),
        ("0002 4242".into(), "llc header_cut_short".into()),
        ("05dd 424203".into(), "ethernet neither_length_nor_type".into()),
        ("8100 00".into(), "vlan header_cut_short".into()),
        ("81000001*5 0800".into(), "vlan tags_beyond_limit".into()),
        ("08".into(), "ethernet header_cut_short".into()),
    ];
    for (hex, expected) in cases {
        check(LinkType::Ethernet, &format!("{MACS} {hex}"), &expected);
    }
    check(LinkType::Ethernet, "", "ethernet header_cut_short");
}

#[test]
fn other_links() {
    use LinkType::{Ipv4, Ipv6, LinuxSll, LinuxSll2, Loopback, Other, Ppp, Raw};
    let sll = |hardware: &str, protocol: &str, payload: &str| {
        format!("0000 {hardware} 0006 0009fb0000010000 {protocol} {payload}")
    };
    let sll2 = format!("0800 0000 00000003 0001 00 06 0009fb0000010000 {UDP4}");
    let mac = "00:09:fb:00:00:01";
    let cases = [
        (LinuxSll, sll("0001", "0800", UDP4), format!("{mac} {UDP4_SAYS}")),
        (LinuxSll, sll("0304", "86dd", UDP6), UDP6_SAYS.into()),
        (LinuxSll, sll("0001", "0004", "424203 00"), format!("{mac} 0000 [42420300]")),
        (LinuxSll, sll("0001", "8100", &format!("0064 0800 {UDP4}")), {
            format!("{mac} vlan 100 {UDP4_SAYS}")
        }),
        (LinuxSll, sll("0338", "0000", ""), "sll unsupported_hardware".into()),
        (LinuxSll, sll("0001", "000c", ""), "sll unsupported_protocol".into()),
        (LinuxSll, "00*15".into(), "sll header_cut_short".into()),
        (LinuxSll2, sll2, format!("{mac} {UDP4_SAYS}")),
        (LinuxSll2, "00*19".into(), "sll header_cut_short".into()),
        (Loopback, format!("02000000 {UDP4}"), UDP4_SAYS.into()),
        (Loopback, format!("00000002 {UDP4}"), UDP4_SAYS.into()),
        (Loopback, format!("0000001e {UDP6}"), UDP6_SAYS.into()),
        (Loopback, format!("1c000000 {UDP6}"), UDP6_SAYS.into()),
        (Loopback, "00000063".into(), "loopback unknown_address_family".into()),
        (Loopback, "0200".into(), "loopback header_cut_short".into()),
        (Ppp, format!("ff03 0021 {UDP4}"), UDP4_SAYS.into()),
        (Ppp, format!("0021 {UDP4}"), UDP4_SAYS.into()),
        (Ppp, format!("21 {UDP4}"), UDP4_SAYS.into()),
        (Ppp, format!("ff03 57 {UDP6}"), UDP6_SAYS.into()),
        (Ppp, format!("0f00 0800 {UDP4}"), UDP4_SAYS.into()),
        (Ppp, "ff03 c021 01".into(), "880b [c02101]".into()),
        (Ppp, "ff03".into(), "ppp header_cut_short".into()),
        (Raw, UDP4.into(), UDP4_SAYS.into()),
        (Raw, UDP6.into(), UDP6_SAYS.into()),
        (Raw, "50".into(), "raw neither_ipv4_nor_ipv6".into()),
        (Raw, String::new(), "raw header_cut_short".into()),
        (Ipv4, UDP4.into(), UDP4_SAYS.into()),
        (Ipv4, UDP6.into(), "ipv4 wrong_version".into()),
        (Ipv6, UDP6.into(), UDP6_SAYS.into()),
        (Ipv6, format!("{UDP4} 00*20"), "ipv6 wrong_version".into()),
        (Other(127), UDP4.into(), "link unsupported_link_type".into()),
    ];
    for (link, hex, expected) in cases {
        check(link, &hex, &expected);
    }
}

#[test]
fn ipv4() {
    let addresses = "c0000201 c0000202";
    let says = "192.0.2.1>192.0.2.2 ttl 64";
    let cases = [
        // Options, here a router alert.
        (
            format!("46000022 00010000 40110000 {addresses} 94040000 13880035000a0000 aabb ff"),
            UDP4_SAYS.to_owned(),
        ),
        // Segmentation offload leaves the total length zero.
        (
            format!("45000000 00014000 40010000 {addresses} 0800 0102"),
            format!("{says} ip-1 [08000102]"),
        ),
        (format!("45000014 00010000 40590000 {addresses} ffff"), format!("{says} ip-89 []")),
        // Longer than the frame: what is there is used.
        (format!("45000064 00010000 40010000 {addresses} 0800"), format!("{says} ip-1 [0800]")),
        (format!("44000014 00010000 40010000 {addresses}"), "ipv4 header_length_too_small".into()),
        (format!("45000013 00010000 40010000 {addresses}"), "ipv4 total_length_too_small".into()),
        (format!("46000018 00010000 40010000 {addresses}"), "ipv4 header_cut_short".into()),
        ("45000014 0001".into(), "ipv4 header_cut_short".into()),
    ];
    for (hex, expected) in cases {
        check(LinkType::Ipv4, &hex, &expected);
    }
}

#[test]
fn ipv6() {
    let with = |length: &str, next: &str, rest: &str| {
        format!("60000000 {length} {next} 40 20010db8 00*11 01 20010db8 00*11 02 {rest}")
    };
    let udp = "13880035000a0000 aabb";
    let says = "2001:db8::1>2001:db8::2 ttl 64";
    let cases = [
        (with("0000", "11", udp), UDP6_SAYS.to_owned()),
        (with("0012", "00", &format!("11 00 0104*1 00*4 {udp} ff")), UDP6_SAYS.into()),
        (with("0022", "3c", &format!("2b 00 00*6 33 00 00*6 11 00 00*6 {udp}")), UDP6_SAYS.into()),
        (with("001a", "3c", &format!("33 00 00*6 11 00 00*6 {udp}")), UDP6_SAYS.into()),
        // An atomic fragment (RFC 6946).
        (with("0012", "2c", &format!("11 00 0000 00000007 {udp}")), UDP6_SAYS.into()),
        (with("0000", "3b", "ffff"), format!("{says} ip-59 []")),
        (with("0004", "3a", "8700 0000 ffff"), format!("{says} ip-58 [87000000]")),
        (with("0048", "00", "00 00 00*6 0000*36"), "ipv6 extensions_beyond_limit".into()),
        (with("0008", "00", "11 01 00*6"), "ipv6 header_cut_short".into()),
        (with("0001", "00", "11"), "ipv6 header_cut_short".into()),
        (with("0004", "2c", "11 00 0000"), "ipv6 header_cut_short".into()),
        ("60000000 0000 1140".into(), "ipv6 header_cut_short".into()),
    ];
    for (hex, expected) in cases {
        check(LinkType::Ipv6, &hex, &expected);
    }
}

#[test]
fn tcp_and_udp() {
    let with = |protocol: &str, rest: &str| {
        let length = 20 + bytes(rest).len();
        format!("4500{length:04x} 00010000 40{protocol}0000 c0000201 c0000202 {rest}")
    };
    let says = "192.0.2.1>192.0.2.2 ttl 64";
    let cases = [
        (
            with("06", "3039 0068 00000007 00000000 5002ffff 00000000"),
            format!("{says} tcp 12345>104 #7 S []/0"),
        ),
        (
            with("06", "3039 0068 ffffffff 00000000 6015ffff 00000000 01010101 aabb"),
            format!("{says} tcp 12345>104 #4294967295 FRA [aabb]/2"),
        ),
        (
            with("06", "3039 0068 00000007 00000000 4002ffff 00000000"),
            "tcp data_offset_too_small".into(),
        ),
        (
            with("06", "3039 0068 00000007 00000000 6002ffff 00000000"),
            "tcp header_cut_short".into(),
        ),
        (with("06", "3039 0068"), "tcp header_cut_short".into()),
        (with("11", "1388 0035 0009 0000 aa bbcc"), format!("{says} udp 5000>53 [aa]")),
        (with("11", "1388 0035 0000 0000 aabb"), format!("{says} udp 5000>53 [aabb]")),
        (with("11", "1388 0035 0007 0000 aabb"), "udp length_too_small".into()),
        (with("11", "1388 0035 000b 0000 aabb"), "udp length_beyond_packet".into()),
        (with("11", "1388 0035 000b"), "udp header_cut_short".into()),
        (with("84", "1388 0035"), format!("{says} ip-132 [13880035]")),
    ];
    for (hex, expected) in cases {
        check(LinkType::Raw, &hex, &expected);
    }
}

#[test]
fn a_cut_frame_tells_what_was_on_the_wire() {
    let head = bytes("3039 0068 00000007 00000000 5010ffff 00000000 aabb");
    for (total, wire_length) in [("0000", 1_002), ("0410", 1_000)] {
        let ip = bytes(&format!("4500{total} 00014000 40060000 c0000201 c0000202"));
        let bytes = [ip, head.clone()].concat();
        let frame = Frame { wire_length: 1_042, ..frame(LinkType::Raw, &bytes) };
        let expected = format!("tcp 12345>104 #7 A [aabb]/{wire_length}");
        let said = decode(&mut Decoder::default(), &frame);
        assert!(said.ends_with(&expected), "{said}");
    }
    let udp = bytes("45000400 00014000 40110000 c0000201 c0000202 1388 0035 03ec 0000 aabb");
    let frame = Frame { wire_length: 1_024, ..frame(LinkType::Raw, &udp) };
    assert!(decode(&mut Decoder::default(), &frame).ends_with("udp 5000>53 [aabb]"));
}
