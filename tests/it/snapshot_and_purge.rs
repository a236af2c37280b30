//! Snapshots are made and the log is purged while sensors send; a node that was away meanwhile
//! catches up by snapshot, fetches the history that it lacks, and answers like the others.

use serde_json::{Value, json};
use wardmesh_cli::api::Query;

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
    await_history(&world, away);
    let others: Vec<usize> = (0..NODES).filter(|node| *node != away).collect();
    for site in &sites {
        let sensor = site.files.sensor;
        let (whole, from) = world.events(others[0], sensor);
        assert!(from <= 1, "the archive of node {} begins at {from}", others[0]);
        assert!(world.events(others[1], sensor) == (whole.clone(), from));
        assert!(world.events(away, sensor) == (whole, from), "node {away} differs");
    }
    let log = std::fs::read_to_string(world.mesh.nodes()[away].child().unwrap().log()).unwrap();
    for said in ["installed a snapshot", "fetched history"] {
        assert!(log.contains(said), "it came back without: {said}");
    }
    answers_the_same(&world, others[0], away);
    // What was fetched is as good as what was applied here.
    world.rebuild_index(away);
    answers_the_same(&world, others[0], away);
    for node in &others {
        let snapshots = std::fs::read_dir(world.data(*node, "raft/snapshots")).unwrap().count();
        assert!(snapshots > 0, "node {node} has no snapshot");
    }

    // A node that never had anything, taken in under a new id.
    let new = world.mesh.add_node(4).unwrap();
    let address = json!({ "address": world.mesh.nodes()[new].raft_address });
    let client = world.mesh.nodes()[others[0]].client();
    let member = client.post("/api/v1/cluster/members", &address).unwrap();
    wait_until("the new member votes", || {
        member["role"] == "voter"
            || client
                .post("/api/v1/cluster/members/4/promote", &json!({}))
                .is_ok_and(|member| member["role"] == "voter")
    });
    await_history(&world, new);
    answers_the_same(&world, others[0], new);

    // All of them start again from a snapshot, a short log and the archive.
    (0..NODES).for_each(|node| world.kill(node));
    (0..NODES).for_each(|node| world.start(node));
    world.settle();
    world.kill(away);
    judge::exactly_once(&world, &sites);
}

/// Waits until a node has the history from the beginning.
fn await_history(world: &World, node: usize) {
    wait_until("history from the beginning", || {
        let query = [("consistency", "local"), ("limit", "1"), ("since", "2000-01-01T00:00:00Z")];
        let answer = world.try_get(node, "/api/v1/events", &query);
        answer.is_ok_and(|answer| answer["meta"]["history_from"].as_u64() <= Some(1))
    });
}

/// Two nodes list the same events, whatever is asked for.
fn answers_the_same(world: &World, one: usize, other: usize) {
    let devices = world.get(one, "/api/v1/devices", &[("limit", "50")]);
    let devices = devices["data"].as_array().unwrap().iter();
    let by_device = devices.map(|device| ("device", device["id"].as_str().unwrap().to_owned()));
    let by_site = ["a", "b"].map(|site| ("site", site.to_owned()));
    let all = ("since", "2000-01-01T00:00:00Z".to_owned());
    let mut found = 0;
    for asked in by_device.chain(by_site).map(|by| vec![by, all.clone()]).chain([vec![all.clone()]])
    {
        let [here, there] = [one, other].map(|node| scan(world, node, &asked));
        assert!(here == there, "nodes {one} and {other} differ in {asked:?}");
        found += here.len();
    }
    assert!(found > 1_000, "only {found} events were found");
}

fn scan(world: &World, node: usize, asked: &[(&'static str, String)]) -> Vec<Value> {
    let mut query: Query = asked.to_vec();
    query.push(("consistency", "local".to_owned()));
    let client = world.mesh.nodes()[node].client();
    let found = client.pages("/api/v1/events", query, usize::MAX).collect_items();
    found.unwrap_or_else(|cause| panic!("node {node} {asked:?}: {cause}")).items
}
