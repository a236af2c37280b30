//! A whole mesh on loopback: nodes and sensors as real processes of this very executable, with their
//! own throw-away authorities, ports and folders. The demo, the end-to-end tests and the benches
//! start the same.
//!
//! A child ends when its standard input closes, so that nothing outlives its parent however it dies.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use wardmesh_common::id::{SensorId, TenantId};
use wardmesh_common::tls::Principal;
use wardmesh_common::tls::authority::Authority;

mod child;
mod files;
mod nodes;
mod ports;

pub use child::Child;
pub use files::{identity_files, write_identity};

use crate::access::Server;
use crate::api::Client;

/// The name of the throw-away cluster.
pub const CLUSTER: &str = "local";

/// How long the nodes may take to start, elect a leader, or stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one exchange over HTTP may take.
const EXCHANGE: Duration = Duration::from_secs(30);

/// How often their progress is looked at.
const POLL: Duration = Duration::from_millis(50);

/// What a mesh is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The folder for everything; must exist.
    pub folder: PathBuf,
    /// The executable that knows the roles `node` and `sensor`: usually this one.
    pub program: PathBuf,
    /// How many aggregator nodes.
    pub nodes: usize,
    /// The log filter of the children.
    pub log: String,
}

/// A mesh on loopback.
pub struct Mesh {
    plan: Plan,
    ingest: Authority,
    raft: Authority,
    nodes: Vec<Node>,
    stopped: Arc<AtomicBool>,
}

/// One aggregator node.
pub struct Node {
    /// Its id, from 1.
    pub id: u64,
    /// Its configuration file.
    pub config: PathBuf,
    /// Its data folder.
    pub data: PathBuf,
    /// `host:port` for sensors.
    pub ingest_address: String,
    /// `host:port` for the other nodes.
    pub raft_address: String,
    /// `host:port` of the HTTP API.
    pub http_address: String,
    /// What a client of another host has to show.
    token: Option<String>,
    /// A command that starts the node, such as `nsenter` with its flags; none for an ordinary start.
    launcher: Vec<OsString>,
    child: Option<Child>,
}

/// One sensor's files.
#[derive(Clone, Debug)]
pub struct SensorFiles {
    /// Its id.
    pub sensor: SensorId,
    /// Its configuration file.
    pub config: PathBuf,
    /// Where it writes what it promised.
    pub ledger: PathBuf,
}

impl Node {
    /// A client of this node's API.
    #[must_use]
    pub fn client(&self) -> Client {
        let server = Server::local(&self.http_address);
        Client::new(vec![server], self.token.clone(), None, EXCHANGE)
    }

    /// The process, while it runs.
    #[must_use]
    pub fn child(&self) -> Option<&Child> {
        self.child.as_ref()
    }
}

impl Mesh {
    /// Draws authorities, certificates and ports, and writes every configuration file.
    ///
    /// # Errors
    /// Where the folder cannot be written or ports cannot be had.
    pub fn prepare(plan: Plan) -> anyhow::Result<Self> {
        Self::prepare_on(plan, &[IpAddr::V4(Ipv4Addr::LOCALHOST)])
    }

    /// The same with the nodes on these hosts' addresses, in turn; each must be an address of the
    /// network namespace that the node is launched in.
    ///
    /// # Errors
    /// As for [`Mesh::prepare`].
    pub fn prepare_on(plan: Plan, hosts: &[IpAddr]) -> anyhow::Result<Self> {
        let (ingest, raft) =
            (Authority::new("wardmesh local ingest")?, Authority::new("wardmesh local raft")?);
        let ids = 1..=plan.nodes as u64;
        let mut mesh = Self { plan, ingest, raft, nodes: Vec::new(), stopped: Arc::default() };
        for (id, host) in ids.zip(hosts.iter().cycle()) {
            mesh.prepare_node(id, *host)?;
        }
        Ok(mesh)
    }

    /// Gives up every wait, with an error, once `stopped` turns true.
    pub fn stop_at(&mut self, stopped: Arc<AtomicBool>) {
        self.stopped = stopped;
    }

