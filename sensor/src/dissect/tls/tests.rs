//! Tables and hostile bytes: hellos over records and segments, and that no canary leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::dissect::stream_testing::{no_canary, stream, tcp, torture, values};

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &prefixed(body)].concat()
}

/// A hello of TLS 1.3 to `pacs.hospital.example`, as a handshake message.
fn hello() -> Vec<u8> {
    let extensions = [
        extension(0x0a0a, &[]),
        extension(0, &prefixed(&[&[0][..], &prefixed(b"pacs.hospital.example")].concat())),
        extension(0x10, &prefixed(b"\x02h2\x08http/1.1")),
        extension(0x2b, &[6, 0x1a, 0x1a, 3, 4, 3, 3]),
        extension(0x0d, &prefixed(&[4, 3, 8, 4])),
        extension(0x23, b"CANARY-TICKET"),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[0x55; 32],
        b"\x06CANARY",
        &prefixed(&[0x2a, 0x2a, 0x13, 1, 0xc0, 0x2b]),
        &[1, 0],
        &prefixed(&extensions),
    ]
    .concat();
    [&[1, 0][..], &prefixed(&body)].concat()
}

fn records(message: &[u8], step: usize) -> Vec<u8> {
    let records = message.chunks(step).map(|piece| [&[22, 3, 1][..], &prefixed(piece)].concat());
    records.collect::<Vec<_>>().concat()
}

#[test]
fn reads_a_hello_over_records_and_segments() {
    for (record, segment) in [(4096, 4096), (4096, 7), (16, 1), (40, 3)] {
        let mut bytes = records(&hello(), record);
        bytes.extend_from_slice(&[20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 6]);
        bytes.extend_from_slice(b"CANARY");
        let found = stream(&Tls, &bytes, segment);
        assert_eq!(found.len(), 1, "{record} {segment}");
        assert_eq!(values(&found[0], "tls.sni"), ["pacs.hospital.example"]);
        assert_eq!(values(&found[0], "tls.alpn"), ["h2", "http/1.1"]);
        assert_eq!(values(&found[0], "tls.version"), ["1.3"]);
        assert!(values(&found[0], "tls.ja4")[0].starts_with("t13d0205h2_"));
        no_canary(&found);
    }
}

#[test]
fn knows_tls_by_its_records() {
    let cases: [(&[u8], Probe); 15] = [
        (&[], Probe::Unsure),
        (&[22], Probe::Unsure),
        (&[22, 3, 1, 2], Probe::Unsure),
        (&[22, 3, 1, 0, 200], Probe::Unsure),
        (&[22, 3, 1, 0, 200, 1], Probe::Yes),
        (&[22, 3, 3, 0, 80, 2], Probe::Yes),
        (&[23, 3, 3, 1, 0, 0x99], Probe::Yes),
        (&[21, 3, 3, 0], Probe::Unsure),
        (&[21, 3, 3, 0, 26], Probe::Unsure),
        (&[21, 3, 3, 0, 26, 0], Probe::Yes),
        (&[21, 3, 3, 1, 26, 0], Probe::No),
        (&[22, 3, 1, 0, 0, 1], Probe::No),
        (&[22, 3, 1, 0xff, 0, 1], Probe::No),
        (&[22, 2, 1], Probe::No),
        (b"GET / HTTP/1.1", Probe::No),
    ];
    for (bytes, expect) in cases {
        assert_eq!(Tls.probe(&tcp(bytes, false)), expect, "{bytes:?}");
    }
}

#[test]
fn a_servers_direction_is_dropped_unread() {
    for bytes in [&[22, 3, 3, 0, 80, 2], &[21, 3, 3, 0, 26, 0], &[23, 3, 3, 0, 80, 0]] {
        let mut found = Observations::default();
        let progress = Tls.dissect(&tcp(bytes, false), &mut found);
        assert_eq!((progress, found.0.len()), (Progress::Consumed(usize::MAX), 0));
    }
}

#[test]
fn a_hello_without_ciphers_is_none() {
    let body = [&[3, 0][..], &[0; 32], &[0, 0, 0, 1, 0, 0, 0]].concat();
    let message = [&[1, 0][..], &prefixed(&body)].concat();
    let mut found = Observations::default();
    let progress = Tls.dissect(&tcp(&records(&message, 100), false), &mut found);
    assert_eq!(progress, Progress::Malformed { at: 0, reason: "client_hello_cut_short" });
    assert_eq!(found.0.len(), 0);
}

#[test]
fn a_second_hello_after_a_retry_request_is_another_observation() {
    let spec = [20, 3, 3, 0, 1, 1];
    let end = [23, 3, 3, 0, 6, 1];
    let bytes =
        [&records(&hello(), 100)[..], &spec, &records(&hello(), 4096), &spec, &end].concat();
    for segment in [1, 50, 4096] {
        assert_eq!(stream(&Tls, &bytes, segment).len(), 2, "{segment}");
    }
}

#[test]
fn limits_hold() {
    let long = [22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff];
    let mut found = Observations::default();
    let reason =
        |bytes: &[u8], found: &mut Observations| match Tls.dissect(&tcp(bytes, false), found) {
            Progress::Malformed { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
    assert_eq!(reason(&long, &mut found), "length_beyond_limit");
    assert_eq!(reason(&records(&hello(), 1), &mut found), "records_beyond_limit");
    assert_eq!(found.0.len(), 0);
}

#[test]
fn hostile_bytes_do_no_harm() {
    let held = HELLO_BYTES_MAX + RECORD_BYTES_MAX + HELLO_RECORDS_MAX * RECORD_HEADER_BYTES;
    torture(&Tls, &records(&hello(), 50), held);
}
