//! Real captures, read and decoded, where the folder beside the checkout is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wardmesh_common::time::Timestamp;

use crate::capture::{CaptureError, CaptureFile, Frame, LinkType};
use crate::decode::{Body, Decoder, Segment};

/// One frame kept beyond its reader.
struct Kept {
    at: Timestamp,
    link: LinkType,
    bytes: Vec<u8>,
}

/// `shared/data/pcaps` beside the checkout, or beside a folder that checkouts are kept in.
fn folder() -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2);
    let mut folders = checkout.map(|parent| parent.join("shared/data/pcaps"));
    let found = folders.find(|folder| folder.join("MANIFEST.json").is_file());
    if found.is_none() {
        eprintln!("left out: no ../shared/data/pcaps beside the checkout");
    }
    found
}

/// The captures with the number of frames that Wireshark counts in each.
fn manifest(folder: &Path) -> Vec<(PathBuf, u64)> {
    let text = std::fs::read_to_string(folder.join("MANIFEST.json")).unwrap();
    let entries: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let entry = |entry: &serde_json::Value| {
        let file = entry["file"].as_str().unwrap();
        (folder.join(file), entry["packets"].as_u64().unwrap())
    };
    entries.iter().map(entry).collect()
}

fn frames(path: &Path) -> Vec<Kept> {
    let mut capture = CaptureFile::open(path).unwrap();
    let mut kept = Vec::new();
    while let Ok(Some(frame)) = capture.next_frame() {
        kept.push(Kept { at: frame.at, link: frame.link, bytes: frame.bytes.to_vec() });
    }
    kept
}

fn whole(kept: &Kept) -> Frame<'_> {
    let Kept { at, link, ref bytes } = *kept;
    Frame { at, interface: 0, link, bytes, wire_length: bytes.len() as u32 }
}

/// Counts what a frame was, and the reason where it was malformed.
fn count(decoder: &mut Decoder, frame: &Frame<'_>, counts: &mut BTreeMap<String, u64>) {
    let kind = match decoder.decode(frame) {
        Ok(None) => "waiting fragment".to_owned(),
        Err(malformed) => format!("malformed {} {}", malformed.protocol, malformed.reason),
        Ok(Some(packet)) => match packet.body {
            Body::Link { .. } => "link".to_owned(),
            Body::Ip(ip) => match ip.segment {
                Segment::Tcp { payload, wire_length, .. } => {
                    assert!(payload.len() <= wire_length as usize);
                    "tcp".to_owned()
                }
                Segment::Udp { .. } => "udp".to_owned(),
                Segment::Other { .. } => "ip".to_owned(),
            },
        },
    };
    *counts.entry(kind).or_default() += 1;
}

#[test]
fn every_capture_opens_and_counts_as_wireshark_does() -> Result<(), CaptureError> {
    let Some(folder) = folder() else { return Ok(()) };
    let (mut total, mut differing, mut counts) = (0, Vec::new(), BTreeMap::new());
    let files = manifest(&folder);
    for (path, packets) in &files {
        let (mut capture, mut decoder) = (CaptureFile::open(path)?, Decoder::default());
        let warning = loop {
            match capture.next_frame() {
                Ok(Some(frame)) => count(&mut decoder, &frame, &mut counts),
                Ok(None) => break None,
                Err(warning) => break Some(warning),
            }
        };
        if let Some(warning) = warning {
            eprintln!("{warning}");
        }
        if capture.frames() != *packets {
            differing.push(format!("{}: {} of {packets}", path.display(), capture.frames()));
        }
        total += capture.frames();
    }
    eprintln!("{} captures, {total} frames: {counts:#?}", files.len());
    assert_eq!(differing, Vec::<String>::new());
    Ok(())
}

/// A small generator of numbers (xorshift64), the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

const MUTATED: [&str; 12] = [
    "ndpi/ip_fragmented_garbage.pcap",
    "ndpi/smb_frags.pcap",
    "ndpi/ossfuzz_seed_fake_traces_1.pcapng",
    "ndpi/bjnp.pcap",
    "ndpi/tls_missing_ch_frag.pcap",
    "ja4/tls-alpn-h2.pcap",
    "zeek/mixed-vlan-mpls.pcap",
    "zeek/q-in-q.pcap",
    "arkime/dot1ad.pcap",
    "tcpdump/truncated-aack.pcap",
    "tcpdump/tftp-heapoverflow.pcap",
    "tapirx/dicom_arq_2_get_testclient.pcap",
];

/// Every header lies in a frame's first bytes; longer ones only repeat the payload case.
const CUT_BYTES: usize = 160;

#[test]
fn cut_and_flipped_frames_never_panic() {
    let Some(folder) = folder() else { return };
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut decoder, mut counts) = (Decoder::default(), BTreeMap::new());
    for file in MUTATED {
        for kept in frames(&folder.join(file)).iter().take(64) {
            let frame = whole(kept);
            for length in 0..=kept.bytes.len().min(CUT_BYTES) {
                let cut = Frame { bytes: &kept.bytes[..length], ..frame };
                count(&mut decoder, &cut, &mut counts);
            }
            for _ in 0..64 {
                let mut bytes = kept.bytes.clone();
                for _ in 0..=numbers.below(4) {
                    let at = numbers.below(bytes.len().min(CUT_BYTES));
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 + numbers.below(255) as u8;
                    }
                }
                count(&mut decoder, &Frame { bytes: &bytes, ..frame }, &mut counts);
            }
        }
    }
    assert!(decoder.fragment_bytes() <= 16 << 20);
    eprintln!("{} frames: {counts:#?}", counts.values().sum::<u64>());
}
