//! Leadership goes from node to node, on request and with the end of a process: no write is refused,
//! none waits for long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use wardmesh_cli::api::Client;

use crate::harness::{NODES, World, wait_until};

/// How many times leadership is handed over.
const ROUNDS: usize = 6;

/// A write that waits longer was held up by an election, not by a hand-over. The promise is 250 ms on
/// a machine that is not busy; a busy one must not fail the test.
const SILENCE_MAX: Duration = Duration::from_millis(1_500);

/// Writes until it is told to stop; how long the slowest took.
fn write(client: &Client, name: &str, stop: &AtomicBool) -> Duration {
    let (mut slowest, mut number) = (Duration::ZERO, 0);
    while !stop.load(Ordering::Acquire) {
        let begun = Instant::now();
        let site = json!({ "site": name, "title": format!("number {number}") });
        client.post("/api/v1/sites", &site).expect("a write was refused");
        slowest = slowest.max(begun.elapsed());
        number += 1;
    }
    slowest
}

#[test]
fn a_hand_over_is_not_noticed_by_who_writes() {
    let mut world = World::found();
    let stop = AtomicBool::new(false);
    let clients: Vec<_> = world.mesh.nodes().iter().map(|node| node.client()).collect();
    let slowest = std::thread::scope(|scope| {
        let write = |place: usize| {
            let (stop, client) = (&stop, &clients[place]);
            scope.spawn(move || write(client, &format!("site-{place}"), stop))
        };
        let writers: Vec<_> = (0..NODES).map(write).collect();
        for round in 0..ROUNDS {
            let leader = world.leader();
            let asked = (leader + round) % NODES;
            let client = world.mesh.nodes()[asked].client();
            let next = client.post("/api/v1/cluster/transfer-leader", &json!({})).unwrap();
            assert_ne!(next["id"], world.mesh.nodes()[leader].id);
            assert_eq!(next["role"], "leader");
            std::thread::sleep(Duration::from_millis(300));
        }
        stop.store(true, Ordering::Release);
        writers.into_iter().map(|writer| writer.join().unwrap()).max().unwrap()
    });
    eprintln!("the slowest write during {ROUNDS} hand-overs took {slowest:?}");
    assert!(slowest < SILENCE_MAX, "{slowest:?}");

    // The leader's process ends in order; writers on the others do not notice.
    let leader = world.leader();
    let others: Vec<_> = (0..NODES).filter(|place| *place != leader).collect();
    stop.store(false, Ordering::Release);
    let slowest = std::thread::scope(|scope| {
        let write = |place: &usize| {
            let (stop, client, name) = (&stop, &clients[*place], format!("site-{place}"));
            scope.spawn(move || write(client, &name, stop))
        };
        let writers: Vec<_> = others.iter().map(write).collect();
        std::thread::sleep(Duration::from_millis(300));
        world.mesh.stop_node(leader).unwrap();
        wait_until("another node leads", || world.leader() != leader);
        stop.store(true, Ordering::Release);
        writers.into_iter().map(|writer| writer.join().unwrap()).max().unwrap()
    });
    eprintln!("the slowest write while the leader's process ended took {slowest:?}");
    assert!(slowest < SILENCE_MAX, "{slowest:?}");
    world.start(leader);
    world.settle();
}
