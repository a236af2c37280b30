//! A cluster under load: three nodes as processes of the bench's own executable, in a folder that
//! goes with it, and what they cost meanwhile.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};
use wardmesh_cli::local::{Mesh, Node, Plan};
use wardmesh_common::id::SensorId;

use crate::process::Usage;

/// Nodes of every cluster here: the smallest that survives the loss of one.
pub const NODES: usize = 3;

/// How long the cluster may be without a leader before a bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A node that is further behind than this has lost something.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Runs the bench, or the role of a node or sensor where the process was started as one.
pub fn main(bench: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    if matches!(std::env::args().nth(1).as_deref(), Some("node" | "sensor")) {
        return wardmesh_cli::run();
    }
    open_files();
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            use std::io::Write;
            // Without a standard error there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {cause:#}");
            ExitCode::FAILURE
        }
    }
}

/// Lets this process and its children open as many files as it may: a socket for each sensor is more
/// than many shells allow by default.
fn open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused, what does not fit names the limit.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The number after an argument such as `--kills`; `default` where it is not given.
///
/// # Errors
/// Where what follows is no such number.
pub fn option(name: &str, default: u64) -> anyhow::Result<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    if arguments.next().is_none() {
        return Ok(default);
    }
    let value = arguments.next().with_context(|| format!("{name} takes a number"))?;
    value.parse().with_context(|| format!("{name} {value}"))
}

/// Three running nodes.
pub struct Cluster {
    /// The nodes and their authority.
    pub mesh: Mesh,
    // Goes with the nodes.
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Founds a cluster with one site, `ward`.
    ///
    /// # Errors
    /// Where a node does not start.
    pub fn found() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("wardmesh-bench-").tempdir()?;
        let program = std::env::current_exe()?;
        #[allow(clippy::disallowed_methods, reason = "a bench has no configuration")]
        let log = std::env::var("WARDMESH_BENCH_LOG").unwrap_or_else(|_| "error".to_owned());
        let plan = Plan { folder: folder.path().to_owned(), program, nodes: NODES, log };
        let mut mesh = Mesh::prepare(plan)?;
        mesh.found()?;
        mesh.add_site("ward", "Ward")?;
        Ok(Self { mesh, folder })
    }

    /// The folder of everything; the disk that the nodes write to.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The place of the node that a majority of the running ones calls leader.
    ///
    /// # Errors
    /// Where there is none for a minute.
    pub fn leader(&self) -> anyhow::Result<usize> {
        let begun = Instant::now();
        loop {
            let running = || self.mesh.nodes().iter().filter(|node| node.child().is_some());
            let ask = |node: &wardmesh_cli::local::Node| {
                node.client().get("/api/v1/cluster", &[]).ok()?["leader"].as_u64()
            };
            let named: Vec<u64> = running().filter_map(ask).collect();
            let leader = running().find(|node| {
                named.iter().filter(|id| **id == node.id).count() * 2 > self.mesh.nodes().len()
            });
            if let Some(leader) = leader {
                return Ok(leader.id as usize - 1);
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "nobody leads");
            std::thread::sleep(POLL);
        }
    }

    /// What each node has used so far; zeros for one that does not run.
    #[must_use]
    pub fn usages(&self) -> Vec<Usage> {
        let of = |node: &wardmesh_cli::local::Node| Usage::of(node.child()?.id());
        self.mesh.nodes().iter().map(|node| of(node).unwrap_or_default()).collect()
    }

    /// Every node's ingest address, that of the node at `first` before the others.
    #[must_use]
    pub fn ingest_addresses(&self, first: usize) -> Vec<String> {
        let nodes = self.mesh.nodes();
        let mut all: Vec<_> = nodes.iter().map(|node| node.ingest_address.clone()).collect();
        all.rotate_left(first % nodes.len().max(1));
        all
    }
}

/// That every node counts the events that were acknowledged to each sensor, no more and no less, and
/// that all say the same digest of the same entry.
///
/// # Errors
/// Names the node and the sensor.
pub fn verify(mesh: &Mesh, acked: &[(SensorId, u64)]) -> anyhow::Result<()> {
    let asked = Instant::now();
    for node in mesh.nodes() {
        for (sensor, expected) in acked {
            // A follower learns of the last commit a moment after the sensor.
            let mut counted = counted(node, *sensor)?;
            while counted != Some(*expected) && asked.elapsed() < CATCH_UP {
                std::thread::sleep(POLL);
                counted = self::counted(node, *sensor)?;
            }
            ensure!(
                counted == Some(*expected),
                "node {} counts {counted:?} events of sensor {sensor}; {expected} were acknowledged",
                node.id
            );
        }
    }
    let (index, digests) = mesh.digests()?;
    let same = digests.windows(2).all(|pair| pair[0] == pair[1]);
    ensure!(same, "the nodes' digests at {index} differ: {digests:?}");
    Ok(())
}

fn counted(node: &Node, sensor: SensorId) -> anyhow::Result<Option<u64>> {
    let path = format!("/api/v1/sensors/{sensor}");
    let answer = node.client().get(&path, &[("consistency", "local".to_owned())])?;
    Ok(answer["events"].as_u64())
}
