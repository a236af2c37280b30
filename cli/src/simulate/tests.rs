//! A seed gives the same bytes, a flag what it says, and tshark finds no fault in either.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::process::Command;

use super::*;

fn scenario(site: &str, seed: u64) -> Scenario {
    let start = "2026-01-05T08:00:00Z".parse().unwrap();
    Scenario { site: site.into(), seed, devices: 26, minutes: 5, rate_per_mille: 1_000, start }
}

fn capture(scenario: &Scenario) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(scenario, &mut bytes).unwrap();
    bytes
}

fn has(frames: &[(Timestamp, Vec<u8>)], needle: &[u8]) -> bool {
    frames.iter().any(|(_, frame)| frame.windows(needle.len()).any(|window| window == needle))
}

#[test]
fn the_same_scenario_gives_the_same_bytes() {
    let first = capture(&scenario("a", 1));
    assert!(first == capture(&scenario("a", 1)));
    assert!(first != capture(&scenario("a", 2)));
    assert!(first != capture(&scenario("d", 1)));
}

/// Who compares figures over releases relies on these bytes: where this fails, either undo the
/// change or say in the changelog that captures differ from now on.
#[test]
fn the_default_capture_is_the_same_in_every_release() {
    let digest = rng::fnv(&capture(&scenario("a", 1)));
    assert_eq!(digest, 0xa57b_5e27_a657_dd92, "{digest:#018x}");
}

#[test]
fn a_default_capture_is_small() {
    let bytes = capture(&scenario("a", 1));
    assert!((500_000..2_000_000).contains(&bytes.len()), "{} bytes", bytes.len());
    let frames = scenario("a", 1).traffic().count();
    assert!((2_000..10_000).contains(&frames), "{frames} frames");
}

#[test]
fn frames_come_in_the_order_of_time_and_within_the_span() {
    for scenario in [scenario("a", 1), Scenario { devices: 400, minutes: 2, ..scenario("b", 7) }] {
        let end = scenario.start.as_nanos() + u64::from(scenario.minutes) * 60_000_000_000;
        let mut last = scenario.start;
        for (at, _) in scenario.traffic() {
            assert!(at >= last && at.as_nanos() < end, "{at}");
            last = at;
        }
    }
}

/// One probe of each protocol: bytes that only it has.
#[test]
fn every_protocol_is_there() {
    let frames: Vec<_> = Scenario { minutes: 1, ..scenario("a", 3) }.traffic().collect();
    let probes: [(&str, &[u8]); 22] = [
        ("ARP", &[0x08, 0x06, 0, 1, 8, 0, 6, 4]),
        ("DHCP", &[0x63, 0x82, 0x53, 0x63, 53, 1, 1]),
        ("DHCP option 60", b"\x3c\x0ebedside-rt 2.4"),
        ("DHCP option 81", b"\x51\x1a\0\0\0pc-1.a."),
        ("DHCP option 161", b"\xa1\x31https://mud."),
        ("DNS", b"\x07pumps-1\x01a\x08hospital"),
        ("mDNS", b"\x04_ipp\x04_tcp\x05local"),
        ("mDNS TXT model", b"model=DomeCam 31"),
        ("LLDP", &[0x88, 0xcc, 0x02, 0x07, 0x04]),
        ("LLDP-MED", &[0x00, 0x12, 0xbb, 10]),
        ("TLS 1.3 hello", &[0, 43, 0, 5, 4, 3, 4, 3, 3]),
        ("TLS application data", &[23, 3, 3]),
        ("HTTP request", b"POST /pump/v1/status"),
        ("HTTP response", b"HTTP/1.1 200 OK\r\nServer: FluxServer"),
        ("A-ASSOCIATE-RQ", b"1.2.840.10008.5.1.4.1.1.2"),
        ("A-ASSOCIATE-AC", b"dcm4che-2.0"),
        ("A-ASSOCIATE-RJ", &[3, 0, 0, 0, 0, 4, 0, 1, 1, 3]),
        ("MR storage", b"1.2.840.10008.5.1.4.1.1.4"),
        ("MLLP ADT", b"|ADT^A0"),
        ("PCD-01", b"IHE_PCD_001"),
        ("ACK", b"MSA|AA|"),
        ("the canary", b"CANARY^PATIENT"),
    ];
    for (name, bytes) in probes {
        assert!(has(&frames, bytes), "{name}");
    }
}

