//! One run of a seed: three nodes and some sensors, steps of time, faults, and the time to settle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use wardmesh_aggregator::raft::consensus::Compaction;
use wardmesh_aggregator::state::command::{Action, DefineSite, Enrol};
use wardmesh_common::id::{ClusterId, SiteId, TenantId};
use wardmesh_common::map::HashKey;

use crate::clock;
use crate::dice::Dice;
use crate::disk::SensorDisk;
use crate::host::{Host, Role};
use crate::judge::{Fact, Judge};
use crate::log::LogDisk;
use crate::nemesis::Nemesis;
use crate::network::{HostId, Network, SENSORS_FROM};
use crate::node::{self, Up};
use crate::plant::Plant;
use crate::sensor;
use crate::trace::{self, Trace};

mod close;
mod pace;

/// Nodes of the cluster at first.
pub(crate) const NODES: u64 = 3;
/// When the cluster is founded and the faults begin.
const FAULTS_FROM: Duration = Duration::from_secs(4);
/// How long the faults go on.
const FAULTS_FOR: Duration = Duration::from_secs(20);
/// How long it may take until everything has settled after the last fault: more than the longest
/// silence of a link, a backoff and some elections together.
const SETTLE: Duration = Duration::from_secs(90);

/// What a run is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) plant: Option<Plant>,
    /// Every line of the trace is printed.
    pub(crate) loud: bool,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        Self { seed, plant: None, loud: false }
    }
}

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) hash: u64,
    pub(crate) lines: u64,
    pub(crate) faults: Vec<String>,
    pub(crate) schedule: Vec<String>,
    pub(crate) last: String,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) hosts: BTreeMap<HostId, Host>,
    pub(crate) network: crate::network::Shared,
    pub(crate) judge: Arc<Mutex<Judge>>,
    pub(crate) dice: Dice,
    pub(crate) plan: Plan,
    /// Where nodes have what lies in files.
    files: TempDir,
    trace: trace::Shared,
    leading: BTreeMap<HostId, (u64, u64)>,
    reads: u64,
    pub(crate) proposals: u64,
    compaction: Compaction,
    /// Nodes that are no members any more; their machines may be up.
    pub(crate) retired: BTreeSet<HostId>,
    /// Who is about to be removed.
    pub(crate) leaving: Option<HostId>,
    panics: u64,
    stopped: Vec<HostId>,
}

/// Runs a seed from its beginning to its end.
pub(crate) fn run(plan: Plan) -> Outcome {
    node::warm_up();
    crate::count_panics();
    let _clocks = clock::substitute();
    let mut world = World::new(plan);
    let mut nemesis = Nemesis::new(world.dice.fork(3), FAULTS_FROM, FAULTS_FOR);
    world.found();
    let over = FAULTS_FROM + FAULTS_FOR;
    while world.now < over && world.is_sound() {
        nemesis.act(&mut world);
        world.step();
    }
    if world.is_sound() {
        nemesis.make_peace(&mut world);
        world.settle(&mut nemesis);
    }
    let schedule = nemesis.schedule();
    world.outcome(schedule)
}

impl World {
    fn new(plan: Plan) -> Self {
        let dice = Dice::new(plan.seed);
        let trace = Trace::new(plan.loud);
        let network = Network::new(dice.fork(1), Arc::clone(&trace));
        let judge = Arc::new(Mutex::new(Judge::new(Arc::clone(&trace))));
        let mut world = Self {
            now: Duration::ZERO,
            hosts: BTreeMap::new(),
            network,
            judge,
            dice: dice.fork(2),
            plan,
            files: node::files(),
            trace,
            leading: BTreeMap::new(),
            reads: 0,
            proposals: 0,
            compaction: compaction(&mut dice.fork(4)),
            retired: BTreeSet::new(),
            leaving: None,
            panics: crate::panics(),
            stopped: Vec::new(),
        };
        for id in 1..=NODES {
            world.add_node(id);
        }
        let sensors = world.dice.between(1..4);
        for id in SENSORS_FROM..SENSORS_FROM + sensors {
            let disk = Arc::new(Mutex::new(SensorDisk::default()));
            disk.lock().lies = plan.plant == Some(Plant::SpoolNotSynced);
            let tap = Arc::new(sensor::Tap::new(&mut dice.fork(id), plan.plant));
            world.hosts.insert(id, Host::new(Role::Sensor { disk, tap }));
        }
        world
    }

    /// Racks up a node with an empty disk.
    pub(crate) fn add_node(&mut self, id: HostId) {
        let data = self.files.path().join(id.to_string());
        let role = Role::Node { log: LogDisk::default(), data, running: Arc::new(OnceLock::new()) };
        self.hosts.insert(id, Host::new(role));
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.judge.lock().faults.is_empty()
    }

    pub(crate) fn note(&self, what: std::fmt::Arguments<'_>) {
        self.trace.lock().note(self.now, what);
    }

