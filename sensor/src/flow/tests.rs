//! A toy protocol and hand-made packets for the tests of flows and of the pipeline.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

use wardmesh_common::event::{Event, EventKind};
use wardmesh_common::net::MacAddress;
use wardmesh_common::random::SplitMix64;
use wardmesh_common::time::Timestamp;

use super::*;
use crate::decode::{Body, Segment, TcpFlags};
use crate::dissect::{Dissector, Observation, Observations, Payload, Probe, Progress};
use crate::tally::{Counted, Tally};

mod reading;
mod reassembly;
mod table;

pub(crate) const KEY: HashKey = HashKey([3; 16]);
pub(crate) const CLIENT: (u8, u16) = (1, 40_000);
pub(crate) const SERVER: (u8, u16) = (2, 104);

/// `T`, a kind, a big-endian u16 length, and as many bytes.
///
/// Kinds: `O` is reported once whole; `S` is skipped unread; `M` is malformed; `Z` consumes nothing;
/// `L` runs to a line feed and never knows how much it needs; `H` needs half a MiB.
#[derive(Default)]
pub(crate) struct Toy {
    pub(crate) calls: AtomicUsize,
    pub(crate) scanned: AtomicUsize,
}

impl Toy {
    pub(crate) fn leaked() -> &'static Self {
        Box::leak(Box::default())
    }

    pub(crate) fn dissectors(&'static self) -> Dissectors {
        Box::leak(Box::new([self as &'static dyn Dissector]))
    }
}

impl Dissector for Toy {
    fn protocol(&self) -> &'static str {
        "toy"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        match payload.bytes {
            [b'T', b'O' | b'S' | b'M' | b'Z' | b'L' | b'H', ..] => Probe::Yes,
            [b'T'] => Probe::Unsure,
            _ => Probe::No,
        }
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.scanned.fetch_add(payload.bytes.len(), Ordering::Relaxed);
        let [b'T', kind, high, low, rest @ ..] = payload.bytes else {
            let malformed = payload.bytes.first() != Some(&b'T');
            return if malformed {
                Progress::Malformed { at: 0, reason: "no_toy" }
            } else {
                Progress::NeedMore(4)
            };
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let text = match kind {
            b'M' => return Progress::Malformed { at: 1, reason: "kind" },
            b'Z' => return Progress::Consumed(0),
            b'S' => return Progress::Consumed(4 + length),
            b'H' => return Progress::NeedMore(512 * 1024),
            b'L' => match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => &rest[..=end],
                None => return Progress::NeedMore(payload.bytes.len() + 1),
            },
            _ => match rest.get(..length) {
                Some(text) => text,
                None => return Progress::NeedMore(4 + length),
            },
        };
        let mut observation = Observation::default();
        observation.say("toy.text", String::from_utf8_lossy(text));
        found.0.push(observation);
        Progress::Consumed(4 + text.len())
    }
}

/// One toy message.
pub(crate) fn toy(kind: u8, text: &str) -> Vec<u8> {
    let mut bytes = vec![b'T', kind];
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Numbers that a seed repeats.
pub(crate) struct Numbers(SplitMix64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.roll(end as u64) as usize
    }
}

pub(crate) fn flags(text: &str) -> TcpFlags {
    let has = |letter| text.contains(letter);
    TcpFlags { fin: has('F'), syn: has('S'), rst: has('R'), ack: has('A') }
}

pub(crate) fn address(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, host))
}

pub(crate) fn mac(host: u8) -> MacAddress {
    MacAddress([0, 9, 0xfb, 0, 0, host])
}

/// A packet between two hosts, 54 bytes of headers included in its length on the wire.
pub(crate) fn packet<'a>(
    at: Timestamp,
    (from, to): (u8, u8),
    length: usize,
    segment: Segment<'a>,
) -> Packet<'a> {
    let ip = Ip { source: address(from), destination: address(to), ttl: 64, segment };
    Packet {
        at,
        interface: 0,
        source: Some(mac(from)),
        destination: Some(mac(to)),
        vlan: None,
        wire_length: (54 + length) as u32,
        body: Body::Ip(ip),
    }
}

/// A table with what came out of it.
pub(crate) struct Table {
    pub(crate) table: FlowTable,
    pub(crate) tally: Tally,
    pub(crate) events: Vec<Event>,
    pub(crate) now: Timestamp,
    pub(crate) toy: &'static Toy,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let toy = Toy::leaked();
        Self {
            table: FlowTable::new(toy.dissectors(), KEY, limits),
            tally: Tally::default(),
            events: Vec::new(),
            now: Timestamp::from_parts(1_000, 0),
            toy,
        }
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(std::time::Duration::from_secs(seconds));
    }

    pub(crate) fn push(&mut self, packet: &Packet<'_>) {
        let Body::Ip(ip) = &packet.body else { panic!("no IP") };
        let mut sink = Sink { events: &mut self.events, tally: &mut self.tally };
        self.table.advance(packet, ip, self.now, &mut sink);
    }

    pub(crate) fn tcp(
        &mut self,
        (from, to): ((u8, u16), (u8, u16)),
        marks: &str,
        sequence: u32,
        payload: &[u8],
    ) {
        self.tcp_cut((from, to), marks, sequence, payload, payload.len());
    }

    pub(crate) fn tcp_cut(
        &mut self,
        (from, to): ((u8, u16), (u8, u16)),
        marks: &str,
        sequence: u32,
        payload: &[u8],
        length: usize,
    ) {
        let segment = Segment::Tcp {
            source: from.1,
            destination: to.1,
            sequence,
            flags: flags(marks),
            payload,
            wire_length: length as u32,
        };
        self.push(&packet(self.now, (from.0, to.0), length, segment));
    }

    pub(crate) fn udp(&mut self, from: (u8, u16), to: (u8, u16), payload: &[u8]) {
        let segment = Segment::Udp { source: from.1, destination: to.1, payload };
        self.push(&packet(self.now, (from.0, to.0), payload.len(), segment));
    }

    pub(crate) fn finish(&mut self) {
        self.table.finish(&mut Sink { events: &mut self.events, tally: &mut self.tally });
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let said = self.events.iter().filter(|event| event.kind == EventKind::Observation);
        said.flat_map(|event| event.values("toy.text").to_vec()).collect()
    }

    pub(crate) fn flows(&self) -> Vec<&Event> {
        self.events.iter().filter(|event| event.kind == EventKind::Flow).collect()
    }

    pub(crate) fn dropped(&self, what: &'static str) -> u64 {
        self.tally.total(Counted::Dropped(what))
    }

    pub(crate) fn malformed(&self, reason: &'static str) -> u64 {
        let malformed = crate::decode::Malformed { protocol: "toy", reason };
        self.tally.total(Counted::Malformed(malformed))
    }
}
