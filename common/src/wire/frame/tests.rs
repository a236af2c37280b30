//! Golden bytes, round trips, and every way in which bytes are no frame.

use super::*;

fn sample(archive: &[u8], compress: bool) -> Bytes {
    let seal_with = Seal {
        schema: Schema::Batch,
        lane: Lane::Bulk,
        events: 3,
        epoch: 0x0102_0304_0506_0708,
        seq: 9,
        sealed_at: Timestamp::from_nanos(10),
        previous_chain: 11,
    };
    seal(&seal_with, archive, compress)
}

#[test]
fn opens_what_it_sealed() {
    let archive = [7_u8; 1_000];
    for compress in [false, true] {
        let bytes = sample(&archive, compress);
        let frame = Frame::open(&bytes).unwrap();
        assert_eq!(frame.header.compressed, compress);
        assert_eq!(frame.archive(&mut Vec::new()).unwrap(), archive);
        assert!(frame.continues(11));
        assert!(!frame.continues(12));
        assert_eq!(frame.header.chain, chain(11, 9, frame.payload));
    }
}

#[test]
fn keeps_what_does_not_compress() {
    let archive: Vec<u8> = (0..=255).collect();
    let bytes = sample(&archive, true);
    assert!(!Frame::open(&bytes).unwrap().header.compressed);
}

/// The header's layout is a promise: these bytes change only with a new version.
#[test]
fn header_is_frozen() {
    let bytes = sample(b"abc", false);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "574d53480100010000000100030000000300000003000000080706050403020109000000000000000a00000000000000\
         0b6d4d4da226364f0000000073c0b1c1616263"
    );
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = sample(b"the payload", true).to_vec();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Frame::open(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = sample(b"the payload", false);
    for length in 0..bytes.len() {
        assert!(Frame::open(&bytes[..length]).is_err(), "{length}");
    }
}

fn with(change: impl FnOnce(&mut Header)) -> Result<Header, FrameError> {
    let bytes = sample(b"abc", false);
    let mut header = Frame::open(&bytes).unwrap().header;
    change(&mut header);
    let mut changed = header.to_bytes(crc32c::crc32c(b"abc")).to_vec();
    changed.extend_from_slice(b"abc");
    Frame::open(&changed).map(|frame| frame.header)
}

/// What a newer version puts into fields that are reserved here is no fault of its frames.
#[test]
fn a_newer_version_is_not_called_malformed() {
    for (offset, value) in [(8, 0x80), (10, 9), (11, 1), (56, 1)] {
        for (version, expected) in [
            (2, FrameError::UnknownSchema { schema: 1, version: 2 }),
            (1, FrameError::Field(offset)),
        ] {
            let mut bytes = sample(b"abc", false).to_vec();
            (bytes[offset], bytes[6]) = (value, version);
            let payload = crc32c::crc32c(b"abc");
            let checksum = crc32c::crc32c_append(payload, &bytes[..CHECKSUM_AT]);
            bytes[CHECKSUM_AT..HEADER_LENGTH].copy_from_slice(&checksum.to_le_bytes());
            assert_eq!(Frame::open(&bytes).map(|frame| frame.header), Err(expected), "{offset}");
        }
    }
}

#[test]
fn refuses_claims_before_it_expands_them() {
    assert_eq!(
        with(|header| header.version = 2),
        Err(FrameError::UnknownSchema { schema: 1, version: 2 })
    );
    let huge = ARCHIVE_LENGTH_MAX as u32 + 1;
    assert!(matches!(
        with(|header| (header.raw_length, header.compressed) = (huge, true)),
        Err(FrameError::TooLarge { .. })
    ));
    assert_eq!(with(|header| header.raw_length = 4), Err(FrameError::Field(16)));
    assert!(matches!(with(|header| header.payload_length = 4), Err(FrameError::Length { .. })));
    let bomb = sample(&[0; 50_000], true).to_vec();
    let frame = Frame::open(&bomb).unwrap();
    let wrong = Frame { header: Header { raw_length: 49_999, ..frame.header }, ..frame };
    assert_eq!(wrong.archive(&mut Vec::new()), Err(FrameError::Compression(49_999)));
}