    /// Starts a host that is down.
    pub(crate) fn start(&mut self, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id).filter(|host| !host.is_up()) else { return };
        let dice = self.dice.fork(id * 1_000 + host.run);
        host.boot(self.now, dice.fork(1));
        self.trace.lock().note(self.now, format_args!("start {id} run {}", host.run));
        let (network, judge) = (Arc::clone(&self.network), Arc::clone(&self.judge));
        match &mut host.role {
            Role::Node { log, data, running } => {
                *running = Arc::new(OnceLock::new());
                let start = node::Start {
                    id,
                    disk: Arc::clone(log),
                    data: data.clone(),
                    dice: dice.fork(2),
                    network: Arc::clone(&network),
                    judge,
                    compaction: self.compaction,
                    plant: self.plan.plant,
                };
                let running = Arc::clone(running);
                host.spawn(node::run(start, running, move |door| {
                    network.lock().doors.insert(id, door);
                }));
            }
            Role::Sensor { disk, tap } => {
                let mut addresses: Vec<_> =
                    (1..=node::IDS).map(|node| format!("node-{node}:4433")).collect();
                dice.fork(3).shuffle(&mut addresses);
                let start = sensor::Start {
                    host: id,
                    disk: Arc::clone(disk),
                    dice: dice.fork(2),
                    network,
                    judge,
                    addresses,
                    tap: Arc::clone(tap),
                };
                host.spawn(sensor::run(start));
            }
        }
    }

    /// Throws a node's disk away: it never comes back.
    pub(crate) fn scrap(&mut self, id: HostId) {
        self.retired.insert(id);
        if let Some(Role::Node { data, .. }) = self.hosts.remove(&id).map(|host| host.role) {
            // It may never have had one.
            let _ = std::fs::remove_dir_all(data);
        }
    }

    /// Cuts a host's power.
    pub(crate) fn crash(&mut self, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id).filter(|host| host.is_up()) else { return };
        {
            let mut network = self.network.lock();
            network.doors.remove(&id);
            network.links.values().for_each(|link| link.gone(id));
        }
        host.crash();
        let lost = match &mut host.role {
            Role::Node { log, .. } => {
                let lost = log.lock().crash(&mut self.dice);
                if self.plan.plant == Some(Plant::RecordSkipped) {
                    log.lock().damage(|held| drop(held.entries.pop_last()));
                }
                lost
            }
            Role::Sensor { disk, .. } => {
                self.judge.lock().tell(&Fact::Down { sensor: id });
                disk.lock().crash(&mut self.dice)
            }
        };
        self.trace.lock().note(self.now, format_args!("crash {id}, {lost} writes lost"));
        let mut judge = self.judge.lock();
        judge.count("crashed");
        judge.add("writes lost", lost as u64);
    }

    /// The members.
    pub(crate) fn nodes(&self) -> Vec<HostId> {
        let nodes = self.hosts.range(..SENSORS_FROM).map(|(id, _)| *id);
        nodes.filter(|id| !self.retired.contains(id)).collect()
    }

    pub(crate) fn sensors(&self) -> Vec<HostId> {
        self.hosts.range(SENSORS_FROM..).map(|(id, _)| *id).collect()
    }

    /// What runs on a node, where it has started.
    pub(crate) fn up(&self, id: HostId) -> Option<&Up> {
        match &self.hosts.get(&id)?.role {
            Role::Node { running, .. } if self.hosts[&id].is_up() => running.get(),
            _ => None,
        }
    }

    /// The node that calls itself leader.
    pub(crate) fn leader(&self) -> Option<HostId> {
        let leads = |id: &HostId| {
            let status = self.up(*id).map(|up| up.consensus.status());
            status.is_some_and(|status| status.leader.is_some_and(|(leader, _)| leader == *id))
        };
        self.nodes().into_iter().find(leads)
    }

    /// Starts everything and founds the cluster.
    fn found(&mut self) {
        self.nodes().into_iter().for_each(|id| self.start(id));
        while self.up(1).is_none() {
            self.step();
        }
        let seeds: Vec<_> = (1..=NODES).map(|id| node::member(id).raft_address).collect();
        let sensors: Vec<_> = self.sensors();
        let consensus = Arc::clone(&self.up(1).expect("node 1").consensus);
        let done = Arc::new(AtomicBool::new(false));
        let founded = Arc::clone(&done);
        self.hosts[&1].spawn(async move {
            let (cluster, key) = (ClusterId([1; 16]), HashKey([2; 16]));
            let found = Action::Found { cluster, key, admin_token: [3; 32] };
            consensus.initialise(seeds.len(), &seeds, found).await.expect("a cluster");
            for action in registry(&sensors) {
                consensus.propose(action).await.expect("a registry");
            }
            founded.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) && self.now < FAULTS_FROM {
            self.step();
        }
        self.sensors().into_iter().for_each(|id| self.start(id));
    }
}

/// Snapshots and purges: none, or so often that they matter within a run.
fn compaction(dice: &mut Dice) -> Compaction {
    let snapshot_entries = dice.pick(&[10, 30, 100, 1_000_000]);
    let keep_entries = dice.pick(&[0, 5, 50]);
    let laggard_entries = dice.pick(&[5, 50, 1_000]);
    Compaction {
        snapshot_entries,
        snapshot_bytes: 1 << 40,
        keep_entries,
        laggard_entries,
        laggard_bytes: 1 << 40,
    }
}

/// The commands that make the sensors known.
fn registry(sensors: &[HostId]) -> Vec<Action> {
    let tenant = TenantId::default_tenant();
    let site: SiteId = "north".parse().expect("a site");
    let define = DefineSite { tenant: tenant.clone(), site: site.clone(), title: "North".into() };
    let enrol = sensors.iter().map(|host| {
        Action::Enrol(Enrol {
            sensor: sensor::id(*host),
            tenant: tenant.clone(),
            site: site.clone(),
            name: format!("sensor-{host}"),
        })
    });
    std::iter::once(Action::DefineSite(define)).chain(enrol).collect()
}
