//! Reassembly: order, overlap, limits and time.

use wardmesh_common::time::Timestamp;

use super::{bytes, decode, frame};
use crate::capture::{Frame, LinkType};
use crate::decode::{Decoder, FragmentCounts};

const MORE: bool = true;
const LAST: bool = false;

/// A fragment of a datagram of protocol 253 (for experiments, RFC 3692).
fn ipv4(id: u16, offset: usize, more: bool, payload: &str) -> Vec<u8> {
    let field = (offset / 8) as u16 | u16::from(more) << 13;
    let payload = bytes(payload);
    let total = 20 + payload.len();
    let head = format!("4500{total:04x} {id:04x}{field:04x} 40fd0000 c0000201 c0000202");
    [bytes(&head), payload].concat()
}

fn ipv6(next: u8, offset: usize, more: bool, payload: &str) -> Vec<u8> {
    let field = offset as u16 | u16::from(more);
    let payload = bytes(payload);
    let length = 8 + payload.len();
    let addresses = "20010db8 00*11 01 20010db8 00*11 02";
    let head = format!("60000000 {length:04x} 2c 40 {addresses} {next:02x}00{field:04x}00000007");
    [bytes(&head), payload].concat()
}

fn decode_at(decoder: &mut Decoder, seconds: u64, bytes: &[u8]) -> String {
    let at = Timestamp::from_parts(1_000 + seconds, 0);
    decode(decoder, &Frame { at, ..frame(LinkType::Raw, bytes) })
}

/// Decodes frames and says what the last one gave; those before wait.
#[track_caller]
fn check(frames: &[Vec<u8>], expected: &str) -> FragmentCounts {
    let mut decoder = Decoder::default();
    let said: Vec<_> = frames.iter().map(|bytes| decode_at(&mut decoder, 0, bytes)).collect();
    let (last, before) = said.split_last().unwrap();
    assert_eq!(last, expected);
    assert!(before.iter().all(|said| said == "waits"), "{before:?}");
    decoder.fragment_counts()
}

const WHOLE: &str = "192.0.2.1>192.0.2.2 ttl 64 ip-253 [1111111111111111222222222222222233]";

#[test]
fn any_order_joins() {
    let pieces = [ipv4(7, 0, MORE, "11*8"), ipv4(7, 8, MORE, "22*8"), ipv4(7, 16, LAST, "33")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let counts = check(&order.map(|index: usize| pieces[index].clone()), WHOLE);
        assert_eq!(counts, FragmentCounts { fragments: 3, joined: 1, ..FragmentCounts::default() });
    }
}

#[test]
fn the_first_bytes_win_where_fragments_overlap() {
    let counts = check(
        &[
            ipv4(7, 0, MORE, "11*8"),
            ipv4(7, 0, MORE, "ff*8"),
            ipv4(7, 16, LAST, "33"),
            ipv4(7, 0, MORE, "ff*8 22*8"),
        ],
        WHOLE,
    );
    assert_eq!((counts.overlapping, counts.repeated, counts.joined), (1, 1, 1));
    let bridged = [
        ipv4(7, 8, MORE, "22*8"),
        ipv4(7, 24, MORE, "44*8"),
        ipv4(7, 40, LAST, "66"),
        ipv4(7, 0, MORE, "00*40"),
    ];
    let all = format!(
        "192.0.2.1>192.0.2.2 ttl 64 ip-253 [{}..41]",
        ["00", "22", "00", "44"].map(|byte| byte.repeat(8)).concat()
    );
    let counts = check(&bridged, &all);
    assert_eq!((counts.overlapping, counts.joined), (1, 1));
}

#[test]
fn datagrams_are_told_apart() {
    let mut decoder = Decoder::default();
    let first = ipv4(7, 0, MORE, "11*8");
    let last = ipv4(7, 8, LAST, "22");
    let mut other_protocol = last.clone();
    other_protocol[9] = 254;
    let mut other_source = last.clone();
    other_source[15] = 9;
    for apart in [ipv4(8, 8, LAST, "22"), other_protocol, other_source] {
        assert_eq!(decode_at(&mut decoder, 0, &apart), "waits");
    }
    let elsewhere = Frame { interface: 1, ..frame(LinkType::Raw, &first) };
    assert_eq!(decode(&mut decoder, &elsewhere), "waits");
    assert_eq!(decode_at(&mut decoder, 0, &first), "waits");
    assert!(decode_at(&mut decoder, 0, &last).ends_with("ip-253 [111111111111111122]"));
}

#[test]
fn joined_datagrams_carry_segments() {
    let udp = "1388 0035 000a 0000";
    let packets = [ipv6(17, 0, MORE, udp), ipv6(99, 8, LAST, "aabb")];
    check(&packets, "2001:db8::1>2001:db8::2 ttl 64 udp 5000>53 [aabb]");
    let options = "11 00 01 04 00*4";
    let packets = [ipv6(60, 0, MORE, options), ipv6(60, 8, LAST, &format!("{udp} aabb"))];
    check(&packets, "2001:db8::1>2001:db8::2 ttl 64 udp 5000>53 [aabb]");
    let nested = [ipv6(44, 0, MORE, "11 00 0001 00000009"), ipv6(44, 8, LAST, "aabb")];
    check(&nested, "ipv6 fragment_within_fragment");
}

