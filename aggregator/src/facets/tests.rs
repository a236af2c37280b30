//! Facets against a look at every device.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::state::command::Action;
use crate::state::testkit::{Dice, Feed, Fleet, from_ip, says, sighting, site, tenant};

/// Lets a sensor say something of a station and notes what was touched.
fn hear(fleet: &mut Fleet, feed: &mut Feed, facets: &Facets, station: u64, dice: &mut Dice) {
    let (mac, at) = (format!("00:09:fb:00:00:{station:02x}"), 10 + dice.roll(1_000));
    let event = match dice.roll(4) {
        0 => says(&mac, at, &["dhcp.vendor_class=JetDirect printer"]),
        1 => says(&mac, at, &["dhcp.hostname=ward"]),
        _ => sighting(&mac, at),
    };
    let event = from_ip(event, [10, 0, 0, dice.roll(40) as u8]);
    let frame = feed.batch(&[event]);
    let effects = fleet.apply(Action::Ingest(vec![feed.submission(frame)]));
    facets.touch(&effects.refaceted);
}

#[track_caller]
fn check(fleet: &Fleet, facets: &Facets, groups: &[Vec<Facet>]) {
    let (state, tenant) = (&fleet.state, tenant());
    while !facets.refresh(state) {}
    let has = |device: &Device, facet: &Facet| match facet {
        Facet::Site(site) => device.is_at(site),
        Facet::Class(class) => device.class().is_some_and(|known| known.value == *class),
        Facet::Vendor(vendor) => device.vendor().is_some_and(|known| known.value == *vendor),
        Facet::Ip(ip) => device.has_ip(*ip),
        Facet::Mac(mac) => device.mac() == Some(*mac),
    };
    let matches =
        |device: &Device| groups.iter().all(|group| group.iter().any(|facet| has(device, facet)));
    let scanned: Vec<DeviceId> = state
        .devices(&tenant, None)
        .filter(|device| matches(device))
        .map(|device| device.id)
        .collect();
    for after in [None, scanned.first().copied(), scanned.last().copied()] {
        let found: Vec<DeviceId> = facets
            .narrowed(state, &tenant, groups, after)
            .expect("an index that is complete")
            .filter(|id| state.device(&tenant, *id).is_some_and(matches))
            .collect();
        let expected: Vec<_> = scanned.iter().copied().filter(|id| Some(*id) > after).collect();
        assert_eq!(found, expected, "{groups:?} after {after:?}");
    }
}

fn check_all(fleet: &Fleet, facets: &Facets) {
    let class = |name: &str| vec![Facet::Class(name.to_owned())];
    let sites = vec![Facet::Site(site("north")), Facet::Site(site("south"))];
    check(fleet, facets, &[class("printer")]);
    check(fleet, facets, &[class("no-such-class")]);
    check(fleet, facets, std::slice::from_ref(&sites));
    check(fleet, facets, &[vec![Facet::Site(site("south"))], class("printer")]);
    check(fleet, facets, &[vec![Facet::Vendor("nobody".to_owned())]]);
    check(fleet, facets, &[vec![Facet::Mac(MacAddress([0, 9, 0xfb, 0, 0, 5]))], sites]);
    for last in 0..40 {
        check(fleet, facets, &[vec![Facet::Ip([10, 0, 0, last].into())]]);
    }
}

#[test]
fn finds_what_a_look_at_every_device_finds() {
    let mut fleet = Fleet::at(&["north", "south"]);
    let (facets, mut dice) = (Facets::default(), Dice::new(3));
    let mut feeds = [1, 2].map(|number| fleet.feed(number));
    for round in 0..30 {
        for _ in 0..20 {
            let feed = &mut feeds[dice.roll(2) as usize];
            let station = dice.roll(30);
            hear(&mut fleet, feed, &facets, station, &mut dice);
        }
        if round % 10 == 9 {
            check_all(&fleet, &facets);
        }
    }
    // Another state takes its place: nothing is left of the old one.
    let fresh = Fleet::at(&["north", "south"]);
    facets.reset();
    check_all(&fresh, &facets);
    facets.reset();
    check_all(&fleet, &facets);
}

#[test]
fn an_index_that_is_not_complete_serves_nobody() {
    let mut fleet = Fleet::at(&["north"]);
    let (facets, mut dice, mut feed) = (Facets::default(), Dice::new(4), fleet.feed(1));
    hear(&mut fleet, &mut feed, &facets, 1, &mut dice);
    let all = [vec![Facet::Site(site("north"))]];
    // One device is less than a step.
    assert!(facets.narrowed(&fleet.state, &tenant(), &all, None).is_some());
    *facets.index.write() =
        Index { building: Building::Through(tenant(), fleet.devices()[0].id), ..Index::default() };
    assert!(facets.narrowed(&fleet.state, &tenant(), &[], None).is_none(), "no filter, no index");
    assert!(facets.refresh(&fleet.state));
}

#[test]
fn words_are_found_in_any_case() {
    let mut fleet = Fleet::at(&["north"]);
    let (facets, mut feed) = (Facets::default(), fleet.feed(1));
    let said = says("00:09:fb:00:00:01", 5, &["dhcp.vendor_class=JetDirect printer"]);
    fleet.hear(&mut feed, &[said]);
    let wanted = [vec![Facet::Class("PRINTER".to_owned())]];
    let found = facets.narrowed(&fleet.state, &tenant(), &wanted, None).unwrap().count();
    assert_eq!(found, 1);
}

#[test]
fn what_nothing_is_any_more_costs_no_look() {
    let mut fleet = Fleet::at(&["north"]);
    let (facets, mut feed, mac) = (Facets::default(), fleet.feed(1), "00:09:fb:00:00:01");
    let printer = [vec![Facet::Class("printer".to_owned())]];
    let mut hear = |fleet: &mut Fleet, said: &[&str]| {
        let frame = feed.batch(&[says(mac, 5, said)]);
        let effects = fleet.apply(Action::Ingest(vec![feed.submission(frame)]));
        facets.touch(&effects.refaceted);
        let class = fleet.device(mac).class().map(|class| class.value.clone());
        let candidates = facets.narrowed(&fleet.state, &tenant(), &printer, None).unwrap().count();
        (class.as_deref() == Some("printer"), candidates)
    };
    assert_eq!(hear(&mut fleet, &["dhcp.vendor_class=JetDirect printer"]), (true, 1));
    // What it says over DICOM weighs more.
    let scanner = ["dicom.role=scu", "dicom.abstract_syntax=1.2.840.10008.5.1.4.1.1.2"];
    assert_eq!(hear(&mut fleet, &scanner), (false, 0));
    let index = facets.index.read();
    assert_eq!(index.sets.count(&index.sets.numbers(&tenant(), &printer[0])), 0);
}

#[test]
fn too_much_to_note_counts_as_everything() {
    let mut fleet = Fleet::at(&["north"]);
    let (facets, mut dice, mut feed) = (Facets::default(), Dice::new(5), fleet.feed(1));
    for station in 0..20 {
        hear(&mut fleet, &mut feed, &facets, station, &mut dice);
    }
    let other = |id| (tenant(), DeviceId(wardmesh_common::id::MintedId(id)));
    facets.touched.lock().devices.extend((0..TOUCHED_MAX as u128).map(other));
    hear(&mut fleet, &mut feed, &facets, 21, &mut dice);
    assert!(facets.touched.lock().all);
    check_all(&fleet, &facets);
}
