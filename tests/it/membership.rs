//! Members come and go while sensors send: three nodes become five and three others, the leader leaves,
//! a lost disk is replaced. Nothing that was promised is lost or there twice, and who is out stays out.

use std::process::Command;

use serde_json::{Value, json};
use wardmesh_cli::failure::Failure;

use crate::harness::ledger::Ledger;
use crate::harness::{NODES, PROGRAM, Site, World, drained, judge, scenario, wait_until};

/// Batches that must be acknowledged between two changes.
const STEP: usize = 4;

fn acked(sites: &[Site]) -> usize {
    sites.iter().map(|site| Ledger::read(&site.files.ledger).acked.len()).sum()
}

fn go_on(sites: &[Site]) {
    let before = acked(sites);
    wait_until("batches are acknowledged", || acked(sites) >= before + STEP);
}

/// Adds the node at a place, asked of another one.
fn add(world: &World, asked: usize, place: usize) -> Result<Value, Failure> {
    let address = &world.mesh.nodes()[place].raft_address;
    let client = world.mesh.nodes()[asked].client();
    client.post("/api/v1/cluster/members", &json!({ "address": address }))
}

/// Adds it, and goes on promoting it for as long as it catches up.
fn add_voter(world: &World, asked: usize, place: usize) {
    let mut member = add(world, asked, place).unwrap();
    let id = world.mesh.nodes()[place].id;
    assert_eq!(member["id"], id);
    wait_until("the new member votes", || {
        if member["role"] == "learner" {
            let path = format!("/api/v1/cluster/members/{id}/promote");
            let client = world.mesh.nodes()[asked].client();
            member = client.post(&path, &json!({})).unwrap();
        }
        member["role"] == "voter"
    });
}

fn code(answer: Result<Value, Failure>) -> String {
    match answer.unwrap_err() {
        Failure::Problem(problem) => problem.code.clone(),
        other => panic!("no problem: {other}"),
    }
}

fn voters(world: &World, node: usize) -> Vec<u64> {
    let members = world.get(node, "/api/v1/cluster", &[])["members"].clone();
    let voters = members.as_array().unwrap().iter().filter(|member| member["voter"] == true);
    voters.map(|member| member["id"].as_u64().unwrap()).collect()
}

#[test]
fn three_nodes_become_five_and_three_others_while_sensors_send() {
    let mut world = World::found();
    let new = [4, 5].map(|id| world.mesh.add_node(id).unwrap());
    let sites = ["a", "b", "c"].map(|name| world.site(&scenario(name, 50, 10, 2)));
    let mut sensors = sites.each_ref().map(|site| world.replay(site, "10x"));
    go_on(&sites);
    for place in new {
        // Of any node: it takes the change to the leader.
        let asked = (world.leader() + 1) % NODES;
        add_voter(&world, asked, place);
        go_on(&sites);
    }
    assert_eq!(voters(&world, new[1]), [1, 2, 3, 4, 5]);

    // The leader goes, asked of itself; then another of the first three, asked of a new one.
    let leader = world.leader();
    let follower = (0..NODES).find(|place| *place != leader).unwrap();
    for (gone, asked) in [(leader, leader), (follower, new[0])] {
        let id = world.mesh.nodes()[gone].id;
        let client = world.mesh.nodes()[asked].client();
        let removed = client.delete(&format!("/api/v1/cluster/members/{id}"), &[]).unwrap();
        assert_eq!(removed["role"], "removed", "{removed}");
        let end = world.mesh.await_end(gone).unwrap();
        assert!(end.contains(&format!("node {id} was removed from the cluster")), "{end}");
        go_on(&sites);
    }
    for sensor in &mut sensors {
        assert!(sensor.is_running().unwrap(), "the members changed too late");
    }

    // With its old disk it does not even start; with an empty one it is not taken.
    let id = world.mesh.nodes()[leader].id;
    world.mesh.start_node(leader).unwrap();
    let end = world.mesh.await_end(leader).unwrap();
    assert!(end.contains("under a new node id") && end.contains("wardmesh cluster add"), "{end}");
    world.mesh.wipe_node(leader).unwrap();
    world.start(leader);
    assert_eq!(code(add(&world, new[0], leader)), "node-id-retired");
    assert!(world.try_get(leader, "/readyz", &[]).is_err());
    world.kill(leader);
    let retired = world.get(new[0], "/api/v1/cluster", &[])["retired"].clone();
    assert!(retired.as_array().unwrap().iter().any(|node| node["id"] == id), "{retired}");

    for (site, summary) in sites.iter().zip(sensors.map(drained)) {
        let ledger = Ledger::read(&site.files.ledger);
        assert_eq!(summary["events_acked"], ledger.events());
        assert_eq!(ledger.acked.len(), ledger.promised.len());
    }
    assert_eq!(world.running().len(), NODES);
    let events = judge::exactly_once(&world, &sites);
    for (site, events) in sites.iter().zip(&events) {
        judge::same_as_inspected(site, events);
    }
}

#[test]
fn a_member_that_lost_its_disk_is_replaced_and_never_votes_again() {
    let mut world = World::found();
    let new = world.mesh.add_node(4).unwrap();
    let sites = [world.site(&scenario("a", 40, 6, 2))];
    let sensor = world.replay(&sites[0], "20x");
    go_on(&sites);
    let leader = world.leader();
    let lost = (leader + 1) % NODES;
    let id = world.mesh.nodes()[lost].id;
    world.kill(lost);
    world.mesh.wipe_node(lost).unwrap();
    world.start(lost);
    let url = format!("http://{}/readyz", world.mesh.nodes()[lost].http_address);
    wait_until("the wiped node says what is wrong", || {
        let asked = ureq::get(&url).config().http_status_as_error(false).build().call();
        let answer = asked.unwrap().body_mut().read_to_string().unwrap();
        answer.contains("its volume is empty") && answer.contains("wardmesh cluster replace")
    });
    assert_eq!(code(add(&world, leader, lost)), "member-wiped");
    let log = world.get(lost, "/api/v1/cluster", &[]);
    assert_eq!((&log["applied"], &log["cluster"]), (&json!(0), &Value::Null), "it took the log");

    let nodes = world.mesh.nodes();
    let server = format!("http://{}", nodes[leader].http_address);
    let replaced = Command::new(PROGRAM)
        .args(["cluster", "replace", &id.to_string(), "--with", &nodes[new].raft_address])
        .args(["--yes", "-o", "json", "--server", &server])
        .output()
        .unwrap();
    assert!(replaced.status.success(), "{}", String::from_utf8_lossy(&replaced.stderr));
    let member: Value = serde_json::from_slice(&replaced.stdout).unwrap();
    assert_eq!((&member["id"], &member["role"]), (&json!(4), &json!("voter")));
    assert!(!voters(&world, leader).contains(&id));
    world.kill(lost);
    drained(sensor);
    judge::exactly_once(&world, &sites);
}
