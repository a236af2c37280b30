//! The leader stops for a while without dying, as a suspended machine does, and wakes up believing
//! that it leads: what it says then changes nothing.

use std::process::Command;

use crate::harness::ledger::Ledger;
use crate::harness::{World, drained, judge, scenario, wait_until};

/// Batches that must be acknowledged before the leader falls asleep, and while it sleeps.
const STEP: usize = 4;

fn signal(world: &World, node: usize, name: &str) {
    let pid = world.mesh.nodes()[node].child().unwrap().id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

#[test]
fn a_leader_that_wakes_up_late_changes_nothing() {
    let world = World::found();
    let sites = ["a", "b"].map(|name| world.site(&scenario(name, 40, 6, 2)));
    let mut sensors = sites.each_ref().map(|site| world.replay(site, "20x"));
    let acked = |of: usize| Ledger::read(&sites[of].files.ledger).acked.len();
    wait_until("batches are acknowledged", || acked(0).min(acked(1)) >= STEP);
    let leader = world.leader();
    signal(&world, leader, "-STOP");
    let before = [acked(0), acked(1)];
    wait_until("the others go on", || (0..2).all(|of| acked(of) >= before[of] + STEP));
    for sensor in &mut sensors {
        assert!(sensor.is_running().unwrap(), "the leader slept too late");
    }
    signal(&world, leader, "-CONT");
    for (site, summary) in sites.iter().zip(sensors.map(drained)) {
        let ledger = Ledger::read(&site.files.ledger);
        assert_eq!(summary["events_acked"], ledger.events());
        assert_eq!(ledger.acked.len(), ledger.promised.len());
    }
    let events = judge::exactly_once(&world, &sites);
    for (site, events) in sites.iter().zip(&events) {
        judge::same_as_inspected(site, events);
    }
}