#[test]
fn a_joined_packet_counts_all_its_bytes() {
    let mut decoder = Decoder::default();
    let (first, last) = (ipv4(7, 0, MORE, "11*8"), ipv4(7, 8, LAST, "22"));
    assert!(decoder.decode(&frame(LinkType::Raw, &first)).unwrap().is_none());
    let packet = decoder.decode(&frame(LinkType::Raw, &last)).unwrap().unwrap();
    assert_eq!(packet.wire_length, 28 + 21);
}

#[test]
fn bad_fragments_are_refused() {
    let cases: &[(&[Vec<u8>], &str)] = &[
        (&[ipv4(7, 8, LAST, "")], "ipv4 fragment_empty"),
        (&[ipv4(7, 0, MORE, "11*7")], "ipv4 fragment_not_multiple_of_8"),
        (&[ipv4(7, 65_528, LAST, "11*8")], "ipv4 fragment_beyond_64_kib"),
        (&[ipv6(17, 0, MORE, "11*9")], "ipv6 fragment_not_multiple_of_8"),
        (&[ipv4(7, 8, LAST, "22"), ipv4(7, 16, MORE, "22*8")], "ipv4 fragment_beyond_end"),
        (&[ipv4(7, 8, LAST, "22"), ipv4(7, 16, LAST, "22*8")], "ipv4 fragment_beyond_end"),
        (&[ipv4(7, 8, LAST, "2222"), ipv4(7, 8, LAST, "22")], "ipv4 fragment_beyond_end"),
        (&[ipv4(7, 16, MORE, "22*8"), ipv4(7, 8, LAST, "22")], "ipv4 fragment_beyond_end"),
    ];
    for (frames, expected) in cases {
        check(frames, expected);
    }
}

#[test]
fn of_cut_fragments_the_first_is_used() {
    let cut = |bytes: &[u8]| {
        let kept = &bytes[..bytes.len() - 4];
        let frame = Frame { wire_length: bytes.len() as u32, ..frame(LinkType::Raw, kept) };
        decode(&mut Decoder::default(), &frame)
    };
    let udp = ipv6(17, 0, MORE, "1388 0035 0400 0000 aabb ccdd eeee eeee");
    assert_eq!(cut(&udp), "2001:db8::1>2001:db8::2 ttl 64 udp 5000>53 [aabbccdd]");
    let options = ipv6(60, 0, MORE, "11 00 00*6 1388 0035 0400 0000 aabb ccdd eeee eeee");
    assert_eq!(cut(&options), "2001:db8::1>2001:db8::2 ttl 64 udp 5000>53 [aabbccdd]");
    assert_eq!(cut(&ipv4(7, 8, MORE, "11*16")), "ipv4 fragment_cut_by_capture");
}

#[test]
fn missing_fragments_time_out() {
    for (seconds, timed_out) in [(30, 0), (31, 1)] {
        let mut decoder = Decoder::default();
        assert_eq!(decode_at(&mut decoder, 0, &ipv4(7, 0, MORE, "11*8")), "waits");
        let said = decode_at(&mut decoder, seconds, &ipv4(7, 8, LAST, "22"));
        assert_eq!(said == "waits", timed_out == 1);
        assert_eq!(decoder.fragment_counts().timed_out, timed_out);
    }
}

#[test]
fn a_flood_evicts_the_oldest() {
    let mut decoder = Decoder::default();
    for id in 0..1_100 {
        assert_eq!(decode_at(&mut decoder, 0, &ipv4(id, 0, MORE, "11*8")), "waits");
    }
    assert_eq!(decoder.fragment_counts().evicted, 1_100 - 1_024);
    assert_eq!(decode_at(&mut decoder, 0, &ipv4(0, 8, LAST, "22")), "waits");
    assert_ne!(decode_at(&mut decoder, 0, &ipv4(1_099, 8, LAST, "22")), "waits");

    let mut decoder = Decoder::default();
    for id in 0..400 {
        assert_eq!(decode_at(&mut decoder, 0, &ipv4(id, 8, MORE, "11*65000")), "waits");
    }
    assert_eq!(decoder.fragment_counts().evicted, 400 - (16 << 20) / (65_000 + 64));
    assert!(decoder.fragment_bytes() <= 16 << 20);

    let mut decoder = Decoder::default();
    for index in 0..256 {
        let piece = ipv4(7, 8 + 16 * index, MORE, "11*8");
        assert_eq!(decode_at(&mut decoder, 0, &piece), "waits");
    }
    let piece = ipv4(7, 8 + 16 * 256, MORE, "11*8");
    assert_eq!(decode_at(&mut decoder, 0, &piece), "ipv4 fragments_beyond_limit");
    assert_eq!(decoder.fragment_bytes(), 0);
}
