//! Whose an event is, and what a device remembers.

use wardmesh_common::event::{Counter, Event, EventKind, Party};
use wardmesh_common::net::MacAddress;

use super::super::command::Action;
use super::super::evidence::Field;
use super::super::testkit::*;

const PUMP: &str = "00:03:b1:00:00:01";

#[test]
fn one_device_for_the_whole_fleet_with_the_earliest_sight() {
    let mut fleet = Fleet::at(&["east", "west"]);
    let (mut east, mut west) = (fleet.feed(1), fleet.feed(2));
    fleet.hear(&mut west, &[sighting(PUMP, 50_000)]);
    let known_at = fleet.device(PUMP).known_at;
    fleet.now = at(90_000);
    fleet.hear(&mut east, &[from_ip(sighting(PUMP, 10), [10, 0, 0, 1])]);
    let device = fleet.device(PUMP);
    assert_eq!((device.first_seen, device.first_site.as_str()), (at(10), "east"));
    assert_eq!((device.first_sensor, device.last_seen), (sensor(1), at(50_000)));
    assert_eq!(device.known_at, known_at, "decided once");
    let vendor = device.vendor().unwrap();
    assert_eq!((vendor.source.as_str(), vendor.weight), ("link.oui_vendor", 300));
    assert_eq!(device.class(), None, "an address block decides no class");
    let sites: Vec<_> = fleet.state.sites(&tenant()).map(|s| (s.devices, s.events)).collect();
    assert_eq!(sites, [(1, 1), (1, 1)]);
    assert_eq!(fleet.state.devices_by_ip(&tenant(), [10, 0, 0, 1].into()).count(), 1);
    assert_eq!(fleet.state.devices_at(&tenant(), &site("east")).count(), 1);
}

/// Looked up again by the whole name, of which the registry keeps a part.
#[test]
fn a_long_interface_name_is_found_again() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    feed.interface = "x".repeat(super::super::sensors::TEXT_LENGTH_MAX + 40);
    let party = Party { mac: None, ip: Some([10, 0, 0, 1].into()), vlan: None };
    let bytes = feed.batch(&[Event { device: party, ..sighting(PUMP, 1) }]);
    let submission = feed.submission(bytes);
    let applied = fleet.apply(Action::Ingest(vec![submission]));
    assert_eq!(applied.batches[0].devices, [fleet.devices()[0].id]);
}

#[test]
fn addresses_without_a_station_hold_on_their_segment_only() {
    let mut fleet = Fleet::at(&["east", "west"]);
    let party = |mac: Option<MacAddress>, vlan| Event {
        device: Party { mac, ip: Some([10, 0, 0, 1].into()), vlan },
        ..sighting(PUMP, 1)
    };
    let mut feeds = [fleet.feed(1), fleet.feed(2)];
    for feed in &mut feeds {
        let events = [party(None, None), party(None, Some(7)), party(None, None)];
        fleet.hear(feed, &events);
    }
    assert_eq!(fleet.devices().len(), 4);
    let nobody = [
        Event { device: Party::default(), ..sighting(PUMP, 1) },
        Event {
            device: Party { mac: Some(MacAddress::BROADCAST), ip: None, vlan: None },
            ..sighting(PUMP, 1)
        },
        Event {
            device: Party { mac: None, ip: Some([224, 0, 0, 1].into()), vlan: None },
            ..sighting(PUMP, 1)
        },
    ];
    fleet.hear(&mut feeds[0], &nobody);
    assert_eq!(fleet.devices().len(), 4);
    assert_eq!(fleet.state.sensor(sensor(1)).unwrap().unattributed, 3);
}

#[test]
fn local_stations_hold_on_their_vlan() {
    let mut fleet = Fleet::at(&["east", "west"]);
    let phone = "02:00:00:00:00:01";
    for number in [1, 2] {
        let mut feed = fleet.feed(number);
        let mut tagged = sighting(phone, 2);
        tagged.device.vlan = Some(9);
        fleet.hear(&mut feed, &[sighting(phone, 1), tagged]);
    }
    let devices = fleet.state.devices_by_mac(&tenant(), mac(phone));
    assert_eq!(devices.len(), 4);
    assert!(fleet.findings().is_empty());
}

