//! Captures made by hand, byte by byte, in every format and with every kind of damage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod shared;

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{CaptureError, CaptureFile, FRAME_BYTES_MAX, LinkType, Truncated};

/// What a reader reports of a frame: nanoseconds, interface, link, bytes, wire length.
type Seen = (u64, u16, LinkType, Vec<u8>, u32);

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn i64(self, value: i64) -> [u8; 8] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

fn read(bytes: &[u8]) -> Result<(Vec<Seen>, Option<Truncated>), CaptureError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let mut capture = CaptureFile::open(file.path())?;
    let mut seen = Vec::new();
    let warning = loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                let (at, bytes) = (frame.at.as_nanos(), frame.bytes.to_vec());
                seen.push((at, frame.interface, frame.link, bytes, frame.wire_length));
            }
            Ok(None) => break None,
            Err(warning) => break Some(warning),
        }
    };
    assert!(capture.next_frame().unwrap().is_none(), "the warning comes once");
    assert_eq!(capture.frames(), seen.len() as u64);
    Ok((seen, warning))
}

fn read_well(bytes: &[u8]) -> Vec<Seen> {
    let (seen, warning) = read(bytes).unwrap();
    assert_eq!(warning, None);
    seen
}

fn pcap_header(order: Order, magic: u32, version: u16, link: u32) -> Vec<u8> {
    let mut file = order.u32(magic).to_vec();
    file.extend(order.u16(2));
    file.extend(order.u16(version));
    file.extend([0; 8]);
    file.extend(order.u32(65_535));
    file.extend(order.u32(link));
    file
}

fn pcap_record(order: Order, time: [u32; 2], lengths: [u32; 2], bytes: &[u8]) -> Vec<u8> {
    let fields = [time[0], time[1], lengths[0], lengths[1]];
    let mut record: Vec<u8> = fields.iter().flat_map(|&field| order.u32(field)).collect();
    record.extend(bytes);
    record
}

fn pcap(order: Order, magic: u32) -> Vec<u8> {
    let mut file = pcap_header(order, magic, 4, 1);
    file.extend(pcap_record(order, [1_700_000_000, 123_456], [3, 60], b"abc"));
    file.extend(pcap_record(order, [1_700_000_001, 999_999], [4, 4], b"defg"));
    file
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = order.u32((12 + body.len() + padding) as u32);
    [&order.u32(kind)[..], &length, body, &[0; 3][..padding], &length].concat()
}

fn section(order: Order) -> Vec<u8> {
    let body = [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &order.i64(-1)].concat();
    block(order, 0x0a0d_0d0a, &body)
}

fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let padding = value.len().next_multiple_of(4) - value.len();
    let length = order.u16(value.len() as u16);
    [&order.u16(code)[..], &length, value, &[0; 3][..padding]].concat()
}

fn interface(order: Order, link: u16, snap_length: u32, options: &[Vec<u8>]) -> Vec<u8> {
    let head = [&order.u16(link)[..], &[0, 0], &order.u32(snap_length)].concat();
    block(order, 1, &[head, options.concat()].concat())
}

fn enhanced(order: Order, interface: u32, ticks: u64, on_wire: u32, bytes: &[u8]) -> Vec<u8> {
    let fields = [interface, (ticks >> 32) as u32, ticks as u32, bytes.len() as u32, on_wire];
    let head: Vec<u8> = fields.iter().flat_map(|&field| order.u32(field)).collect();
    block(order, 6, &[&head, bytes].concat())
}

fn obsolete(order: Order, interface: u16, ticks: u64, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u32;
    let fields = [(ticks >> 32) as u32, ticks as u32, length, length];
    let head: Vec<u8> = fields.iter().flat_map(|&field| order.u32(field)).collect();
    block(order, 2, &[&order.u16(interface)[..], &[0, 0], &head, bytes].concat())
}

