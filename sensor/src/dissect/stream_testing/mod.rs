//! What the tests of stream dissectors share: a small stand-in for the flow table, and hostile input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Carrier, Dissector, Endpoint, Observation, Observations, Payload, Probe, Progress};

/// A TCP payload that holds these bytes.
pub(super) fn tcp(bytes: &[u8], ended: bool) -> Payload<'_> {
    let endpoint = Endpoint::default();
    Payload { carrier: Carrier::Tcp, source: endpoint, destination: endpoint, bytes, ended }
}

/// What `dissector` reports of one direction of a stream that arrives in pieces of `step` bytes.
pub(super) fn stream(dissector: &dyn Dissector, bytes: &[u8], step: usize) -> Vec<Observation> {
    let mut found = Observations::default();
    let (mut held, mut skip) = (Vec::new(), 0_usize);
    let mut accepted = false;
    let mut pieces = bytes.chunks(step).peekable();
    while let Some(piece) = pieces.next() {
        let dropped = skip.min(piece.len());
        skip -= dropped;
        held.extend_from_slice(&piece[dropped..]);
        let ended = pieces.peek().is_none();
        while !held.is_empty() {
            let payload = tcp(&held, ended);
            accepted = accepted || dissector.probe(&payload) == Probe::Yes;
            if !accepted {
                break;
            }
            match dissector.dissect(&payload, &mut found) {
                Progress::Consumed(count) => {
                    assert!(count > 0, "no progress");
                    skip = count.saturating_sub(held.len());
                    held.drain(..count.min(held.len()));
                }
                Progress::NeedMore(count) => {
                    assert!(count > held.len(), "asks for {count}, holds {}", held.len());
                    break;
                }
                Progress::Malformed { .. } => held.clear(),
            }
        }
    }
    found.0
}

/// The values that one observation has under `key`.
pub(super) fn values<'a>(observation: &'a Observation, key: &str) -> Vec<&'a str> {
    let attribute = observation.attributes.iter().find(|attribute| attribute.key == key);
    attribute.map(|a| a.values.iter().map(String::as_str).collect()).unwrap_or_default()
}

/// Fails where an observation holds a canary.
#[track_caller]
pub(super) fn no_canary(found: &[Observation]) {
    let shown = format!("{found:?}");
    assert!(!shown.to_lowercase().contains("canary"), "{shown}");
}

/// Cuts and flips `sample` in every way that a test has time for: nothing panics, every answer makes
/// progress, and no request for more passes `need_max`.
pub(super) fn torture(dissector: &dyn Dissector, sample: &[u8], need_max: usize) {
    let mut asked = 0;
    for length in 0..=sample.len() {
        let ask = poke(dissector, &sample[..length], need_max);
        assert!(ask == 0 || asked == 0 || ask >= asked, "asked {asked}, then {ask}");
        asked = ask;
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..4000 {
        let mut bytes = sample.to_vec();
        for _ in 0..1 + random(&mut seed) % 4 {
            let at = random(&mut seed) % bytes.len();
            bytes[at] = random(&mut seed) as u8;
        }
        bytes.truncate(1 + random(&mut seed) % (2 * bytes.len()));
        poke(dissector, &bytes, need_max);
        stream(dissector, &bytes, 1 + random(&mut seed) % 400);
    }
}

/// One probe and one dissection, whatever the probe says; how much more was asked for, else zero.
fn poke(dissector: &dyn Dissector, bytes: &[u8], need_max: usize) -> usize {
    for ended in [true, false] {
        let payload = tcp(bytes, ended);
        dissector.probe(&payload);
        match dissector.dissect(&payload, &mut Observations::default()) {
            Progress::Consumed(count) => assert!(count > 0 || bytes.is_empty()),
            Progress::Malformed { at, .. } => assert!(at <= bytes.len()),
            Progress::NeedMore(count) => {
                assert!(count > bytes.len() && count <= need_max, "asks for {count}");
                if !ended {
                    return count;
                }
            }
        }
    }
    0
}

/// xorshift64: the same numbers in each run.
fn random(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 11) as usize
}
