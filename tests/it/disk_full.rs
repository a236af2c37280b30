//! Volumes that run full to the last byte, one after the other and all at once: no crash loop, nothing
//! lost or doubled, clear answers, and within 30 s of there being room all is as before.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wardmesh_cli::local::Child;

use crate::harness::ledger::Ledger;
use crate::harness::volume::{Volume, inside};
use crate::harness::{NODES, Site, World, drained, judge, scenario, wait_until};

/// Within so long of there being room everything goes on.
const RECOVERY: Duration = Duration::from_secs(30);

/// What a node whose disk failed ends with.
const EXIT_IO: i32 = 74;

/// A volume at first, MiB; each time it grows it grows by as much.
const MIB: u32 = 48;

/// A mesh whose nodes have a volume each, and who starts a node again that has ended.
struct Cluster {
    world: World,
    volumes: Vec<Volume>,
    sizes: Vec<u32>,
    restarts: Vec<usize>,
}

impl Cluster {
    fn found() -> Self {
        let world = World::found_as(|data, config| {
            Volume::mount(data, MIB);
            let limits = [("low_bytes", 16 << 20), ("reserve_bytes", 6 << 20)];
            let limits = limits.map(|(key, bytes)| (key.to_owned(), toml::Value::Integer(bytes)));
            config.insert("disk".to_owned(), toml::Value::Table(limits.into_iter().collect()));
        });
        let volumes = (0..NODES).map(|node| Volume { folder: world.data(node, "") }).collect();
        Self { world, volumes, sizes: vec![MIB; NODES], restarts: vec![0; NODES] }
    }

    fn fill(&mut self, node: usize) {
        self.volumes[node].fill();
        self.restarts[node] = 0;
    }

    fn grow(&mut self, node: usize) {
        self.sizes[node] += MIB;
        self.volumes[node].grow(self.sizes[node]);
    }

    /// What an operator's supervisor does: a node that could not go on is started again, once.
    fn supervise(&mut self) {
        for node in 0..NODES {
            let Some(end) = self.world.mesh.node_end(node).unwrap() else { continue };
            assert_eq!(end.code(), Some(EXIT_IO), "node {node} ended with {end}");
            self.restarts[node] += 1;
            assert!(self.restarts[node] <= 2, "node {node} ends over and over");
            self.world.mesh.start_node(node).unwrap();
        }
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut is: impl FnMut(&World) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            self.supervise();
            if is(&self.world) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < RECOVERY, "not within {RECOVERY:?}: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Until more batches of a site are acknowledged than now.
    fn until_acked(&mut self, site: &Site, what: &str) -> Duration {
        let acked = || Ledger::read(&site.files.ledger).acked.len();
        let before = acked();
        self.until(what, |_| acked() > before + 1)
    }

    /// Until a node has applied all that another has, and is ready.
    fn until_whole(&mut self, node: usize, other: usize) -> Duration {
        self.until("it has caught up", |world| {
            let cluster = world.try_get(other, "/api/v1/cluster", &[("consistency", "local")]);
            let Some(index) = cluster.ok().and_then(|view| view["applied"].as_u64()) else {
                return false;
            };
            let query = [("consistency", "local"), ("min_index", &*index.to_string())];
            world.try_get(node, "/api/v1/cluster", &query).is_ok() && ready(world, node)
        })
    }
}

fn ready(world: &World, node: usize) -> bool {
    probe(world, node, "/readyz").is_some_and(|(status, _)| status == 200)
}

fn probe(world: &World, node: usize, path: &str) -> Option<(u16, String)> {
    let url = format!("http://{}{path}", world.mesh.nodes()[node].http_address);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(5)))
        .build()
        .into();
    let mut answer = agent.get(&url).call().ok()?;
    Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
}

/// Findings of a rule, as any node has them.
fn findings(world: &World, rule: &str) -> Vec<Value> {
    let query = [("rule", rule), ("consistency", "local")];
    let nodes = (0..NODES).filter_map(|node| world.try_get(node, "/api/v1/findings", &query).ok());
    let most = nodes.max_by_key(|found| found["data"].as_array().map_or(0, Vec::len));
    most.and_then(|found| found["data"].as_array().cloned()).unwrap_or_default()
}

fn is_named(world: &World, node: usize, room: bool) -> bool {
    findings(world, "node-disk-full").iter().any(|finding| {
        let title = finding["title"].as_str().unwrap_or_default();
        title.contains(&format!("of node {}", node + 1)) && title.contains("room again") == room
    })
}

