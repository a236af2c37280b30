//! A mesh under test: starts it, replays captures into it, and asks it. Judges nothing.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use wardmesh_cli::api::Query;
use wardmesh_cli::local::{Child, Mesh, Plan, SensorFiles};
use wardmesh_cli::simulate::Scenario;
use wardmesh_common::id::SensorId;

pub(crate) mod judge;
pub(crate) mod trace;
pub(crate) mod volume;

pub(crate) use wardmesh_tests::{client, forge, ledger};

/// The executable that plays every role.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_wardmesh-under-test");

/// Nodes of every mesh.
pub(crate) const NODES: usize = 3;

/// How long anything may take that should take a moment: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Events of one sensor are at most so many.
const EVENTS_MAX: usize = 1_000_000;

/// Lines of each log that a failed test shows.
const LOG_TAIL: usize = 15;

/// A founded mesh in a temporary folder; all of it is gone when this is dropped.
pub(crate) struct World {
    pub(crate) mesh: Mesh,
    folder: tempfile::TempDir,
}

/// A sensor with the capture that it replays.
pub(crate) struct Site {
    pub(crate) files: SensorFiles,
    pub(crate) capture: PathBuf,
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(POLL);
    }
}

impl World {
    /// A mesh of three nodes with the usual settings.
    pub(crate) fn found() -> Self {
        Self::found_with_snapshots_every(None)
    }

    /// The same with a snapshot after so many entries.
    pub(crate) fn found_with_snapshots_every(entries: Option<u64>) -> Self {
        Self::found_as(|_, config| {
            if let Some(entries) = entries {
                let entries = i64::try_from(entries).unwrap();
                config["retention"]["snapshot_entries"] = toml::Value::Integer(entries);
            }
        })
    }

    /// The same where each node's data folder and configuration are prepared before it starts.
    pub(crate) fn found_as(prepare: impl Fn(&Path, &mut toml::Table)) -> Self {
        Self::found_with(|_| PROGRAM.into(), prepare)
    }

    /// The same where a program stands between that plays every role; it may lie in the mesh's folder.
    pub(crate) fn found_with(
        program: impl FnOnce(&Path) -> PathBuf,
        prepare: impl Fn(&Path, &mut toml::Table),
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("wardmesh-it-").tempdir().unwrap();
        let plan = Plan {
            folder: folder.path().to_owned(),
            program: program(folder.path()),
            nodes: NODES,
            log: "info,openraft=error".to_owned(),
        };
        let mut mesh = Mesh::prepare(plan).unwrap();
        for node in mesh.nodes() {
            let text = std::fs::read_to_string(&node.config).unwrap();
            let mut config: toml::Table = text.parse().unwrap();
            prepare(&node.data, &mut config);
            std::fs::write(&node.config, config.to_string()).unwrap();
        }
        mesh.found().unwrap();
        Self { mesh, folder }
    }

    /// A facility with one sensor and a capture of its generated traffic.
    pub(crate) fn site(&self, scenario: &Scenario) -> Site {
        let name = &scenario.site;
        let capture = self.folder.path().join(format!("{name}.pcap"));
        scenario.write(&capture).unwrap();
        self.mesh.add_site(name, name).unwrap();
        let captures = std::slice::from_ref(&capture);
        let files = self.mesh.add_sensor(&format!("sensor-{name}"), name, captures).unwrap();
        Site { files, capture }
    }

    /// Starts a sensor that replays its capture at `speed`, drains and ends.
    pub(crate) fn replay(&self, site: &Site, speed: &str) -> Child {
        let capture = site.capture.clone().into_os_string();
        let arguments: [OsString; 4] = ["replay".into(), capture, "--speed".into(), speed.into()];
        self.mesh.start_sensor(&site.files, &arguments).unwrap()
    }

    /// Replays as fast as it goes and waits for the end.
    pub(crate) fn replay_whole(&self, sites: &[Site]) {
        let sensors: Vec<_> = sites.iter().map(|site| self.replay(site, "max")).collect();
        sensors.into_iter().for_each(|sensor| drop(drained(sensor)));
    }

    /// Kills a node with SIGKILL.
    pub(crate) fn kill(&mut self, node: usize) {
        self.mesh.kill_node(node).unwrap();
    }

    /// Starts a node and waits until it answers.
    pub(crate) fn start(&mut self, node: usize) {
        self.mesh.start_node(node).unwrap();
        self.mesh.await_alive(node).unwrap();
    }

    /// Places of the nodes that run.
    pub(crate) fn running(&self) -> Vec<usize> {
        let nodes = self.mesh.nodes().iter().enumerate();
        nodes.filter(|(_, node)| node.child().is_some()).map(|(place, _)| place).collect()
    }

    /// The place of the leader that a majority of the running nodes names.
    pub(crate) fn leader(&self) -> usize {
        let mut leader = None;
        wait_until("a leader that a majority names", || {
            let running = self.running();
            let named: Vec<_> = running
                .iter()
                .filter_map(|place| self.try_get(*place, "/api/v1/cluster", &[]).ok())
                .filter_map(|cluster| cluster["leader"].as_u64())
                .map(|id| id as usize - 1)
                .collect();
            leader = running
                .into_iter()
                .find(|place| named.iter().filter(|named| *named == place).count() * 2 > NODES);
            leader.is_some()
        });
        leader.unwrap()
    }

