//! From a plan to a running mesh: hosts, file systems, nodes, founding, sites, sensors.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use wardmesh_cli::local::{self, Mesh};

use super::{NODES, Plan, Post, Rig, Seat};
use crate::breach::Breaches;
use crate::door::Door;
use crate::ground::{Ground, Need};
use crate::network::Network;
use crate::shell::run;
use crate::volume::{FOLDER, Volume, sweep};

/// What the file system of one node holds at most, bytes; images are sparse.
const VOLUME_BYTES: u64 = 6 << 30;

/// How long an ordinary exchange may take: above what a read waits for a leader.
const EXCHANGE: Duration = Duration::from_secs(8);

/// The sites, in the order in which sensors are put at them.
const SITES: [&str; 3] = ["a", "b", "c"];

impl Rig {
    /// Starts the nodes, founds the cluster and prepares the sensors; these do not run yet.
    ///
    /// # Errors
    /// Where something of it does not work; what was begun is taken down.
    pub fn raise(mut plan: Plan, stopped: Arc<AtomicBool>) -> anyhow::Result<Self> {
        sweep();
        let name = format!("{FOLDER}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&name).tempdir()?;
        // A copy, so that a build meanwhile does not change what is started next.
        let program = folder.path().join("wardmesh-under-test");
        std::fs::copy(&plan.program, &program)?;
        plan.program = program;
        let network = network(&plan)?;
        let hosts: Vec<IpAddr> = match &network {
            Some(network) => network.hosts().iter().map(|host| host.address.into()).collect(),
            None => vec![Ipv4Addr::LOCALHOST.into()],
        };
        let volumes = volumes(&plan.ground, folder.path())?;
        let local = local::Plan {
            folder: folder.path().to_owned(),
            program: plan.program.clone(),
            nodes: NODES,
            log: "info,openraft=error".to_owned(),
        };
        let nodes = hosts.get(..NODES).unwrap_or(&hosts);
        let mut mesh = Mesh::prepare_on(local, nodes)?;
        mesh.stop_at(Arc::clone(&stopped));
        for node in 0..NODES {
            let entries = plan.snapshot_entries;
            let variable = format!("WARDMESH__RETENTION__SNAPSHOT_ENTRIES={entries}");
            let own = vec![variable.into()];
            let clock = folder.path().join(format!("node-{}.clock", node + 1));
            mesh.launch_node_by(node, launcher(&plan, network.as_ref(), node, &clock, own)?);
        }
        let mut rig = Self {
            mesh: Mutex::new(mesh),
            nodes: Vec::new(),
            sensors: Vec::new(),
            players: Mutex::default(),
            volumes,
            network,
            breaches: Breaches::default(),
            stopped,
            ground: plan.ground.clone(),
            highest_id: AtomicU64::new(NODES as u64),
            program: plan.program.clone(),
            folder,
        };
        rig.found()?;
        rig.prepare_sensors(&plan)?;
        Ok(rig)
    }

    fn found(&mut self) -> anyhow::Result<()> {
        let mesh = self.mesh.get_mut().unwrap();
        let token = if let Some(network) = &self.network {
            (0..NODES).try_for_each(|node| mesh.start_node(node))?;
            let raft: Vec<_> = mesh.nodes().iter().map(|node| node.raft_address.clone()).collect();
            let port = mesh.nodes()[0].http_address.rsplit(':').next().unwrap_or_default();
            let server = format!("http://127.0.0.1:{port}");
            Some(init(network, &self.program, &server, &raft.join(","))?)
        } else {
            mesh.found()?;
            None
        };
        token.iter().for_each(|token| mesh.show_token(token));
        self.nodes = mesh
            .nodes()
            .iter()
            .map(|node| Seat::new(node.id, Door::new(&node.http_address, token.clone(), EXCHANGE)))
            .collect();
        SITES.iter().try_for_each(|site| mesh.add_site(site, site))
    }

    fn prepare_sensors(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let mesh = self.mesh.get_mut().unwrap();
        for number in 0..plan.sensors {
            let site = SITES[number % SITES.len()];
            let name = format!("sensor-{}", number + 1);
            let clock = self.folder.path().join(format!("{name}.clock"));
            let launcher =
                launcher(plan, self.network.as_ref(), NODES + number, &clock, Vec::new())?;
            let post = Post::prepare(mesh, plan, number, site, &name, launcher, clock)?;
            self.sensors.push(post);
        }
        Ok(())
    }
}

fn network(plan: &Plan) -> anyhow::Result<Option<Network>> {
    let hosts = u8::try_from(NODES + plan.sensors)?;
    plan.ground.has(Need::Namespaces).then(|| Network::make(hosts)).transpose()
}

fn volumes(ground: &Ground, folder: &Path) -> anyhow::Result<Vec<Volume>> {
    let make = |node: usize| {
        let image = folder.join(format!("node-{node}.img"));
        Volume::make(image, folder.join(format!("node-{node}/data")), VOLUME_BYTES)
    };
    if ground.has(Need::Loop) { (1..=NODES).map(make).collect() } else { Ok(Vec::new()) }
}

/// The words that a process of a host is started by.
fn launcher(
    plan: &Plan,
    network: Option<&Network>,
    host: usize,
    clock: &Path,
    own: Vec<OsString>,
) -> anyhow::Result<Vec<OsString>> {
    std::fs::write(clock, "+0s\n")?;
    let mut words = network.map(|network| network.launcher(host)).unwrap_or_default();
    words.push("env".into());
    words.extend(plan.ground.clock_of(clock));
    words.extend(plan.variables.iter().cloned().chain(own));
    Ok(words)
}

/// Founds the cluster from the first node's host, which alone may; returns the admin token.
fn init(network: &Network, program: &Path, server: &str, seeds: &str) -> anyhow::Result<String> {
    let launcher = network.launcher(0);
    let mut words: Vec<&str> = launcher.iter().filter_map(|word| word.to_str()).collect();
    words.push(program.to_str().context("the program's path")?);
    let count = NODES.to_string();
    let verb = ["cluster", "init", "--server", server, "--expect", &count, "--seeds", seeds];
    words.extend(verb.iter().chain(&["-o", "json"]));
    let begun = std::time::Instant::now();
    loop {
        match run(&words) {
            Ok(founded) => {
                let founded: serde_json::Value = serde_json::from_str(&founded)?;
                return Ok(founded["admin_token"].as_str().context("a token")?.to_owned());
            }
            Err(cause) if begun.elapsed() > super::PATIENCE => return Err(cause),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}
