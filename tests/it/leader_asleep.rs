//! The leader stops for a while without dying, as a suspended machine does, and wakes up believing
//! that it leads: what it says then changes nothing.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::ledger::Ledger;
use crate::harness::{World, drained, judge, scenario, wait_until};

/// Batches that must be acknowledged before the leader falls asleep, and while it sleeps.
const STEP: usize = 4;

fn signal(world: &World, node: usize, name: &str) {
    let pid = world.mesh.nodes()[node].child().unwrap().id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// How long the woken leader is read from: longer than any lease.
const READING: Duration = Duration::from_secs(3);

/// The title of the site that is renamed while the leader sleeps, as one node reads it.
fn title(world: &World, node: usize, consistency: &'static str) -> Option<String> {
    let sites = world.try_get(node, "/api/v1/sites", &[("consistency", consistency)]).ok()?;
    let sites = sites["data"].as_array()?;
    let site = sites.iter().find(|site| site["id"] == "ward")?;
    site["name"].as_str().or(site["title"].as_str()).map(str::to_owned)
}

#[test]
fn a_leader_that_wakes_up_answers_no_read_from_before_its_sleep() {
    let world = World::found();
    world.mesh.add_site("ward", "before").unwrap();
    let leader = world.leader();
    let other = (leader + 1) % world.running().len();
    assert_eq!(title(&world, leader, "linearizable").as_deref(), Some("before"));
    signal(&world, leader, "-STOP");
    let renamed = serde_json::json!({ "site": "ward", "title": "after" });
    wait_until("the others go on without it", || {
        let client = world.mesh.nodes()[other].client();
        client.post("/api/v1/sites", &renamed).is_ok()
    });
    let answered = std::thread::scope(|scope| {
        // These are asked while it sleeps, and read by it as the first after it wakes.
        let read = |consistency| {
            let world = &world;
            scope.spawn(move || {
                let (begun, mut answers) = (Instant::now(), Vec::new());
                while begun.elapsed() < READING {
                    answers.push(title(world, leader, consistency));
                }
                answers
            })
        };
        let consistencies = ["linearizable", "leader", "linearizable", "leader"];
        let readers = consistencies.map(read);
        std::thread::sleep(Duration::from_millis(500));
        signal(&world, leader, "-CONT");
        readers.map(|reader| reader.join().unwrap()).concat()
    });
    let fresh = answered.iter().flatten().filter(|title| *title == "after").count();
    assert_eq!(answered.iter().flatten().count(), fresh, "it answered from before its sleep");
    assert!(fresh > 0, "it never answered");
    let view: Value = world.get(leader, "/api/v1/cluster", &[]);
    assert_ne!(view["leader"], world.mesh.nodes()[leader].id);
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
