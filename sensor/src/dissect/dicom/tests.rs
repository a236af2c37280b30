//! Tables and hostile bytes: association PDUs, and that no canary leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::dissect::stream_testing::{no_canary, stream, tcp, torture, values};

fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &(body.len() as u32).to_be_bytes(), body].concat()
}

fn context(id: u8, syntax: &[u8]) -> Vec<u8> {
    item(
        0x20,
        &[&[id, 0, 0, 0][..], &item(0x30, syntax), &item(0x40, b"1.2.840.10008.1.2")].concat(),
    )
}

fn association(kind: u8) -> Vec<u8> {
    let user = [
        item(0x51, &[0, 0, 0x40, 0]),
        item(0x52, b"1.2.276.0.7230010.3.0.3.6.7\0"),
        item(0x58, b"\x02\x00\x00\x06CANARY\x00\x06CANARY"),
        item(0x55, b"OFFIS_DCMTK_367"),
    ]
    .concat();
    let body = [
        &[0, 1, 0, 0][..],
        b"PACS_MAIN       CT_GE_LS16      ",
        &[0; 32],
        &item(0x10, b"1.2.840.10008.3.1.1.1"),
        &context(1, b"1.2.840.10008.5.1.4.1.1.2"),
        &context(3, b"1.2.840.10008.1.1\0"),
        &item(0x50, &user),
    ]
    .concat();
    pdu(kind, &body)
}

fn p_data() -> Vec<u8> {
    pdu(4, &[&[0, 0, 0, 14, 1, 3][..], b"CANARY^DOE^J"].concat())
}

#[test]
fn a_request_names_both_ends_and_what_it_proposes() {
    for step in [1, 5, 4096] {
        let bytes = [association(1), p_data(), p_data(), pdu(5, &[0; 4])].concat();
        let found = stream(&Dicom, &bytes, step);
        assert_eq!(found.len(), 1);
        assert_eq!(values(&found[0], "dicom.calling_ae"), ["CT_GE_LS16"]);
        assert_eq!(values(&found[0], "dicom.called_ae"), ["PACS_MAIN"]);
        assert_eq!(values(&found[0], "dicom.role"), ["scu"]);
        let syntaxes = ["1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1"];
        assert_eq!(values(&found[0], "dicom.abstract_syntax"), syntaxes);
        let class = values(&found[0], "dicom.implementation_class_uid");
        assert_eq!(class, ["1.2.276.0.7230010.3.0.3.6.7"]);
        let version = values(&found[0], "dicom.implementation_version_name");
        assert_eq!(version, ["OFFIS_DCMTK_367"]);
        no_canary(&found);
    }
}

#[test]
fn an_acceptance_and_a_second_association_in_one_stream() {
    let bytes = [association(2), p_data(), association(2), pdu(6, &[0; 4])].concat();
    let found = stream(&Dicom, &bytes, 11);
    assert_eq!(found.len(), 2);
    assert_eq!(values(&found[1], "dicom.result"), ["accepted"]);
    assert_eq!(values(&found[1], "dicom.role"), ["scp"]);
    assert!(values(&found[1], "dicom.abstract_syntax").is_empty());
    no_canary(&found);
}

#[test]
fn rejections_in_words() {
    let cases = [
        ([0, 1, 1, 7], "rejected-permanent", "called-ae-title-not-recognized"),
        ([0, 1, 1, 3], "rejected-permanent", "calling-ae-title-not-recognized"),
        ([0, 2, 3, 2], "rejected-transient", "local-limit-exceeded"),
        ([0, 2, 2, 2], "rejected-transient", "protocol-version-not-supported"),
        ([0, 1, 2, 9], "rejected-permanent", "reserved"),
    ];
    for (body, result, reason) in cases {
        let found = stream(&Dicom, &pdu(3, &body), 4);
        assert_eq!(values(&found[0], "dicom.result"), [result]);
        assert_eq!(values(&found[0], "dicom.reason"), [reason]);
    }
}

#[test]
fn knows_dicom_by_its_grammar() {
    let whole = association(1);
    assert_eq!(Dicom.probe(&tcp(&whole, false)), Probe::Yes);
    for length in 0..75 {
        assert_ne!(Dicom.probe(&tcp(&whole[..length], false)), Probe::No, "{length}");
    }
    let mut even = whole.clone();
    even[7] = 2;
    let mut binary = whole.clone();
    binary[12] = 0x80;
    for bytes in [&even[..], &binary, &pdu(1, b"short"), b"\x03\x00\x00\x13\x0e\xe0", b"MSH|"] {
        assert_eq!(Dicom.probe(&tcp(bytes, false)), Probe::No, "{bytes:?}");
    }
    for bytes in [p_data(), pdu(3, &[0, 1, 1, 7]), pdu(7, &[0, 0, 2, 1])] {
        assert_eq!(Dicom.probe(&tcp(&bytes, false)), Probe::Yes, "{bytes:?}");
    }
}

#[test]
fn hostile_bytes_do_no_harm() {
    torture(&Dicom, &association(1), HEADER_BYTES + ASSOCIATION_BYTES_MAX);
    torture(
        &Dicom,
        &[pdu(3, &[0, 1, 1, 7]), p_data()].concat(),
        HEADER_BYTES + ASSOCIATION_BYTES_MAX,
    );
}
