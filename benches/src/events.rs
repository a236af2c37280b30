//! Events to encode and apply: those of generated traffic, and a made-up mix of any size.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use wardmesh_common::event::{Attribute, Counter, Event, EventKind, Party, Peer, Service};
use wardmesh_common::net::{MacAddress, Transport};
use wardmesh_common::time::Timestamp;
use wardmesh_sensor::capture::CaptureFile;
use wardmesh_sensor::dissect::DISSECTORS;
use wardmesh_sensor::flow::{HashKey, Limits};
use wardmesh_sensor::pipeline::Pipeline;

/// Every event of a capture.
///
/// # Errors
/// Where it is none.
pub fn of_capture(path: &Path) -> anyhow::Result<Vec<Event>> {
    let mut all = Vec::new();
    each(path, |events| all.append(events))?;
    Ok(all)
}

/// How many events a capture gives; none is kept.
///
/// # Errors
/// Where it is none.
pub fn count_of_capture(path: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    each(path, |events| count += events.drain(..).len())?;
    Ok(count)
}

fn each(path: &Path, mut take: impl FnMut(&mut Vec<Event>)) -> anyhow::Result<()> {
    let mut file = CaptureFile::open(path)?;
    let mut pipeline = Pipeline::new(DISSECTORS, HashKey([7; 16]), Limits::default());
    let mut events = Vec::new();
    while let Ok(Some(frame)) = file.next_frame() {
        pipeline.push(&frame, &mut events);
        take(&mut events);
    }
    pipeline.finish(&mut events);
    take(&mut events);
    Ok(())
}

/// The `number`th event of a network of `devices` stations: of ten, three sightings, four flows,
/// and one observation each of TLS, DHCP and DICOM. The events of one turn of all devices name each of them once.
#[must_use]
pub fn mixed(number: u64, devices: u64, at: Timestamp) -> Event {
    let station = number % devices;
    // Another kind for the same station at each turn.
    let kind = (station + number / devices) % 10;
    event_of(station, kind, number, at)
}

/// An event of one kind of ten of a station below 2^24, with `number` in its counters.
#[must_use]
pub fn event_of(station: u64, kind: u64, number: u64, at: Timestamp) -> Event {
    let [.., a, b, c] = station.to_be_bytes();
    let ip = |last: u8| IpAddr::V4(Ipv4Addr::new(10, a.wrapping_add(last), b, c));
    let mac = MacAddress([0x00, 0x09, 0xfb, a, b, c]);
    let event = Event {
        observed_at: at,
        kind: EventKind::Sighting,
        interface: 0,
        device: Party { mac: Some(mac), ip: Some(ip(0)), vlan: None },
        peer: None,
        service: None,
        attributes: Vec::new(),
        counters: vec![count("packets", number), count("bytes", number * 100)],
    };
    let peer =
        Peer { mac: Some(MacAddress([0, 0x50, 0x56, 0, 0, 1])), ip: Some(ip(99)), port: None };
    match kind {
        0..3 => event,
        3..7 => Event {
            kind: EventKind::Flow,
            peer: Some(Peer { port: Some(443), ..peer }),
            service: Some(service(443, "tls")),
            counters: vec![
                count("packets", 12 + number % 900),
                count("bytes", number * 64),
                count("peer_packets", 14 + number % 700),
                count("peer_bytes", number * 812),
                count("duration_ms", number % 60_000),
            ],
            ..event
        },
        7 => Event {
            kind: EventKind::Observation,
            peer: Some(Peer { port: Some(443), ..peer }),
            service: Some(service(443, "tls")),
            attributes: tls(number),
            counters: Vec::new(),
            ..event
        },
        8 => Event {
            kind: EventKind::Observation,
            service: Some(Service { transport: Transport::Udp, ..service(67, "dhcp") }),
            attributes: vec![
                said("dhcp.hostname", format!("ward-{station}")),
                said("dhcp.vendor_class", "MSFT 5.0".to_owned()),
                said("dhcp.param_list", "1,3,6,15,31,33,43,44,46,47,119,121,249,252".to_owned()),
            ],
            counters: Vec::new(),
            ..event
        },
        _ => Event {
            kind: EventKind::Observation,
            peer: Some(Peer { port: Some(104), ..peer }),
            service: Some(service(104, "dicom")),
            attributes: vec![
                said("dicom.role", "scu".to_owned()),
                said("dicom.calling_ae", format!("CT_{station}")),
                said("dicom.called_ae", "PACS".to_owned()),
                Attribute { key: "dicom.abstract_syntax".into(), values: syntaxes() },
                said("dicom.implementation_class_uid", "1.2.276.0.7230010.3.0.3.6.7".to_owned()),
                said("dicom.implementation_version", "OFFIS_DCMTK_367".to_owned()),
            ],
            counters: Vec::new(),
            ..event
        },
    }
}

fn tls(number: u64) -> Vec<Attribute> {
    vec![
        said("tls.sni", format!("records-{}.st-jude.example.org", number % 97)),
        said("tls.alpn", "h2".to_owned()),
        said("tls.version", "1.3".to_owned()),
        said("tls.ja4", format!("t13d1516h2_8daaf6152771_{number:012x}")),
    ]
}

/// CT Image Storage and what goes with it (PS3.4, annex B).
fn syntaxes() -> Vec<String> {
    ["2", "7", "88.67"].map(|end| format!("1.2.840.10008.5.1.4.1.1.{end}")).into()
}

fn service(port: u16, protocol: &'static str) -> Service {
    Service { transport: Transport::Tcp, port: Some(port), protocol: Some(protocol.into()) }
}

fn count(key: &'static str, value: u64) -> Counter {
    Counter { key: key.into(), value }
}

fn said(key: &'static str, value: String) -> Attribute {
    Attribute { key: key.into(), values: vec![value] }
}