fn simple(order: Order, on_wire: u32, bytes: &[u8]) -> Vec<u8> {
    block(order, 3, &[&order.u32(on_wire)[..], bytes].concat())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn pcap_in_both_orders_and_resolutions() {
    for order in [Order::Little, Order::Big] {
        for (magic, scale) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1)] {
            let first = 1_700_000_000_000_000_000 + 123_456 * scale;
            let second = 1_700_000_001_000_000_000 + 999_999 * scale;
            let expected = vec![
                (first, 0, LinkType::Ethernet, b"abc".to_vec(), 60),
                (second, 0, LinkType::Ethernet, b"defg".to_vec(), 4),
            ];
            let file = pcap(order, magic);
            assert_eq!(read_well(&file), expected);
            assert_eq!(read_well(&gzip(&file)), expected);
        }
    }
}

#[test]
fn pcap_of_old_kinds() {
    let order = Order::Little;
    let mut exchanged = pcap_header(order, 0xa1b2_c3d4, 2, 1);
    exchanged.extend(pcap_record(order, [1, 0], [60, 3], b"abc"));
    exchanged.extend(pcap_record(order, [1, 0], [3, 3], b"abc"));
    let mut either = pcap_header(order, 0xa1b2_c3d4, 3, 1);
    either.extend(pcap_record(order, [1, 0], [60, 3], b"abc"));
    either.extend(pcap_record(order, [1, 0], [3, 60], b"abc"));
    let mut modified = pcap_header(order, 0xa1b2_cd34, 4, 1);
    modified.extend(pcap_record(order, [1, 0], [3, 60], b"12345678abc"));
    for (file, lengths) in [(exchanged, vec![60, 3]), (either, vec![60, 60]), (modified, vec![60])]
    {
        let seen = read_well(&file);
        assert!(seen.iter().all(|frame| frame.3 == b"abc"));
        assert_eq!(seen.iter().map(|frame| frame.4).collect::<Vec<_>>(), lengths);
    }
}

#[test]
fn link_types_by_number() {
    let cases = [
        (0, LinkType::Loopback),
        (108, LinkType::Loopback),
        (1, LinkType::Ethernet),
        (9, LinkType::Ppp),
        (50, LinkType::Ppp),
        (12, LinkType::Raw),
        (14, LinkType::Raw),
        (101, LinkType::Raw),
        (113, LinkType::LinuxSll),
        (228, LinkType::Ipv4),
        (229, LinkType::Ipv6),
        (276, LinkType::LinuxSll2),
        (127, LinkType::Other(127)),
    ];
    for (number, link) in cases {
        let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 4, 0x5400_0000 | number);
        file.extend(pcap_record(Order::Little, [0, 0], [0, 0], b""));
        assert_eq!(read_well(&file)[0].2, link);
    }
}

#[test]
fn pcapng_with_all_packet_blocks() {
    for order in [Order::Little, Order::Big] {
        let file = [
            section(order),
            interface(order, 1, 5, &[]),
            interface(order, 113, 0, &[option(order, 9, &[9])]),
            block(order, 0x0bad, &[7; 300_000]),
            enhanced(order, 1, 1_700_000_000_000_000_001, 90, b"abc"),
            simple(order, 8, b"0123456"),
            obsolete(order, 0, 1_700_000_000_000_001, b"xyz"),
        ];
        let expected = vec![
            (1_700_000_000_000_000_001, 1, LinkType::LinuxSll, b"abc".to_vec(), 90),
            (1_700_000_000_000_000_001, 0, LinkType::Ethernet, b"01234".to_vec(), 8),
            (1_700_000_000_000_001_000, 0, LinkType::Ethernet, b"xyz".to_vec(), 3),
        ];
        assert_eq!(read_well(&file.concat()), expected);
        assert_eq!(read_well(&gzip(&file.concat())), expected);
    }
}

