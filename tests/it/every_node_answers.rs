//! Every node answers every question, with every consistency; without a majority it says so, and what
//! it knows by itself it still says.

use serde_json::Value;
use wardmesh_cli::failure::Failure;

use crate::harness::{NODES, World, scenario, wait_until};

const CONSISTENCIES: [&str; 3] = ["local", "leader", "linearizable"];

/// What is outside `/api/v1`.
pub(crate) const PLAIN: [&str; 6] =
    ["/livez", "/readyz", "/startupz", "/metrics", "/openapi.json", "/docs/"];

/// The `GET` routes of the OpenAPI description, with ids of things that exist.
pub(crate) fn routes(world: &World) -> Vec<String> {
    let description = world.get(0, "/openapi.json", &[]);
    let ids = [
        ("devices", "/api/v1/devices", "/data/0/id"),
        ("sensors", "/api/v1/sensors", "/data/0/id"),
        ("findings", "/api/v1/findings", "/data/0/id"),
        ("events", "/api/v1/findings", "/data/0/evidence/0"),
    ]
    .map(|(kind, path, id)| {
        (kind, world.get(0, path, &[]).pointer(id).unwrap().as_str().unwrap().to_owned())
    });
    let paths = description["paths"].as_object().unwrap().iter();
    let read = paths.filter(|(path, of)| path.starts_with("/api/v1/") && of["get"].is_object());
    read.map(|(path, _)| {
        let id = ids.iter().find(|(kind, _)| path.starts_with(&format!("/api/v1/{kind}/")));
        id.map_or_else(|| path.clone(), |(_, id)| path.replace("{id}", id))
    })
    .collect()
}

fn status_of(world: &World, node: usize, path: &str) -> u16 {
    let url = format!("http://{}{path}", world.mesh.nodes()[node].http_address);
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    agent.get(&url).call().unwrap().status().as_u16()
}

/// What must be the same wherever it is asked: all but how the answer was come by.
fn content(answer: &Value) -> Value {
    answer.get("data").unwrap_or(answer).clone()
}

#[test]
fn every_node_answers_every_route() {
    let mut world = World::found();
    let sites = ["a", "b", "c"].map(|name| world.site(&scenario(name, 18, 2, 1)));
    world.replay_whole(&sites);
    world.settle();
    let routes = routes(&world);
    assert!(routes.len() >= 12, "{routes:?}");
    for path in &routes {
        for consistency in CONSISTENCIES {
            let ask = |node| world.get(node, path, &[("consistency", consistency)]);
            let answers: Vec<Value> = (0..NODES).map(ask).collect();
            // Who is asked shows in the cluster's routes; ticks change what is shown of time.
            if !path.contains("/cluster") {
                for answer in &answers {
                    assert_eq!(content(answer), content(&answers[0]), "{path} {consistency}");
                }
            }
        }
    }
    for path in PLAIN {
        for node in 0..NODES {
            assert_eq!(status_of(&world, node, path), 200, "{path} of node {node}");
        }
    }

    let left = (world.leader() + 1) % NODES;
    (0..NODES).filter(|node| *node != left).for_each(|node| world.kill(node));
    // All at once: each waits as long as an election takes.
    std::thread::scope(|scope| {
        for path in &routes {
            for consistency in ["leader", "linearizable"] {
                let world = &world;
                scope.spawn(move || refuses_without_leader(world, left, path, consistency));
            }
        }
    });
    for path in &routes {
        world.get(left, path, &[("consistency", "local")]);
    }
    assert_eq!(status_of(&world, left, "/livez"), 200);
}

fn refuses_without_leader(world: &World, node: usize, path: &str, consistency: &'static str) {
    // For a moment the old leader may still be believed in.
    wait_until("the answer is no-leader", || {
        match world.try_get(node, path, &[("consistency", consistency)]) {
            Ok(_) => false,
            Err(Failure::Problem(problem)) => {
                assert_eq!(problem.status, 503, "{path} {consistency}: {problem}");
                problem.code == "no-leader"
            }
            Err(other) => panic!("{path} {consistency}: {other}"),
        }
    });
}
