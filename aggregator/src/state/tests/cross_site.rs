//! The same identity at two facilities: when it fires, when it just does not, and in any order.

use wardmesh_common::event::Event;

use super::super::testkit::*;
use crate::correlate::RULES;

const PUMP: &str = "00:03:b1:00:00:01";

/// The rule's name after these sights `(sensor, seconds)`, a batch each, in this order.
fn rule(station: &str, sights: &[(u8, u64)]) -> Option<String> {
    let mut fleet = Fleet::at(&["east", "west", "north", "south"]);
    let mut feeds: Vec<_> = (1..=4).map(|number| fleet.feed(number)).collect();
    for &(number, seconds) in sights {
        fleet.hear(&mut feeds[usize::from(number) - 1], &[sighting(station, seconds)]);
    }
    let findings = fleet.findings();
    assert!(findings.len() <= 1, "one row a cause");
    let rule = findings.first().map(|finding| finding.rule.clone());
    let mut names = RULES.iter().flat_map(|rule| rule.names());
    assert!(rule.iter().all(|rule| names.any(|name| name == rule)), "{rule:?}");
    rule
}

#[track_caller]
fn check(sights: &[(u8, u64)], expected: Option<&str>) {
    assert_eq!(rule(PUMP, sights).as_deref(), expected, "{sights:?}");
}

#[test]
fn classifies_by_visits() {
    let (moved, concurrent) = (Some("identity-moved"), Some("identity-concurrent"));
    check(&[(1, 0), (1, 100)], None);
    check(&[(1, 0), (2, 7_200)], moved);
    check(&[(1, 0), (2, 7_200), (1, 14_400)], moved);
    check(&[(1, 0), (2, 60), (1, 120)], concurrent);
    check(&[(1, 0), (1, 600), (2, 300)], concurrent);
    // Overlaps of the clocks' error and of a second more.
    check(&[(1, 0), (1, 600), (2, 595), (2, 1_200)], moved);
    check(&[(1, 0), (1, 600), (2, 594), (2, 1_200)], concurrent);
    // A silence of a quarter hour is within a visit, a second more ends it.
    check(&[(1, 0), (1, 900), (2, 450)], concurrent);
    check(&[(1, 0), (1, 901), (2, 450)], moved);
}

#[test]
fn addresses_of_many_devices_are_duplicates() {
    let duplicate = Some("identity-vendor-duplicate");
    check(&[(1, 0), (2, 60), (3, 120)], Some("identity-moved"));
    check(&[(1, 0), (2, 60), (3, 120), (4, 180)], duplicate);
    let known = [(1, 0), (2, 7_200)];
    assert_eq!(rule("00:11:22:33:44:55", &known).as_deref(), duplicate);
    assert_eq!(rule("00:11:22:33:44:56", &known).as_deref(), Some("identity-moved"));
    assert_eq!(rule("02:00:00:00:00:01", &known), None, "local addresses join nothing");
}

#[test]
fn later_evidence_changes_the_verdict_and_keeps_the_row() {
    let mut fleet = Fleet::at(&["east", "west"]);
    let (mut east, mut west) = (fleet.feed(1), fleet.feed(2));
    fleet.hear(&mut east, &[sighting(PUMP, 0)]);
    fleet.hear(&mut west, &[sighting(PUMP, 60)]);
    let first = fleet.findings()[0].clone();
    assert_eq!(first.rule, "identity-moved");
    fleet.now = at(90_000);
    fleet.hear(&mut east, &[sighting(PUMP, 120)]);
    let second = fleet.findings()[0].clone();
    assert_eq!((second.rule.as_str(), second.id), ("identity-concurrent", first.id));
    assert_eq!((second.raised_at, second.changed_at), (first.raised_at, at(90_000)));
    assert_eq!(second.sites, [site("east"), site("west")]);
    assert_eq!(second.devices, [fleet.device(PUMP).id]);
    assert_eq!((second.evidence.len(), second.count), (2, 2));
    assert_eq!((second.first_seen, second.last_seen), (at(0), at(120)));
    assert_eq!(second.severity, super::super::findings::Severity::High);
}

/// Batches of two sensors in every order that keeps each sensor's own.
#[test]
fn the_order_of_the_batches_plays_no_part() {
    let east: [&[u64]; 3] = [&[0, 400], &[3_000, 3_100], &[9_000]];
    let west: [&[u64]; 3] = [&[1_500], &[3_099, 3_700], &[20_000]];
    let mut seen = None;
    for order in 0..1_u32 << 6 {
        if order.count_ones() != 3 {
            continue;
        }
        let mut fleet = Fleet::at(&["east", "west"]);
        let mut feeds = [(fleet.feed(1), east.iter()), (fleet.feed(2), west.iter())];
        for turn in 0..6 {
            let (feed, batches) = &mut feeds[usize::from(order >> turn & 1 == 1)];
            let times = batches.next().unwrap();
            let events: Vec<Event> = times.iter().map(|&t| sighting(PUMP, t)).collect();
            fleet.hear(feed, &events);
        }
        let device = fleet.device(PUMP);
        let mut stays: Vec<_> = device
            .sites
            .iter()
            .map(|p| (p.site.clone(), p.first_seen, p.last_seen, p.visits.clone(), p.events))
            .collect();
        stays.sort();
        let finding = fleet.findings()[0];
        let outcome = (
            (stays, device.first_seen, device.first_site.clone(), device.last_seen, device.events),
            (finding.rule.clone(), finding.title.clone(), finding.sites.clone(), finding.count),
            (finding.first_seen, finding.last_seen, finding.detail.clone()),
        );
        assert_eq!(*seen.get_or_insert_with(|| outcome.clone()), outcome, "order {order:06b}");
    }
    assert!(seen.is_some());
}

#[test]
fn tenants_are_never_joined() {
    use super::super::command::{Action, DefineSite, Enrol, OpenEpoch};
    use super::super::receipt::Receipt;
    let mut fleet = Fleet::at(&["east"]);
    let other: wardmesh_common::id::TenantId = "other".parse().unwrap();
    let (tenant, name) = (other.clone(), "theirs".to_owned());
    fleet.apply(Action::DefineSite(DefineSite { tenant, site: site("east"), title: name.clone() }));
    let (tenant, sensor) = (other.clone(), sensor(2));
    fleet.apply(Action::Enrol(Enrol { sensor, tenant, site: site("east"), name }));
    assert!(matches!(fleet.open(2, 2, &[]), Receipt::Refused(_)), "another tenant's certificate");
    let (tenant, version) = (other.clone(), "1".to_owned());
    let open = OpenEpoch {
        sensor,
        tenant,
        epoch: 2,
        held: vec![],
        lane: wardmesh_common::wire::Lane::Bulk,
        tails: vec![],
        remote: String::new(),
        version,
    };
    fleet.apply(Action::OpenEpoch(open));
    for number in [1, 2] {
        let mut feed = fleet.feed(number);
        fleet.hear(&mut feed, &[sighting(PUMP, 1)]);
    }
    assert_eq!(fleet.devices().len(), 1);
    assert_eq!(fleet.state.devices(&other, None).count(), 1);
    let id = fleet.device(PUMP).id;
    assert!(fleet.state.device(&other, id).is_none());
    assert!(fleet.findings().is_empty());
}