#[test]
fn pcapng_sections_number_their_interfaces_on() {
    let file: Vec<u8> = [Order::Little, Order::Big, Order::Little]
        .iter()
        .flat_map(|&order| {
            let packets = [enhanced(order, 1, 5, 1, b"a"), enhanced(order, 0, 6, 1, b"b")];
            let links = [interface(order, 1, 0, &[]), interface(order, 101, 0, &[])];
            [section(order), links.concat(), packets.concat()].concat()
        })
        .collect();
    let interfaces: Vec<_> = read_well(&file).iter().map(|frame| (frame.0, frame.1)).collect();
    let expected = [(5_000, 1), (6_000, 0), (5_000, 3), (6_000, 2), (5_000, 5), (6_000, 4)];
    assert_eq!(interfaces, expected);
}

#[test]
fn pcapng_times() {
    let cases: &[(u8, i64, u64, u64)] = &[
        (0, 0, 17, 17_000_000_000),
        (3, 0, 17, 17_000_000),
        (6, 0, 17, 17_000),
        (9, 0, 17, 17),
        (12, 0, 17_999, 17),
        (127, 0, u64::MAX, 0),
        (0x80, 0, 17, 17_000_000_000),
        (0x80 | 1, 0, 3, 1_500_000_000),
        (0x80 | 32, 0, 3 << 31, 1_500_000_000),
        (0x80 | 127, 0, u64::MAX, 0),
        (6, 100, 17, 100_000_017_000),
        (6, -1, 3_000_000, 2_000_000_000),
        (6, -9, 3_000_000, 0),
        (0, 0, u64::MAX, u64::MAX),
        (6, i64::MAX, u64::MAX, u64::MAX),
        (6, i64::MIN, u64::MAX, 0),
    ];
    for &(resolution, offset, ticks, nanos) in cases {
        for order in [Order::Little, Order::Big] {
            let options = [option(order, 9, &[resolution]), option(order, 14, &order.i64(offset))];
            let interface = interface(order, 1, 0, &options);
            let file = [section(order), interface, enhanced(order, 0, ticks, 0, b"")].concat();
            assert_eq!(read_well(&file)[0].0, nanos, "{resolution} {offset} {ticks}");
        }
    }
}

#[test]
fn a_cut_file_gives_the_frames_before_the_cut() {
    let order = Order::Big;
    let ng = [
        section(order),
        interface(order, 1, 0, &[]),
        enhanced(order, 0, 1, 3, b"abc"),
        simple(order, 3, b"abc"),
        obsolete(order, 0, 1, b"xyz"),
    ];
    for (file, least) in [(pcap(Order::Big, 0xa1b2_c3d4), 24), (ng.concat(), 28)] {
        let all = read_well(&file);
        for length in 0..file.len() {
            match read(&file[..length]) {
                Ok((seen, warning)) => {
                    assert!(length >= least && all.starts_with(&seen), "{length}");
                    let kept = warning.map_or(seen.len() as u64, |warning| warning.frames);
                    assert_eq!(kept, seen.len() as u64);
                }
                Err(CaptureError::NotACapture { .. }) => assert!(length < least, "{length}"),
                Err(other) => panic!("{other}"),
            }
        }
        let (seen, warning) = read(&file[..file.len() - 1]).unwrap();
        assert_eq!(seen.len(), all.len() - 1);
        let text = warning.unwrap().to_string();
        assert!(text.contains("frames: the file ends inside a "), "{text}");
    }
}

#[test]
fn a_cut_gzip_gives_the_frames_before_the_cut() {
    let mut noise = 1_u64;
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 4, 1);
    for _ in 0..1_000 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        file.extend(pcap_record(Order::Little, [1, 0], [8, 8], &noise.to_be_bytes()));
    }
    let whole = gzip(&file);
    let (seen, warning) = read(&whole[..whole.len() / 2]).unwrap();
    assert!((100..900).contains(&seen.len()) && warning.is_some());
    let (seen, warning) = read(&[&whole[..], b"garbage"].concat()).unwrap();
    assert!(seen.len() == 1_000 && warning.is_some());
}