    /// `GET` of a path at one node.
    pub(crate) fn try_get(
        &self,
        node: usize,
        path: &str,
        query: &[(&'static str, &str)],
    ) -> Result<Value, wardmesh_cli::failure::Failure> {
        let query: Query = query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.mesh.nodes()[node].client().get(path, &query)
    }

    /// The same, of what answers.
    #[track_caller]
    pub(crate) fn get(&self, node: usize, path: &str, query: &[(&'static str, &str)]) -> Value {
        self.try_get(node, path, query)
            .unwrap_or_else(|cause| panic!("node {node} {path}: {cause}"))
    }

    /// All events of a sensor as one node has them, and from which log index on it has them all.
    #[track_caller]
    pub(crate) fn events(&self, node: usize, sensor: SensorId) -> (Vec<Value>, u64) {
        let client = self.mesh.nodes()[node].client();
        let query: Query =
            vec![("sensor", sensor.to_string()), ("consistency", "local".to_owned())];
        let all = client.pages("/api/v1/events", query, EVENTS_MAX).collect_items();
        let all = all.unwrap_or_else(|cause| panic!("events of node {node}: {cause}"));
        (all.items, all.meta["history_from"].as_u64().unwrap())
    }

    /// Waits until a node's query index is whole again.
    #[track_caller]
    pub(crate) fn await_events(&self, node: usize) {
        wait_until("the query index is whole", || {
            let query = [("consistency", "local"), ("limit", "1")];
            self.try_get(node, "/api/v1/events", &query).is_ok()
        });
    }

    /// Commits commands that change little until a node has made a snapshot.
    #[track_caller]
    pub(crate) fn await_snapshot(&self, node: usize) {
        let snapshots = self.data(node, "raft/snapshots");
        wait_until("a snapshot", || {
            (0..50).for_each(|number| {
                self.mesh.add_site("renamed", &format!("name {number}")).unwrap();
            });
            std::fs::read_dir(&snapshots).unwrap().count() > 0
        });
    }

    /// Throws a node's query index away and lets it be built anew.
    pub(crate) fn rebuild_index(&mut self, node: usize) {
        self.kill(node);
        std::fs::remove_dir_all(self.data(node, "store/index")).unwrap();
        self.start(node);
        self.await_events(node);
    }

    /// A node's counters and gauges, as Prometheus reads them: the sum of all samples whose name and
    /// labels begin so.
    pub(crate) fn metric(&self, node: usize, begin: &str) -> u64 {
        let url = format!("http://{}/metrics", self.mesh.nodes()[node].http_address);
        let text = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        let samples = text.lines().filter(|line| line.starts_with(begin));
        samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }

    /// Waits until all running nodes have a digest of what is committed now; returns its index and the
    /// digest that all of them report there.
    pub(crate) fn settle(&self) -> (u64, String) {
        let leader = self.leader();
        let mut index = String::new();
        wait_until("a linearizable read", || {
            let query = [("consistency", "linearizable")];
            let cluster = self.try_get(leader, "/api/v1/cluster", &query);
            index = cluster.map_or_else(|_| String::new(), |view| view["applied"].to_string());
            !index.is_empty()
        });
        wait_until("a digest of it", || {
            let applied = index.parse::<u64>().unwrap();
            let cluster = self.try_get(leader, "/api/v1/cluster", &[]);
            let digest = cluster.ok().and_then(|view| view["digest"]["index"].as_u64());
            index = digest.filter(|at| *at >= applied).map_or(index.clone(), |at| at.to_string());
            digest >= Some(applied)
        });
        let query = [("digest_at", index.as_str()), ("min_index", &index), ("wait", "25s")];
        let digest = |node| {
            let view = self.get(node, "/api/v1/cluster", &query);
            assert_eq!(view["digest"]["index"].to_string(), index);
            view["digest"]["value"].as_str().unwrap().to_owned()
        };
        let digests: Vec<String> = self.running().into_iter().map(digest).collect();
        assert!(digests.iter().all(|one| *one == digests[0]), "at {index}: {digests:?}");
        (index.parse().unwrap(), digests[0].clone())
    }

    /// Where everything of this mesh lies: configurations, logs, data, spools, captures.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a node's data folder has at a path.
    pub(crate) fn data(&self, node: usize, path: &str) -> PathBuf {
        self.mesh.nodes()[node].data.join(path)
    }
}

/// Waits until a replay has drained; returns what it says of itself.
#[track_caller]
pub(crate) fn drained(mut sensor: Child) -> Value {
    let log = sensor.log().to_owned();
    wait_until("a sensor drains", || {
        assert!(!log.as_os_str().is_empty());
        !sensor.is_running().unwrap()
    });
    serde_json::from_str(&sensor.finish().unwrap()).unwrap()
}

/// The usual traffic of a site, more of it: `devices` devices for `minutes` at `rate` times the rate.
pub(crate) fn scenario(site: &str, devices: u32, minutes: u32, rate: u32) -> Scenario {
    Scenario { devices, minutes, rate_per_mille: rate * 1_000, ..Scenario::of_site(site, 1) }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show_logs(self.folder.path());
        }
    }
}

/// Says that a test is left out, past the capture of what tests print: it must not pass unnoticed.
pub(crate) fn left_out(test: &str, why: &str) {
    // Nobody else can be told where this fails.
    let _ = writeln!(std::io::stderr(), "!!! LEFT OUT: {test}: {why}");
}

fn show_logs(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let sensor = path.join("sensor.log");
        let log = if sensor.is_file() { sensor } else { path };
        if log.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n");
        eprintln!("--- {} ends with:\n{tail}", log.display());
    }
}