#[test]
fn full_volumes_lose_nothing_and_go_on_by_themselves() {
    if !inside("disk_full::full_volumes_lose_nothing_and_go_on_by_themselves") {
        return;
    }
    let mut cluster = Cluster::found();
    let site = cluster.world.site(&scenario("a", 40, 10, 2));
    let sensor = cluster.world.replay(&site, "20x");
    wait_until("the first batches", || Ledger::read(&site.files.ledger).acked.len() > 2);

    let leader = cluster.world.leader();
    let follower = (leader + 1) % NODES;
    cluster.fill(follower);
    cluster.until_acked(&site, "two nodes with room go on");
    cluster.until("the full one is named", |world| {
        is_named(world, follower, false)
            && probe(world, follower, "/readyz?verbose")
                .is_some_and(|(status, text)| status == 503 && text.contains("disk not ok"))
    });
    cluster.grow(follower);
    let took = cluster.until_whole(follower, leader);
    eprintln!("follower: whole {took:?} after there was room");

    let leader = cluster.world.leader();
    cluster.fill(leader);
    let took = cluster.until_acked(&site, "another one leads");
    eprintln!("leader: acknowledged again after {took:?}");
    cluster.grow(leader);
    let took = cluster.until_whole(leader, (leader + 1) % NODES);
    eprintln!("leader: whole {took:?} after there was room");

    (0..NODES).for_each(|node| cluster.fill(node));
    cluster.until("writes are refused for it", |world| {
        let body = json!({ "site": "b", "title": "B" });
        let posted = world.mesh.nodes()[0].client().post("/api/v1/sites", &body);
        posted.is_err_and(|cause| cause.to_string().contains("full"))
    });
    (0..NODES).for_each(|node| cluster.grow(node));
    let took = cluster.until_acked(&site, "all go on");
    eprintln!("all: acknowledged again {took:?} after there was room");
    for node in 0..NODES {
        cluster.until_whole(node, (node + 1) % NODES);
    }
    cluster.until("all are named, with room again", |world| {
        (0..NODES).all(|node| is_named(world, node, true))
    });
    a_start_waits_for_room(&mut cluster, follower);
    finish(cluster, site, sensor);
}

fn a_start_waits_for_room(cluster: &mut Cluster, node: usize) {
    cluster.world.kill(node);
    cluster.fill(node);
    cluster.world.mesh.start_node(node).unwrap();
    cluster.until("the start waits and says so", |world| {
        let ready = probe(world, node, "/readyz");
        ready.is_some_and(|(status, text)| status == 503 && text.contains("waits for it"))
    });
    for (path, status) in [("/livez", 200), ("/startupz", 503), ("/api/v1/devices", 507)] {
        let answer = probe(&cluster.world, node, path).unwrap();
        assert_eq!(answer.0, status, "{path}: {}", answer.1);
    }
    assert_eq!(cluster.restarts[node], 0);
    cluster.grow(node);
    let took = cluster.until_whole(node, (node + 1) % NODES);
    eprintln!("start: whole {took:?} after there was room");
}

fn finish(mut cluster: Cluster, site: Site, sensor: Child) {
    drop(drained(sensor));
    for node in 0..NODES {
        cluster.until("the query index is whole", |world| {
            let query = [("consistency", "local"), ("limit", "1")];
            let events = world.try_get(node, "/api/v1/events", &query);
            events.inspect_err(|cause| eprintln!("node {node}: {cause}")).is_ok()
        });
    }
    judge::exactly_once(&cluster.world, &[site]);
}

#[test]
fn a_sensor_whose_volume_is_full_keeps_what_it_promised_and_reads_on_later() {
    if !inside("disk_full::a_sensor_whose_volume_is_full_keeps_what_it_promised_and_reads_on_later")
    {
        return;
    }
    let world = World::found();
    let site = world.site(&scenario("a", 40, 10, 2));
    let volume = Volume::mount(&site.files.config.parent().unwrap().join("spool"), MIB);
    let text = std::fs::read_to_string(&site.files.config).unwrap();
    let mut config: toml::Table = text.parse().unwrap();
    config["spool"]["reserve_bytes"] = toml::Value::Integer(4 << 20);
    std::fs::write(&site.files.config, config.to_string()).unwrap();

    let mut sensor = world.replay(&site, "30x");
    wait_until("the first batches", || Ledger::read(&site.files.ledger).acked.len() > 2);
    volume.fill();
    let promised = || Ledger::read(&site.files.ledger).promised.len();
    std::thread::sleep(Duration::from_secs(1));
    let before = promised();
    std::thread::sleep(Duration::from_secs(3));
    let running = sensor.is_running().unwrap();
    assert!(promised() <= before + 1, "it promised what it could not keep");
    if !running {
        // A write met the last byte: the next start waits for room.
        assert_eq!(sensor.end().unwrap().and_then(|end| end.code()), Some(EXIT_IO));
        sensor = world.replay(&site, "30x");
        std::thread::sleep(Duration::from_secs(2));
        assert!(sensor.is_running().unwrap(), "the sensor ends over and over");
    }
    volume.grow(4 * MIB);
    let begun = Instant::now();
    wait_until("it reads on", || promised() > before + 2);
    assert!(begun.elapsed() < RECOVERY, "{:?}", begun.elapsed());
    eprintln!(
        "sensor: promised again {:?} after there was room; it ran on: {running}",
        begun.elapsed()
    );
    drop(drained(sensor));
    if running {
        let found = findings(&world, "sensor-disk-full");
        assert_eq!(found.len(), 1, "{found:?}");
    }
    judge::exactly_once(&world, &[site]);
}
