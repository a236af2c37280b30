//! Snapshots are made and the log is purged while sensors send; a node that was away meanwhile
//! catches up, by log or by snapshot, and says from where on it has the events.

use crate::harness::{NODES, World, drained, judge, scenario, wait_until};

/// Entries between two snapshots: the log keeps half of it, and who is ten times as far behind gets
/// a snapshot.
const SNAPSHOT_ENTRIES: u64 = 12;

/// Commands that are committed while a node is away: more than the log keeps for it.
const COMMANDS: usize = 150;

#[test]
fn a_node_that_was_away_catches_up_after_a_purge() {
    let mut world = World::found_with_snapshots_every(Some(SNAPSHOT_ENTRIES));
    let sites = ["a", "b"].map(|name| world.site(&scenario(name, 40, 4, 2)));
    let away = (world.leader() + 1) % NODES;
    let sensors = sites.each_ref().map(|site| world.replay(site, "30x"));
    wait_until("the first events", || {
        let applied = &world.get(away, "/api/v1/cluster", &[])["applied"];
        applied.as_u64() > Some(2 * SNAPSHOT_ENTRIES)
    });
    world.kill(away);
    let left_at = world.get(world.leader(), "/api/v1/cluster", &[])["applied"].as_u64().unwrap();
    for number in 0..COMMANDS {
        world.mesh.add_site("renamed", &format!("name {number}")).unwrap();
    }
    sensors.into_iter().for_each(|sensor| drop(drained(sensor)));
    let (complete, digest) = world.settle();
    assert!(complete > left_at + COMMANDS as u64);
    assert!(!digest.is_empty());

    world.start(away);
    world.settle();
    let others: Vec<usize> = (0..NODES).filter(|node| *node != away).collect();
    for site in &sites {
        let sensor = site.files.sensor;
        let (whole, from) = world.events(others[0], sensor);
        assert!(from <= 1, "the archive of node {} begins at {from}", others[0]);
        assert!(world.events(others[1], sensor) == (whole.clone(), from));
        let (held, from) = world.events(away, sensor);
        let expected: Vec<_> =
            whole.into_iter().filter(|event| event["index"].as_u64() >= Some(from)).collect();
        assert!(held == expected, "node {away} differs from {from} on");
    }
    let (_, from) = world.events(away, sites[0].files.sensor);
    assert!(from > left_at, "it came back by the log, from {from}: nothing was purged");
    for node in &others {
        let snapshots = std::fs::read_dir(world.data(*node, "raft/snapshots")).unwrap().count();
        assert!(snapshots > 0, "node {node} has no snapshot");
    }

    // All of them start again from a snapshot, a short log and the archive.
    (0..NODES).for_each(|node| world.kill(node));
    (0..NODES).for_each(|node| world.start(node));
    world.settle();
    world.kill(away);
    judge::exactly_once(&world, &sites);
}