#[test]
fn broken_tails_are_named() {
    let order = Order::Little;
    let huge = FRAME_BYTES_MAX as u32 + 1;
    let mut record = pcap(order, 0xa1b2_c3d4);
    record.extend(pcap_record(order, [0, 0], [huge, huge], b""));
    let start = [section(order), interface(order, 1, 0, &[]), simple(order, 2, b"ab")].concat();
    let with = |tail: &[u8]| [&start, &simple(order, 2, b"ab"), tail].concat();
    let mut differ = simple(order, 2, b"ab");
    differ[16] ^= 4;
    let flood = [section(order), interface(order, 1, 0, &[]).repeat(4_097)].concat();
    let cases: [(Vec<u8>, &str); 10] = [
        (record, "a record claims 262145 bytes"),
        (with(&enhanced(order, 1, 0, 0, b"")), "an interface that is not described"),
        (with(&differ), "two lengths differ"),
        (with(&[6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "none that a block can have"),
        (with(&[6, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "a block claims 4294967292"),
        (with(&[9, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "ends inside a block"),
        (with(&block(order, 6, &[0xff; 20])), "does not parse"),
        (with(&block(order, 2, &[0xff; 20])), "does not parse"),
        (with(&block(order, 0x0a0d_0d0a, &[0; 16])), "no byte order"),
        ([flood, start.clone()].concat(), "4096 interfaces"),
    ];
    for (file, reason) in cases {
        let (seen, warning) = read(&file).unwrap();
        let warning = warning.expect(reason);
        assert!(warning.reason.contains(reason), "{warning}");
        assert_eq!(seen.len(), if reason.contains("4096") { 0 } else { 2 });
    }
}

#[test]
fn a_block_larger_than_the_buffer_is_passed_over() {
    let order = Order::Little;
    let file = [
        section(order),
        interface(order, 1, 0, &[]),
        block(order, 0x0bad, &vec![0; 64 << 20]),
        simple(order, 2, b"ab"),
    ];
    assert_eq!(read_well(&gzip(&file.concat())).len(), 1);
}

#[test]
fn what_is_no_capture_is_said() {
    let order = Order::Little;
    let cases: [(&[u8], &str); 7] = [
        (b"", "not a capture: it is empty; expected pcap, pcapng or gzip of one"),
        (b"hello", "not a capture: it begins with 68 65 6c 6c and ends after 5 bytes; expected"),
        (&[0x50; 64], "not a capture: it begins with 50 50 50 50; expected"),
        (&pcap(order, 0xa1b2_c3d4)[..20], "begins with d4 c3 b2 a1 and ends after 20 bytes"),
        (&gzip(b"hello"), "not a capture: it begins with 68 65 6c 6c and ends after 5 bytes"),
        (&gzip(b"hello")[..5], "not a capture: its gzip stream is cut short; expected"),
        (&[0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9], "its gzip stream is damaged: "),
    ];
    for (bytes, message) in cases {
        let error = read(bytes).unwrap_err();
        assert!(matches!(error, CaptureError::NotACapture { .. }));
        assert!(error.to_string().contains(message), "{error}");
    }
    let error = CaptureFile::open(Path::new("no-such.pcap")).err().unwrap();
    assert!(error.to_string().starts_with("no-such.pcap: cannot be read: "), "{error}");
    assert!(matches!(error, CaptureError::Unreadable { .. }));
    assert_eq!(format!("{:#}", anyhow::Error::from(error)).matches("os error").count(), 1);
}

#[test]
fn flipped_bytes_do_no_harm() {
    let order = Order::Little;
    let ng = [
        section(order),
        interface(order, 1, 0, &[option(order, 9, &[9]), option(order, 14, &order.i64(3))]),
        enhanced(order, 0, 1, 3, b"abc"),
        simple(order, 3, b"abc"),
        obsolete(order, 0, 1, b"xyz"),
    ];
    for file in [ng.concat(), pcap(Order::Little, 0xa1b2_c3d4)] {
        for at in 0..file.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = file.clone();
                bytes[at] ^= flip;
                let _ = read(&bytes);
            }
        }
    }
}
