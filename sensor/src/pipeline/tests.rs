//! Packets in, events out: sightings, health and order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr};

use wardmesh_common::event::{EventKind, Party};
use wardmesh_common::net::MacAddress;

use super::sighting::{ADDRESSES_PER_STATION_MAX, SIGHTING_INTERVAL};
use super::*;
use crate::decode::Segment;
use crate::dissect::{Dissector, Observation, Payload, Probe, Progress};
use crate::flow::tests::{KEY, Toy, address, mac, packet, toy};

/// Reads `A` and four bytes of IPv4 address as what the sender calls its own.
struct ToyArp;

impl Dissector for ToyArp {
    fn protocol(&self) -> &'static str {
        "toyarp"
    }

    fn probe(&self, payload: &Payload<'_>) -> Probe {
        if payload.carrier == Carrier::Link(0x0806) { Probe::Yes } else { Probe::No }
    }

    fn dissect(&self, payload: &Payload<'_>, found: &mut Observations) -> Progress {
        let [b'A', a, b, c, d] = payload.bytes else { return Progress::NeedMore(5) };
        let device_ip = Some(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d)));
        let mut observation = Observation { device_ip, ..Observation::default() };
        observation.say("arp.ip", "x");
        found.0.push(observation);
        Progress::Consumed(5)
    }
}

fn pipeline() -> Pipeline {
    let toy: &'static dyn Dissector = Toy::leaked();
    let dissectors = Box::leak(Box::new([&ToyArp as &'static dyn Dissector, toy]));
    Pipeline::new(dissectors, KEY, Limits::default())
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_parts(seconds, 0)
}

fn udp(payload: &[u8]) -> Segment<'_> {
    Segment::Udp { source: 5_000, destination: 5_001, payload }
}

fn arp(seconds: u64, host: u8, bytes: &[u8]) -> Packet<'_> {
    let mut frame = packet(at(seconds), (host, 0), 0, udp(&[]));
    frame.body = Body::Link { ethertype: 0x0806, bytes };
    frame.destination = Some(MacAddress::BROADCAST);
    frame
}

fn of(kind: EventKind, events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|event| event.kind == kind).collect()
}

#[test]
fn a_station_is_sighted_at_first_and_every_ten_minutes() {
    let (mut pipeline, mut events) = (pipeline(), Vec::new());
    let interval = SIGHTING_INTERVAL.as_secs();
    for seconds in [0, 1, interval - 1, interval, interval + 1, 3 * interval] {
        pipeline.push_packet(&packet(at(seconds), (1, 2), 46, udp(b"?")), &mut events);
    }
    let sightings: Vec<_> = of(EventKind::Sighting, &events)
        .iter()
        .map(|e| (e.observed_at, e.count("packets").unwrap(), e.count("bytes").unwrap()))
        .collect();
    let expected = [(at(0), 1, 100), (at(interval), 3, 300), (at(3 * interval), 2, 200)];
    assert_eq!(sightings, expected);
    assert_eq!(events[0].device, Party { mac: Some(mac(1)), ip: Some(address(1)), vlan: None });
}

#[test]
fn groups_and_the_unspecified_address_are_no_station() {
    let (mut pipeline, mut events) = (pipeline(), Vec::new());
    let mut group = packet(at(0), (1, 2), 0, udp(b"?"));
    group.source = Some(MacAddress([1, 0, 0x5e, 0, 0, 1]));
    pipeline.push_packet(&group, &mut events);
    assert_eq!(of(EventKind::Sighting, &events).len(), 0);
    let mut asking = packet(at(0), (1, 2), 0, udp(b"?"));
    if let Body::Ip(ip) = &mut asking.body {
        ip.source = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    }
    pipeline.push_packet(&asking, &mut events);
    assert_eq!(of(EventKind::Sighting, &events)[0].device.ip, None);
}

#[test]
fn an_arp_sender_is_sighted_under_what_it_says() {
    let (mut pipeline, mut events) = (pipeline(), Vec::new());
    pipeline.push_packet(&arp(0, 1, &[b'A', 10, 0, 0, 9]), &mut events);
    let kinds: Vec<_> = events.iter().map(|event| (event.kind, event.device.ip)).collect();
    let own = Some(address(9));
    assert_eq!(kinds, [(EventKind::Sighting, own), (EventKind::Observation, own)]);
    pipeline.push_packet(&arp(0, 2, b"A"), &mut events);
    assert_eq!(events[2].device, Party { mac: Some(mac(2)), ip: None, vlan: None });
    let malformed = crate::decode::Malformed { protocol: "toyarp", reason: "message_cut_short" };
    assert_eq!(pipeline.tally().total(Counted::Malformed(malformed)), 1);
}

#[test]
fn what_a_router_forwards_is_not_sighted_without_arp() {
    let (mut pipeline, mut events) = (pipeline(), Vec::new());
    for host in 1..=100 {
        let mut forwarded = packet(at(0), (host, 200), 0, udp(b"?"));
        forwarded.source = Some(mac(254));
        pipeline.push_packet(&forwarded, &mut events);
    }
    let max = ADDRESSES_PER_STATION_MAX as usize;
    assert_eq!(of(EventKind::Sighting, &events).len(), max);
    let dropped = pipeline.tally().total(Counted::Dropped("sighting.behind_router"));
    assert_eq!(dropped, 100 - max as u64);
    pipeline.push_packet(&arp(0, 254, &[b'A', 10, 0, 0, 254]), &mut events);
    assert_eq!(of(EventKind::Sighting, &events).len(), max + 1);
}

#[test]
fn health_counts_each_interval_once() {
    let (mut pipeline, mut events) = (pipeline(), Vec::new());
    for seconds in [10, 20, 69, 70, 75] {
        pipeline.push_packet(&packet(at(seconds), (1, 2), 46, udp(&toy(b'M', ""))), &mut events);
    }
    pipeline.finish(&mut events);
    let health: Vec<_> = of(EventKind::Health, &events)
        .iter()
        .map(|e| {
            (e.observed_at, e.count("frames"), e.count("bytes"), e.count("malformed.toy.kind"))
        })
        .collect();
    let expected = [(at(10), Some(3), Some(300), Some(3)), (at(70), Some(2), Some(200), Some(2))];
    assert_eq!(health, expected);
    assert_eq!(events.last().unwrap().device, Party::default());
}

#[test]
fn time_that_goes_back_is_taken_at_the_latest_seen() {
    let (mut pipeline, mut events) = (pipeline(), Vec::new());
    for seconds in [1_000, 10, 999, 1_001] {
        pipeline.push_packet(&packet(at(seconds), (1, 2), 46, udp(b"?")), &mut events);
    }
    pipeline.finish(&mut events);
    let flows = of(EventKind::Flow, &events);
    assert_eq!((flows.len(), flows[0].count("duration_ms")), (1, Some(1_000)));
    assert_eq!(pipeline.load(), (0, 0));
}

#[test]
fn a_quiet_network_is_reported_by_the_clock() {
    let (mut pipeline, mut events) = (pipeline(), Vec::new());
    pipeline.push_packet(&packet(at(0), (1, 2), 46, udp(b"?")), &mut events);
    pipeline.tick(at(59), &mut events);
    assert_eq!(events.len(), 1);
    pipeline.tick(at(60), &mut events);
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Sighting, EventKind::Flow, EventKind::Health]);
    assert_eq!(pipeline.load(), (0, 0));
}