#[test]
fn every_checksum_is_right() {
    let mut checked = 0;
    for (_, frame) in scenario("b", 1).traffic() {
        assert!(frame.len() >= 60 && frame.len() <= 1_514);
        if frame[12..14] != [0x08, 0x00] {
            continue;
        }
        let length = usize::from(u16::from_be_bytes([frame[16], frame[17]]));
        let packet = &frame[14..14 + length];
        assert_eq!(wire::fold(wire::sum_words(&packet[..20])), 0);
        let address =
            |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
        let sum = wire::transport_checksum(address(12), address(16), packet[9], &packet[20..]);
        assert_eq!(sum, 0);
        checked += 1;
    }
    assert!(checked > 1_000);
}

/// When each source address was first and last seen.
fn sources(scenario: &Scenario) -> BTreeMap<Vec<u8>, (u64, u64)> {
    let mut seen = BTreeMap::new();
    for (at, frame) in scenario.traffic() {
        let at = at.since(scenario.start).as_secs();
        seen.entry(frame[6..12].to_vec()).or_insert((at, at)).1 = at;
    }
    seen
}

#[test]
fn one_device_moves_one_is_at_two_sites_and_no_other_is_shared() {
    let [a, b, c] = ["a", "b", "c"].map(|site| sources(&scenario(site, 1)));
    let moved = [0x00, 0x0f, 0x14, 0x5a, 0x01, 0x01].as_slice();
    let clone = [0x00, 0x03, 0xb1, 0x5a, 0x02, 0x02].as_slice();
    assert!(a[moved].1 < 120 && b[moved].0 >= 180, "{:?} {:?}", a[moved], b[moved]);
    assert!(b[clone].0 < 30 && c[clone].0 < 30 && b[clone].1 > 240 && c[clone].1 > 240);
    let shared = |left: &BTreeMap<Vec<u8>, _>, right: &BTreeMap<Vec<u8>, _>| {
        left.keys().filter(|mac| right.contains_key(*mac)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(shared(&a, &b), [moved]);
    assert_eq!(shared(&b, &c), [clone]);
    assert!(shared(&a, &c).is_empty());
}

#[test]
fn devices_scale_without_sharing_addresses() {
    let hospital = hospital::Hospital::new("z", 9, hospital::DEVICES_MAX);
    assert_eq!(hospital.devices.len() as u32, hospital::DEVICES_MAX);
    let macs: BTreeSet<_> = hospital.devices.iter().map(|device| device.host.mac).collect();
    let ips: BTreeSet<_> = hospital.devices.iter().map(|device| device.host.ip).collect();
    assert_eq!((macs.len(), ips.len()), (hospital.devices.len(), hospital.devices.len()));
    assert!(macs.iter().all(|mac| mac.is_unicast() && !mac.is_local()));
}

#[test]
fn the_rate_scales_the_traffic() {
    let usual = scenario("a", 1).traffic().count();
    let busy = Scenario { rate_per_mille: 4_000, ..scenario("a", 1) }.traffic().count();
    assert!(busy > usual * 3 && busy < usual * 5, "{usual} {busy}");
}

/// Each field that a receiver of IHE PCD-01 looks for, by its number in the segment.
#[test]
fn vital_signs_name_their_device() {
    let frames = scenario("a", 1).traffic();
    let text = frames.map(|(_, frame)| String::from_utf8_lossy(&frame).into_owned());
    let message = text.into_iter().find(|text| text.contains("IHE_PCD_001")).unwrap();
    let segments: Vec<Vec<&str>> = message
        .split_once('\u{b}')
        .unwrap()
        .1
        .split('\r')
        .map(|segment| segment.split('|').collect())
        .collect();
    // MSH-1 is the separator itself, so that MSH-n is the field n - 1 of the split.
    assert_eq!(segments[0][2], "WARDVIEW_CENTRAL");
    assert_eq!(segments[0][8], "ORU^R01^ORU_R01");
    assert!(segments[0][20].starts_with("IHE_PCD_001^"));
    let results: Vec<_> = segments.iter().filter(|segment| segment[0] == "OBX").collect();
    assert_eq!(results.len(), 7);
    for result in results {
        assert!(result[18].ends_with("^EUI-64") && result[18].contains("FFFE"), "{result:?}");
    }
}

#[test]
fn impossible_scenarios_are_held_to_the_possible() {
    let start = Timestamp::from_nanos(u64::MAX);
    let wild = Scenario { devices: 0, minutes: 0, rate_per_mille: 0, start, ..scenario("a", 1) };
    let mut bytes = Vec::new();
    assert_eq!(write(&wild, &mut bytes).unwrap().devices, 19);
}

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn arguments(line: &[&str]) -> Result<Args, clap::Error> {
    let words = ["simulate"].iter().chain(line);
    <Line as clap::Parser>::try_parse_from(words).map(|line| line.args)
}

#[test]
fn run_writes_the_scenario_of_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site-a.pcap");
    let args = arguments(&["-o", file.to_str().unwrap()]).unwrap();
    assert_eq!(Scenario::from(&args), scenario("a", 1));
    run(&args).unwrap();
    assert!(std::fs::read(&file).unwrap() == capture(&scenario("a", 1)));
    let nowhere = folder.path().join("no/such/folder.pcap");
    let error = run(&arguments(&["-o", nowhere.to_str().unwrap()]).unwrap()).unwrap_err();
    assert!(error.to_string().contains("folder.pcap"), "{error}");
}

#[test]
fn refuses_flags_out_of_range() {
    for flag in ["--devices=17", "--minutes=0", "--start=2106-02-01T00:00:00Z", "--start=now"] {
        assert!(arguments(&["-o", "x", flag]).is_err(), "{flag}");
    }
}

#[test]
fn reads_its_flags() {
    assert_eq!(rate_per_mille("2.5"), Ok(2_500));
    for text in ["0", "-1", "NaN", "101", "fast"] {
        assert!(rate_per_mille(text).is_err(), "{text}");
    }
    assert!(site("st-mary-2").is_ok());
    for text in ["", "A", "-a", "a b", "a.b", "seventeen-letters"] {
        assert!(site(text).is_err(), "{text}");
    }
}

/// Fields of the packets that a filter selects; `None` where tshark is not installed.
fn tshark(file: &std::path::Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]);
    command.args(["-o", "udp.check_checksum:TRUE", "-d", "tcp.port==11112,dicom", "-r"]);
    let output = command.arg(file).args(arguments).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// What tshark calls wrong: malformed packets, errors, warnings (but for the association that is
/// meant to be rejected, PDU type 3), TCP out of order, wrong checksums.
const FAULTS: &str = "_ws.malformed || _ws.expert.severity >= 0x800000 \
    || (_ws.expert.severity >= 0x600000 && !(dicom.pdu.type == 3)) || tcp.analysis.flags \
    || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0";

#[test]
fn tshark_finds_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site.pcap");
    for site in ["a", "b", "c"] {
        std::fs::write(&file, capture(&scenario(site, 1))).unwrap();
        let Some(faults) = tshark(&file, &["-Y", FAULTS]) else {
            let _ = writeln!(std::io::stderr(), "SKIPPED: tshark is not installed");
            return;
        };
        assert_eq!(faults, "", "site {site}");
        let protocols = tshark(&file, &["-T", "fields", "-e", "_ws.col.Protocol"]).unwrap();
        let seen: BTreeSet<_> = protocols.lines().collect();
        for name in [
            "ARP",
            "DHCP",
            "DNS",
            "MDNS",
            "LLDP",
            "TLSv1.2",
            "TLSv1.3",
            "HTTP",
            "HTTP/JSON",
            "DICOM",
            "HL7",
        ] {
            assert!(seen.contains(name), "site {site}: no {name} in {seen:?}");
        }
    }
}
