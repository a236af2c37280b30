//! The project's own captures: what `inspect` reports of a generated hospital, held against a
//! committed summary, and that nothing of the patient is in it.
//!
//! The summary is written anew with `WARDMESH_GOLDEN=write`; read what changed before committing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::{env, fs};

use serde_json::{Value, json};
use wardmesh_cli::simulate::Scenario;
use wardmesh_common::net::MacAddress;

use crate::inspected::{attributes, events, run, text};

/// A generated site: two that share visitors, as the demo has them, and a larger one of another seed.
struct Site {
    name: &'static str,
    seed: u64,
    devices: u32,
    minutes: u32,
}

const SITES: [Site; 3] = [
    Site { name: "a", seed: 1, devices: 26, minutes: 5 },
    Site { name: "b", seed: 1, devices: 26, minutes: 5 },
    Site { name: "c", seed: 2, devices: 60, minutes: 3 },
];

/// Attributes whose values the summary lists: they tell the devices apart.
const NAMES: [&str; 9] = [
    "dicom.calling_ae",
    "dicom.called_ae",
    "dhcp.hostname",
    "dhcp.vendor_class",
    "hl7.sending_application",
    "hl7.message_type",
    "lldp.system_name",
    "http.server",
    "tls.sni",
];

/// What the generator names everything of its patient by.
const CANARY: &str = "canary";

/// A capture in a file, which goes with it.
type Capture = tempfile::NamedTempFile;

impl Site {
    fn scenario(&self) -> Scenario {
        Scenario {
            site: self.name.to_owned(),
            seed: self.seed,
            devices: self.devices,
            minutes: self.minutes,
            rate_per_mille: 1_000,
            start: "2026-01-05T08:00:00Z".parse().unwrap(),
        }
    }

    /// Written as classic pcap: little endian, nanoseconds, Ethernet.
    fn capture(&self) -> Capture {
        let mut bytes = Vec::new();
        let words = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        bytes.extend(words(&[0xa1b2_3c4d, 0x0004_0002, 0, 0, 0x0004_0000, 1]));
        for (at, frame) in self.scenario().traffic() {
            let (seconds, nanos) = (at.as_nanos() / 1_000_000_000, at.as_nanos() % 1_000_000_000);
            let length = frame.len() as u32;
            bytes.extend(words(&[seconds as u32, nanos as u32, length, length]));
            bytes.extend(frame);
        }
        let mut file = Capture::new().unwrap();
        file.write_all(&bytes).unwrap();
        file
    }
}

#[test]
fn own_captures_give_the_committed_summaries() {
    for site in &SITES {
        let summary = summary(&events(site.capture().path()));
        let shown = format!("{}\n", serde_json::to_string_pretty(&summary).unwrap());
        let name = format!("site-{}.json", site.name);
        let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/expected").join(&name);
        if env::var_os("WARDMESH_GOLDEN").is_some_and(|value| value == "write") {
            fs::write(&expected, &shown).unwrap();
        }
        let committed = fs::read_to_string(&expected).unwrap_or_default();
        let differing = committed.lines().zip(shown.lines()).find(|(old, new)| old != new);
        assert!(
            committed == shown,
            "{name} differs, first {differing:?}; WARDMESH_GOLDEN=write accepts it"
        );
    }
}

#[test]
fn nothing_of_the_patient_is_reported() {
    for site in &SITES {
        let capture = site.capture();
        let frames = fs::read(capture.path()).unwrap();
        let is_canary = |window: &[u8]| window.eq_ignore_ascii_case(CANARY.as_bytes());
        assert!(frames.windows(CANARY.len()).any(is_canary), "the capture has a patient");
        let inspected = run(capture.path());
        let out = String::from_utf8(inspected.out).unwrap().to_lowercase();
        let line = out.lines().find(|line| line.contains(CANARY));
        assert_eq!(line, None, "site {}", site.name);
        assert_eq!(inspected.warnings, "", "site {}", site.name);
    }
}

#[test]
fn every_station_that_sends_is_sighted() {
    for site in &SITES {
        let capture = site.capture();
        let senders: BTreeSet<String> =
            site.scenario().traffic().filter_map(|(_, frame)| source(&frame)).collect();
        assert!(senders.len() >= site.devices as usize, "{} stations", senders.len());
        let events = events(capture.path());
        let sightings = events.iter().filter(|event| event["kind"] == "sighting");
        let sighted: BTreeSet<String> =
            sightings.map(|event| text(event, "device", "mac").to_owned()).collect();
        assert_eq!(sighted, senders, "site {}", site.name);
    }
}

/// The source of an Ethernet frame.
fn source(frame: &[u8]) -> Option<String> {
    let octets = frame.get(6..12)?.try_into().ok()?;
    Some(MacAddress(octets).to_string())
}

/// Counts by kind, protocol, attribute and counter, what tells devices apart, and per device (by
/// MAC address) the protocols in which it said something.
fn summary(events: &[Value]) -> Value {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut protocols: BTreeMap<&str, usize> = BTreeMap::new();
    let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut devices: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut health: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        let kind = event["kind"].as_str().unwrap();
        *kinds.entry(kind).or_default() += 1;
        if kind == "health" {
            for (key, value) in event["counters"].as_object().unwrap() {
                *health.entry(key).or_default() += value.as_u64().unwrap();
            }
            continue;
        }
        let said = devices.entry(text(event, "device", "mac")).or_default();
        if kind == "observation" {
            let protocol = text(event, "service", "protocol");
            *protocols.entry(protocol).or_default() += 1;
            said.insert(protocol);
        }
        for (key, value) in attributes(event) {
            *keys.entry(key).or_default() += 1;
            if NAMES.contains(&key) {
                names.entry(key).or_default().insert(value);
            }
        }
    }
    json!({
        "events": kinds,
        "observations": protocols,
        "attributes": keys,
        "health": health,
        "names": names,
        "devices": devices.into_iter().map(|(mac, said)| {
            (mac.to_owned(), Vec::from_iter(said).join(" ").into())
        }).collect::<serde_json::Map<String, Value>>(),
    })
}