#[test]
fn a_router_keeps_its_own_addresses_only() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let router = "00:00:0c:00:00:01";
    let mut events = vec![from_ip(says(router, 0, &["arp.ip=10.0.0.254"]), [10, 0, 0, 254])];
    events.extend((0..40).map(|n| {
        let guest = says(router, n, &["dhcp.hostname=r", "hl7.sending_application=LAB"]);
        from_ip(guest, [10, 9, 0, n as u8])
    }));
    fleet.hear(&mut feed, &events);
    let device = fleet.device(router);
    assert!(device.router);
    assert_eq!(device.ips.len(), 1);
    assert_eq!(device.class().unwrap().value, "router");
    assert!(device.values(Field::Application).is_empty(), "its guests' words are not its own");
    assert!(device.services.is_empty());
    assert_eq!(device.hostnames(), ["r"]);
    // 32 addresses fit (one is its own), the next makes it a router, the rest have devices.
    assert_eq!(fleet.devices().len(), 1 + 8);
    let guest = fleet.state.devices_by_ip(&tenant(), [10, 9, 0, 39].into()).next().unwrap();
    assert_eq!((guest.identity.kind(), guest.values(Field::Application)), ("address", vec!["LAB"]));
    let mut slow = Fleet::at(&["east"]);
    let mut feed = slow.feed(1);
    let leases = (0..40).map(|n| from_ip(sighting(PUMP, n * 2_000), [10, 9, 0, n as u8]));
    slow.hear(&mut feed, &leases.collect::<Vec<_>>());
    assert!(!slow.device(PUMP).router, "forty leases in a day are a device's");
    assert_eq!(slow.device(PUMP).ips.len(), 32);
    assert!(slow.device(PUMP).has_ip([10, 9, 0, 39].into()));
    assert!(!slow.device(PUMP).has_ip([10, 9, 0, 0].into()));
}

#[test]
fn clocks_are_corrected_and_the_future_is_clamped() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let frame = feed.batch(&[sighting(PUMP, 100)]);
    let mut late = feed.submission(frame);
    late.clock_offset = -40_000_000_000;
    fleet.apply(super::super::command::Action::Ingest(vec![late]));
    assert_eq!(fleet.device(PUMP).first_seen, at(60));
    assert_eq!(fleet.state.sensor(sensor(1)).unwrap().clock_offset, -40_000_000_000);
    fleet.hear(&mut feed, &[sighting(PUMP, 86_400 + 301)]);
    let visits = &fleet.device(PUMP).sites[0].visits;
    assert_eq!(visits.len(), 1, "what is suspect opens no visit");
    fleet.hear(&mut feed, &[sighting(PUMP, 86_400 + 300)]);
    let device = fleet.device(PUMP);
    assert!(device.time_suspect);
    assert_eq!(device.last_seen, at(86_700));
    assert_eq!(device.sites[0].visits.len(), 2);
    assert_eq!(fleet.state.sensor(sensor(1)).unwrap().time_suspects, 1);
}

#[test]
fn flows_and_health_are_counted_where_they_belong() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let counted = |kind, counters: &[(&str, u64)]| Event {
        kind,
        counters: counters
            .iter()
            .map(|&(key, value)| Counter { key: key.to_owned().into(), value })
            .collect(),
        ..sighting(PUMP, 1)
    };
    let health = [("frames", 9), ("dropped.kernel", 2), ("malformed.dns.loop", 3)];
    let events = [
        counted(EventKind::Sighting, &[("packets", 100), ("bytes", 100)]),
        counted(EventKind::Flow, &[("packets", 5), ("bytes", 700), ("peer_bytes", 9)]),
        counted(EventKind::Health, &health),
        counted(EventKind::Health, &health),
    ];
    fleet.hear(&mut feed, &events);
    let device = fleet.device(PUMP);
    assert_eq!((device.packets, device.bytes, device.events), (5, 700, 2));
    let known = fleet.state.sensor(sensor(1)).unwrap();
    assert_eq!((known.health["frames"], known.dropped(), known.malformed()), (18, 4, 6));
}

#[test]
fn effects_name_the_batch_and_its_devices() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let other = "00:03:b1:00:00:02";
    let frame = feed.batch(&[sighting(PUMP, 5), sighting(other, 3), sighting(PUMP, 9)]);
    let twice = vec![feed.submission(frame.clone()), feed.submission(frame)];
    let effects = fleet.apply(super::super::command::Action::Ingest(twice));
    assert_eq!(effects.batches.len(), 1);
    let batch = &effects.batches[0];
    assert_eq!((batch.ordinal, batch.seq, batch.events), (0, 1, 3));
    assert_eq!((batch.observed_min, batch.observed_max), (at(3), at(9)));
    let mut ids = [fleet.device(PUMP).id, fleet.device(other).id];
    ids.sort();
    assert_eq!(batch.devices, ids);
}

#[test]
fn pages_go_on_after_an_id() {
    let mut fleet = Fleet::at(&["east"]);
    let mut feed = fleet.feed(1);
    let events: Vec<_> = (0..50).map(|n| sighting(&format!("00:03:b1:00:00:{n:02x}"), n)).collect();
    fleet.hear(&mut feed, &events);
    let all: Vec<_> = fleet.devices().iter().map(|device| device.id).collect();
    assert!(all.is_sorted());
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page: Vec<_> =
            fleet.state.devices(&tenant(), after).take(7).map(|device| device.id).collect();
        let Some(last) = page.last() else { break };
        after = Some(*last);
        paged.extend(page);
    }
    assert_eq!((paged.len(), paged), (50, all));
}
