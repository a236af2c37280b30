//! How the tests of dissectors run one over hand-made bytes and write down what it reported.
//!
//! Observations are lines of `mac ip key=value|value …`; a dissector that did not consume all adds
//! a line that says so; a probe that is not `Yes` says only that.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod shared;

use std::net::IpAddr;

use wardmesh_common::net::MacAddress;

use super::{Carrier, Dissector, Endpoint, Observation, Observations, Payload, Probe, Progress};

/// Who sends the bytes of a test, to whom, over what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) carrier: Carrier,
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
}

impl Case {
    /// A frame between link addresses.
    pub(super) fn link(carrier: Carrier) -> Self {
        let mac = |last| Some(MacAddress([2, 0, 0, 0, 0, last]));
        Self {
            carrier,
            source: Endpoint { mac: mac(1), ip: None, port: None },
            destination: Endpoint { mac: mac(2), ip: None, port: None },
        }
    }

    /// A datagram or segment from 192.0.2.1 to 192.0.2.2 between these ports.
    pub(super) fn ports(carrier: Carrier, source: u16, destination: u16) -> Self {
        let mut case = Self::link(carrier);
        case.source.ip = Some(IpAddr::from([192, 0, 2, 1]));
        case.source.port = Some(source);
        case.destination.ip = Some(IpAddr::from([192, 0, 2, 2]));
        case.destination.port = Some(destination);
        case
    }

    fn payload<'a>(&self, bytes: &'a [u8]) -> Payload<'a> {
        let Self { carrier, source, destination } = *self;
        Payload { carrier, source, destination, bytes, ended: false }
    }
}

/// Bytes from hexadecimal digits; white space between them is for the reader.
#[track_caller]
pub(super) fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap_or_else(|| panic!("{c} is no hexadecimal digit")) as u8)
        .collect();
    assert_eq!(digits.len() % 2, 0, "an odd number of digits");
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Hexadecimal digits of a text.
pub(super) fn ascii(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Probes and dissects `hex` once and compares what came of it.
#[track_caller]
pub(super) fn check(dissector: &dyn Dissector, case: Case, hex: &str, expect: &str) {
    let bytes = unhex(hex);
    assert_eq!(run(dissector, case, &bytes), expect);
}

/// Truncates at each length and flips bytes by a fixed sequence: nothing may panic or hang.
#[track_caller]
pub(super) fn shake(dissector: &dyn Dissector, case: Case, hex: &str) {
    let whole = unhex(hex);
    for length in 0..whole.len() {
        forced(dissector, case, &whole[..length]);
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..2_000 {
        let mut bytes = whole.clone();
        for _ in 0..=next(&mut state) % 4 {
            let length = bytes.len().max(1) as u64;
            if let Some(byte) = bytes.get_mut((next(&mut state) % length) as usize) {
                *byte = next(&mut state) as u8;
            }
        }
        forced(dissector, case, &bytes);
    }
}

/// xorshift64: the same flips at each run.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Dissects whatever the probe says, as a flow may whose later bytes turn bad.
fn forced(dissector: &dyn Dissector, case: Case, bytes: &[u8]) {
    let payload = case.payload(bytes);
    let _ = dissector.probe(&payload);
    let mut found = Observations::default();
    let progress = dissector.dissect(&payload, &mut found);
    assert_ne!(progress, Progress::Consumed(0), "no progress on {} bytes", bytes.len());
    let text: usize = found.0.iter().map(|seen| line(seen).len()).sum();
    assert!(text < 64 * 1024, "{text} bytes of text from {}", bytes.len());
}

fn run(dissector: &dyn Dissector, case: Case, bytes: &[u8]) -> String {
    let payload = case.payload(bytes);
    match dissector.probe(&payload) {
        Probe::Yes => {}
        Probe::No => return "no".to_owned(),
        Probe::Unsure => return "unsure".to_owned(),
    }
    let mut found = Observations::default();
    let progress = dissector.dissect(&payload, &mut found);
    let mut lines: Vec<String> = found.0.iter().map(line).collect();
    match progress {
        Progress::Consumed(count) if count == bytes.len() => {}
        Progress::Consumed(count) => lines.push(format!("consumed {count}")),
        Progress::NeedMore(count) => lines.push(format!("more {count}")),
        Progress::Malformed { at, reason } => lines.push(format!("malformed@{at} {reason}")),
    }
    lines.join("\n")
}

fn line(seen: &Observation) -> String {
    let mac = seen.device_mac.map_or_else(|| "-".to_owned(), |mac| mac.to_string());
    let ip = seen.device_ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
    let said = seen.attributes.iter().map(|a| format!(" {}={}", a.key, a.values.join("|")));
    format!("{mac} {ip}{}", said.collect::<String>())
}
