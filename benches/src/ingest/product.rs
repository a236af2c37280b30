//! The product in the same run: three nodes as processes, their own TLS and fsync, sensors enrolled
//! over the API, and the look at what each node counts afterwards.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use wardmesh_cli::local::{Mesh, Node, Plan};
use wardmesh_common::id::SensorId;
use wardmesh_common::tls::Identity;

use super::link;

/// Nodes of the mesh.
const NODES: usize = 3;

/// A follower that is further behind than this has lost something.
const CATCH_UP: Duration = Duration::from_secs(20);

/// How often its counters are looked at meanwhile.
const POLL: Duration = Duration::from_millis(20);

/// A running cluster.
pub struct Cluster {
    mesh: Mesh,
    leader: usize,
}

impl Cluster {
    /// Starts and founds it below a folder.
    ///
    /// # Errors
    /// Where a node does not start.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let program = std::env::current_exe()?;
        let plan =
            Plan { folder: folder.to_owned(), program, nodes: NODES, log: "warn".to_owned() };
        let mut mesh = Mesh::prepare(plan)?;
        mesh.found()?;
        let cluster = mesh.nodes()[0].client().get("/api/v1/cluster", &[])?;
        let leader = cluster["leader"].as_u64().context("nobody leads")?;
        let leader = mesh.nodes().iter().position(|node| node.id == leader);
        Ok(Self { leader: leader.context("the leader is none of the nodes")?, mesh })
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        self.mesh.nodes()
    }

    /// The leader's place among them.
    #[must_use]
    pub fn leader(&self) -> usize {
        self.leader
    }

    /// Enrols a sensor at a site of its own.
    ///
    /// # Errors
    /// Where the cluster does not take it.
    pub fn add_sensor(&self, name: &str) -> anyhow::Result<(SensorId, Identity)> {
        self.mesh.add_site(name, name)?;
        let files = self.mesh.add_sensor(name, name, &[])?;
        let identity = link::read_identity(&self.mesh.folder().join(name).join("identity"))?;
        Ok((files.sensor, identity))
    }

    /// Where the sensor at a place connects: to the leader, or to all nodes in turn.
    ///
    /// # Errors
    /// Only where an address is none.
    pub fn address(&self, sensor: usize, spread: bool) -> anyhow::Result<SocketAddr> {
        let node = if spread { sensor % NODES } else { self.leader };
        Ok(self.mesh.nodes()[node].ingest_address.parse()?)
    }

    /// That every node counts what was acknowledged to each sensor, no more and no less, and that all
    /// say the same digest of the same entry.
    ///
    /// # Errors
    /// Names the node and the sensor.
    pub fn verify(&self, acked: &[(SensorId, u64)]) -> anyhow::Result<()> {
        for node in self.mesh.nodes() {
            for (sensor, expected) in acked {
                // A follower learns of the last commit a moment after the sensor.
                let asked = Instant::now();
                let mut counted = counted(node, *sensor)?;
                while counted != Some(*expected) && asked.elapsed() < CATCH_UP {
                    std::thread::sleep(POLL);
                    counted = self::counted(node, *sensor)?;
                }
                ensure!(
                    counted == Some(*expected),
                    "node {} counts {counted:?} events of sensor {sensor}; {expected} were \
                     acknowledged",
                    node.id
                );
            }
        }
        let (index, digests) = self.mesh.digests()?;
        let same = digests.windows(2).all(|pair| pair[0] == pair[1]);
        ensure!(same, "the nodes' digests at {index} differ: {digests:?}");
        Ok(())
    }

    /// Stops the nodes.
    ///
    /// # Errors
    /// Where one cannot be waited for.
    pub fn stop(self) -> anyhow::Result<()> {
        self.mesh.stop()
    }
}

fn counted(node: &Node, sensor: SensorId) -> anyhow::Result<Option<u64>> {
    let path = format!("/api/v1/sensors/{sensor}");
    let answer = node.client().get(&path, &[("consistency", "local".to_owned())])?;
    Ok(answer["events"].as_u64())
}
