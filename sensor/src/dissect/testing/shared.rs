//! Broken messages of real captures through the whole pipeline, where the folder beside the
//! checkout is there: what is counted as malformed, and what is still read before the fault.
//!
//! What the peers' expected outputs say of whole messages is compared by `tests/golden`.

use std::path::{Path, PathBuf};

use wardmesh_common::event::{Event, EventKind};

use crate::capture::CaptureFile;
use crate::decode::Decoder;
use crate::dissect::DISSECTORS;
use crate::flow::Limits;
use crate::flow::tests::KEY;
use crate::pipeline::Pipeline;

/// A capture, a key or a health counter, and its values: each once, in wire order, `|` between.
const FACTS: [(&str, &str, &str); 11] = [
    ("tcpdump/lldp_asan.pcap", "malformed.lldp.port_id_missing", "1"),
    ("tcpdump/lldp_8021_linkagg.pcap", "malformed.lldp.chassis_id_missing", "2"),
    ("tcpdump/dns-badlabel.pcap", "dns.query", ""),
    ("tcpdump/dns-zlip-1.pcap", "dns.query", ""),
    ("tcpdump/bootp_asan.pcap", "dhcp.message_type", ""),
    ("arkime/wireshark-lldp.pcap", "lldp.management_address", "00:01:30:f9:ad:a0|15.255.122.148"),
    ("ndpi/malformed_dns.pcap", "dns.query", "www.xt.com"),
    ("ndpi/malformed_dns.pcap", "malformed.dns.name_too_long", "4"),
    ("ndpi/dhcp-fuzz.pcapng", "dhcp.hostname", "MK03862"),
    ("ndpi/dhcp-fuzz.pcapng", "malformed.dhcp.option_cut_short", "1"),
    ("chrissanders/arp_gratuitous.pcapng", "arp.gratuitous", "true"),
];

#[test]
fn broken_messages_are_counted_and_read_up_to_the_fault() {
    let Some(folder) = folder() else { return };
    let mut differing = Vec::new();
    for (file, key, expect) in FACTS {
        let values = values(&events(&folder.join(file)), key).join("|");
        if values != expect {
            differing.push(format!("{file} {key}: {values} instead of {expect}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
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

fn events(path: &Path) -> Vec<Event> {
    let mut capture = CaptureFile::open(path).unwrap();
    let mut decoder = Decoder::default();
    let mut pipeline = Pipeline::new(DISSECTORS, KEY, Limits::default());
    let mut events = Vec::new();
    while let Ok(Some(frame)) = capture.next_frame() {
        if let Ok(Some(packet)) = decoder.decode(&frame) {
            pipeline.push_packet(&packet, &mut events);
        }
    }
    pipeline.finish(&mut events);
    events
}

/// Each value of an attribute once; a health counter's sum.
fn values(events: &[Event], key: &str) -> Vec<String> {
    if key.starts_with("malformed.") {
        let health = events.iter().filter(|event| event.kind == EventKind::Health);
        return vec![health.filter_map(|event| event.count(key)).sum::<u64>().to_string()];
    }
    let mut values: Vec<String> = Vec::new();
    for value in events.iter().flat_map(|event| event.values(key)) {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    values
}
