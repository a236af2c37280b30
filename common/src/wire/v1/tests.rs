//! The batch archive: its bytes are frozen, and what goes in comes out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use super::*;
use crate::event::{self, EventKind};
use crate::golden;
use crate::id::SensorId;
use crate::net::{self, MacAddress};
use crate::time::Timestamp;

fn full() -> event::Event {
    event::Event {
        observed_at: Timestamp::from_nanos(1_767_600_000_000_000_001),
        kind: EventKind::Observation,
        interface: 1,
        device: event::Party {
            mac: Some(MacAddress([0, 9, 0xfb, 1, 2, 3])),
            ip: Some([10, 20, 0, 7].into()),
            vlan: Some(30),
        },
        peer: Some(event::Peer {
            mac: Some(MacAddress([0, 0x60, 0x19, 4, 5, 6])),
            ip: Some([0xfe80, 0, 0, 0, 0, 0, 0, 1].into()),
            port: Some(104),
        }),
        service: Some(event::Service {
            transport: net::Transport::Tcp,
            port: Some(104),
            protocol: Some("dicom".into()),
        }),
        attributes: vec![event::Attribute {
            key: "dicom.abstract_syntax".into(),
            values: vec!["1.2.840.10008.1.1".into(), "1.2.840.10008.5.1.4.1.1.2".into()],
        }],
        counters: vec![event::Counter { key: "packets".into(), value: 3 }],
    }
}

fn events() -> Vec<event::Event> {
    let kinds = EventKind::ALL.into_iter();
    let transports = [
        net::Transport::Link,
        net::Transport::Udp,
        net::Transport::Icmp,
        net::Transport::Other(47),
    ];
    let bare = kinds.zip(transports).map(|(kind, transport)| event::Event {
        kind,
        interface: 0,
        device: event::Party::default(),
        peer: None,
        service: Some(event::Service { transport, port: None, protocol: None }),
        attributes: Vec::new(),
        counters: Vec::new(),
        ..full()
    });
    std::iter::once(full()).chain(bare).collect()
}

fn archive() -> (Vec<u8>, u32) {
    let interfaces = ["eth0".to_owned(), "eth1".to_owned()];
    let mut builder = BatchBuilder::new(SensorId([0xa5; 16]), &interfaces);
    events().iter().for_each(|event| builder.push(event));
    builder.finish().unwrap()
}

#[test]
fn what_goes_in_comes_out() {
    let (bytes, count) = archive();
    let batch = open(&bytes, count).unwrap();
    let read: Vec<_> = (0..).map_while(|position| batch.event(position)).collect();
    assert_eq!(read, events());
    assert_eq!(batch.interface(&batch.events[0]), "eth1");
}

#[test]
fn the_archive_is_frozen() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/batch-v1.hex");
    golden::check(&path, &[("batch", &archive().0)]);
}

#[test]
fn hostile_archives_are_refused() {
    let (bytes, count) = archive();
    assert_eq!(open(&bytes, count + 1).err(), Some(NotABatch::Count { actual: 5, expected: 6 }));
    for length in 0..bytes.len() {
        // Cut at the front: the root of an archive is at its end.
        assert!(open(&bytes[bytes.len() - length..], count).is_err(), "{length}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // Many flips give another sound batch: what matters is that reading it never panics.
        if let Ok(batch) = open(&flipped, count) {
            (0..).map_while(|position| batch.event(position)).for_each(drop);
        }
    }
}
