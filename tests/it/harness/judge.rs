//! Whether a cluster holds what its sensors promised: all of it, once, the same on every node.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use super::ledger::{Ledger, Place};
use super::{PROGRAM, Site, World};

/// The members of an event that the sensor gave it.
const SAID: [&str; 7] =
    ["observed_at", "kind", "device", "peer", "service", "attributes", "counters"];

/// Every promised event is there once on every node, and the nodes agree; returns the events by site.
#[track_caller]
pub(crate) fn exactly_once(world: &World, sites: &[Site]) -> Vec<Vec<Value>> {
    world.settle();
    sites.iter().map(|site| exactly_once_of(world, site)).collect()
}

#[track_caller]
fn exactly_once_of(world: &World, site: &Site) -> Vec<Value> {
    let ledger = Ledger::read(&site.files.ledger);
    assert!(ledger.lost.is_empty(), "the sensor says that it has lost {:?}", ledger.lost);
    let mut first: Option<Vec<Value>> = None;
    for node in world.running() {
        let (events, history_from) = world.events(node, site.files.sensor);
        assert!(history_from <= 1, "node {node} has not everything");
        let held = held(&events);
        for (place, events) in &ledger.promised {
            assert_eq!(held.get(place), Some(events), "node {node}: events of {place:?}");
        }
        let more: Vec<_> =
            held.keys().filter(|place| !ledger.promised.contains_key(*place)).collect();
        assert!(more.is_empty(), "node {node} has what was never promised: {more:?}");
        match &first {
            None => first = Some(events),
            Some(first) => assert!(*first == events, "node {node} has other events"),
        }
    }
    first.unwrap()
}

/// Batches and how many events of each are there; no event may be there twice or out of log order.
#[track_caller]
pub(crate) fn held(events: &[Value]) -> BTreeMap<Place, u64> {
    let mut held = BTreeMap::<Place, u64>::new();
    let mut last = None;
    for event in events {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        let place = (text("epoch"), text("lane"), event["seq"].as_u64().unwrap());
        let position = event["position"].as_u64().unwrap();
        let index = event["index"].as_u64().unwrap();
        assert!(last <= Some(index), "{index} after {last:?}");
        last = Some(index);
        let next = held.entry(place.clone()).or_default();
        assert_eq!(position, *next, "an event of {place:?} is missing or there twice");
        *next += 1;
    }
    held
}

/// The events say what `inspect` says of the site's capture: nothing less, more or else.
#[track_caller]
pub(crate) fn same_as_inspected(site: &Site, events: &[Value]) {
    let inspect = Command::new(PROGRAM).args(["sensor", "inspect"]).arg(&site.capture).output();
    let output = inspect.unwrap();
    assert!(output.status.success());
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let expected = said(lines.map(|line| serde_json::from_slice(line).unwrap()));
    let found = said(events.iter().cloned());
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(expected, found);
    }
    assert_eq!(expected.len(), found.len());
}

fn said(events: impl Iterator<Item = Value>) -> Vec<String> {
    let mut said: Vec<String> =
        events.map(|event| SAID.map(|name| event[name].to_string()).join(" ")).collect();
    said.sort_unstable();
    said
}
