//! What `inspect` writes, on captures made here; `tests/golden` runs it over those of others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use wardmesh_common::event::{Attribute, EventKind, Name, Party};
use wardmesh_common::time::Timestamp;

use super::*;
use crate::dissect::DISSECTORS;

const KEY: HashKey = HashKey([1; 16]);

fn run(paths: &[PathBuf], format: Format) -> (Outcome, String, String) {
    let (mut out, mut warn) = (Vec::new(), Vec::new());
    let outcome = inspect(paths, format, DISSECTORS, KEY, &mut out, &mut warn).unwrap();
    (outcome, String::from_utf8(out).unwrap(), String::from_utf8(warn).unwrap())
}

/// A pcap with one ARP request of 10.0.0.1.
fn arp_capture() -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([0, 0, 4, 0, 1, 0, 0, 0]);
    file.extend([60, 0, 0, 0, 5, 0, 0, 0, 42, 0, 0, 0, 42, 0, 0, 0]);
    file.extend([0xff; 6]);
    file.extend([0, 9, 0xfb, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    file.extend([0, 9, 0xfb, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    file
}

fn hostile() -> Event {
    let values = vec!["a\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\n\\".to_owned()];
    Event {
        observed_at: Timestamp::EPOCH,
        kind: EventKind::Observation,
        interface: 0,
        device: Party::default(),
        peer: None,
        service: None,
        attributes: vec![Attribute { key: Name::Borrowed("dhcp.hostname"), values }],
        counters: Vec::new(),
    }
}

#[test]
fn writes_an_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arp.pcap");
    fs::write(&path, arp_capture()).unwrap();
    let (outcome, out, warn) = run(&[path.clone(), path], Format::Ndjson);
    assert_eq!((outcome, warn.as_str()), (Outcome::Read, ""));
    let kinds: Vec<_> = out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|event| (event["kind"].as_str().unwrap().to_owned(), event["device"]["ip"].clone()))
        .collect();
    assert_eq!(kinds.len(), 6, "{out}");
    assert_eq!(kinds[0], ("sighting".to_owned(), "10.0.0.1".into()));
    assert_eq!(kinds[..3], kinds[3..], "each file begins anew");
    assert!(
        out.starts_with("{\"observed_at\":\"1970-01-01T00:01:00.000005000Z\",\"kind\":"),
        "{out}"
    );
}

#[test]
fn warns_of_what_is_cut_and_fails_for_what_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (cut, none) = (folder.path().join("cut.pcap"), folder.path().join("none.pcap"));
    fs::write(&cut, [arp_capture(), vec![1, 2, 3]].concat()).unwrap();
    fs::write(&none, b"plain text, long enough to hold a header").unwrap();
    let (outcome, out, warn) = run(std::slice::from_ref(&cut), Format::Ndjson);
    assert_eq!((outcome.exit_code(), out.lines().count()), (0, 3));
    assert!(warn.starts_with("warning: "), "{warn}");
    let (outcome, again, warn) = run(&[none, cut], Format::Ndjson);
    assert_eq!((outcome.exit_code(), again), (1, out));
    assert!(warn.starts_with("error: "), "{warn}");
}

#[test]
fn what_devices_say_cannot_act_on_a_terminal() {
    let line = json_line(&hostile()).unwrap();
    assert!(line.trim_end().chars().all(|character| !character.is_control()));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["attributes"]["dhcp.hostname"], hostile().attributes[0].values[0]);
    let (mut table, mut out) = (Table::default(), Vec::new());
    table.push(&hostile(), &mut out).unwrap();
    table.flush(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.ends_with("dhcp.hostname=a\\u{1b}]0;owned\\u{7}\\u{9b}2J\\u{202e}\\n\\\\\n"),
        "{text}"
    );
}

#[test]
fn columns_are_aligned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arp.pcap");
    fs::write(&path, arp_capture()).unwrap();
    let (_, out, _) = run(&[path], Format::Table);
    let lines: Vec<_> = out.lines().collect();
    let at = lines[0].find("SERVICE").unwrap();
    assert!(lines[2][at..].starts_with("link arp"), "{out}");
    assert!(lines[1][..at].ends_with("  "), "{out}");
}

/// A reader that has gone.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arp.pcap");
    fs::write(&path, arp_capture()).unwrap();
    let outcome =
        inspect(&[path], Format::Ndjson, DISSECTORS, KEY, &mut Gone, &mut Vec::new()).unwrap();
    assert_eq!(outcome, Outcome::Read);
}