    /// Sleeps a moment between two looks at something.
    fn pause(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.stopped.load(Ordering::Acquire), "stopped");
        std::thread::sleep(POLL);
        Ok(())
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The authority of the ingest port: what it signs for a sensor is accepted there.
    #[must_use]
    pub fn ingest_authority(&self) -> &Authority {
        &self.ingest
    }

    /// Everything of this mesh lies here.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.plan.folder
    }

    /// Starts a node, by its place.
    ///
    /// # Errors
    /// Where the process cannot be started.
    pub fn start_node(&mut self, index: usize) -> anyhow::Result<()> {
        let node = &mut self.nodes[index];
        let log = self.plan.folder.join(format!("node-{}.log", node.id));
        let arguments = ["node", "run", "--config"].map(Into::into);
        let arguments = arguments.into_iter().chain([node.config.clone().into_os_string()]);
        node.child = Some(Child::launch(&node.launcher, &self.plan.program, arguments, &log)?);
        Ok(())
    }

    /// Has a node started by another command from now on: the node's own is appended to it. It must
    /// become the node and not stay its parent, as `nsenter` and `env` do.
    pub fn launch_node_by(&mut self, index: usize, launcher: Vec<OsString>) {
        self.nodes[index].launcher = launcher;
    }

    /// Shows this token to all nodes from now on: those of another host ask for it.
    pub fn show_token(&mut self, token: &str) {
        self.nodes.iter_mut().for_each(|node| node.token = Some(token.to_owned()));
    }

    /// How a node has ended, if it has; it counts as not running from then on.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn node_end(&mut self, index: usize) -> anyhow::Result<Option<ExitStatus>> {
        let child = &mut self.nodes[index].child;
        let status = child.as_mut().map_or(Ok(None), Child::end)?;
        if status.is_some() {
            *child = None;
        }
        Ok(status)
    }

    /// Kills a node as a power cut would: at once, without a word.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub fn kill_node(&mut self, index: usize) -> anyhow::Result<()> {
        self.nodes[index].child.take().map_or(Ok(()), Child::kill)
    }

    /// Starts all nodes, waits until each answers, and founds the cluster with the first.
    ///
    /// # Errors
    /// Where a node ends early or does not answer in time; its log is named.
    pub fn found(&mut self) -> anyhow::Result<()> {
        for index in 0..self.nodes.len() {
            self.start_node(index)?;
        }
        for index in 0..self.nodes.len() {
            self.await_alive(index)?;
        }
        let seeds: Vec<&str> = self.nodes.iter().map(|node| node.raft_address.as_str()).collect();
        let request = json!({ "expect": self.nodes.len(), "seeds": seeds });
        self.nodes[0].client().post("/api/v1/cluster/init", &request).context("cluster init")?;
        Ok(())
    }

    /// Waits until a node's event loop answers.
    ///
    /// # Errors
    /// Where its process ends, or time runs out.
    pub fn await_alive(&mut self, index: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let node = &mut self.nodes[index];
            if node.client().get("/version", &[]).is_ok() {
                return Ok(());
            }
            let child = node.child.as_mut().context("the node was not started")?;
            child.check()?;
            anyhow::ensure!(
                begun.elapsed() < PATIENCE,
                "node {} does not answer; its log is {}",
                node.id,
                child.log().display()
            );
            self.pause()?;
        }
    }

    /// Adds a facility.
    ///
    /// # Errors
    /// Where the cluster does not take it.
    pub fn add_site(&self, site: &str, title: &str) -> anyhow::Result<()> {
        self.post_anywhere("/api/v1/sites", &json!({ "site": site, "title": title }))
    }

    /// Enrols a sensor at a site and writes its files; it replays `captures` when it is run.
    ///
    /// # Errors
    /// Where the cluster does not take it, or the files cannot be written.
    pub fn add_sensor(
        &self,
        name: &str,
        site: &str,
        captures: &[PathBuf],
    ) -> anyhow::Result<SensorFiles> {
        let sensor = SensorId::from_random(rand_bytes()?);
        let tenant = TenantId::default_tenant();
        let principal = Principal::Sensor { cluster: CLUSTER.to_owned(), tenant, sensor };
        let folder = self.plan.folder.join(name);
        write_identity(&folder.join("identity"), &self.ingest.issue(&principal)?)?;
        let addresses: Vec<_> = self.nodes.iter().map(|node| &node.ingest_address).collect();
        let config = files::sensor_config(&folder, &addresses, captures, &self.plan.log)?;
        let request = json!({ "sensor": sensor.to_string(), "site": site, "name": name });
        self.post_anywhere("/api/v1/sensors", &request)?;
        Ok(SensorFiles { sensor, config, ledger: folder.join("ledger.ndjson") })
    }

    /// Starts a sensor: `replay` drains its captures and ends, `run` stays.
    ///
    /// # Errors
    /// Where the process cannot be started.
    pub fn start_sensor(
        &self,
        files: &SensorFiles,
        arguments: &[OsString],
    ) -> anyhow::Result<Child> {
        self.launch_sensor(&[], files, arguments)
    }

    /// The same by another command, as for [`Mesh::launch_node_by`].
    ///
    /// # Errors
    /// As for [`Mesh::start_sensor`].
    pub fn launch_sensor(
        &self,
        launcher: &[OsString],
        files: &SensorFiles,
        arguments: &[OsString],
    ) -> anyhow::Result<Child> {
        let log = files.config.with_extension("log");
        let common = ["--config".into(), files.config.clone().into_os_string()];
        let ledger = ["--ledger".into(), files.ledger.clone().into_os_string()];
        let all = std::iter::once("sensor".into()).chain(arguments.iter().cloned());
        Child::launch(launcher, &self.plan.program, all.chain(common).chain(ledger), &log)
    }

    /// Posts to any node that answers, until one takes it: a cluster without a leader is waited for.
    fn post_anywhere(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let mut last = None;
            for node in self.nodes.iter().filter(|node| node.child.is_some()) {
                match node.client().post(path, body) {
                    Ok(_) => return Ok(()),
                    Err(cause) => last = Some(cause),
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(last.map_or_else(|| anyhow::anyhow!("no node runs"), Into::into));
            }
            self.pause()?;
        }
    }

    /// Waits until every running node has a digest of all that any had applied before; returns the
    /// latest index that they have it of, and each node's digest there.
    ///
    /// # Errors
    /// Where a node does not answer, or they do not come to the same index in time.
    pub fn digests(&self) -> anyhow::Result<(u64, Vec<String>)> {
        let (begun, mut before) = (Instant::now(), 0);
        loop {
            match self.digests_now(&mut before) {
                Ok(found) => return Ok(found),
                Err(cause) if begun.elapsed() > PATIENCE => return Err(cause),
                Err(_) => self.pause()?,
            }
        }
    }

    /// `before` is what must be in the digests; 0 until it is known.
    fn digests_now(&self, before: &mut u64) -> anyhow::Result<(u64, Vec<String>)> {
        let running = || self.nodes.iter().filter(|node| node.child.is_some());
        let (mut index, mut applied) = (u64::MAX, 0);
        for node in running() {
            let cluster = node.client().get("/api/v1/cluster", &[])?;
            applied = applied.max(cluster["applied"].as_u64().context("applied")?);
            index = index.min(cluster["digest"]["index"].as_u64().context("digest")?);
        }
        if *before == 0 {
            *before = applied;
        }
        anyhow::ensure!(index >= *before, "the digests stand at {index}, and not at {before} yet");
        let mut digests = Vec::new();
        for node in running() {
            let query = [("digest_at", index.to_string())];
            let cluster = node.client().get("/api/v1/cluster", &query)?;
            digests.push(cluster["digest"]["value"].as_str().context("digest")?.to_owned());
        }
        Ok((index, digests))
    }

    /// Stops every node in an orderly way.
    ///
    /// # Errors
    /// Where one cannot be waited for.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let children: Vec<Child> =
            self.nodes.iter_mut().filter_map(|node| node.child.take()).collect();
        Child::stop_all(children)
    }
}

fn rand_bytes() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|cause| anyhow::anyhow!("no randomness: {cause}"))?;
    Ok(bytes)
}
