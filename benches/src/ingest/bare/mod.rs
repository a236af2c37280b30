//! The bare pipeline: what is left of the product's ingest when nothing is applied.
//!
//! Three processes; frames over QUIC with mutual TLS; checksum, expansion and the checked access to
//! the archive, and the watermark, on all three; one file each, written and synced in groups; an
//! acknowledgement when two of three have synced. No elections, no log that could be read again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use wardmesh_cli::local::{CLUSTER, Child, write_identity};
use wardmesh_common::id::{SensorId, TenantId};
use wardmesh_common::tls::authority::Authority;
use wardmesh_common::tls::{Identity, Principal};

use super::link;

mod check;
mod node;
mod wal;

pub use node::run;

/// The first argument of a process of the pipeline.
pub const ROLE: &str = "bare-node";

/// The nodes of the pipeline; the first leads.
const NODES: u64 = 3;

/// How long a process may take to open its port.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running pipeline.
pub struct Pipeline {
    authority: Authority,
    children: Vec<Child>,
    leader: SocketAddr,
}

impl Pipeline {
    /// Starts the three processes below a folder.
    ///
    /// # Errors
    /// Where one does not start.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let authority = Authority::new("wardmesh bare pipeline")?;
        let mut children = Vec::new();
        let mut addresses = Vec::new();
        for id in (1..=NODES).rev() {
            let own = folder.join(format!("bare-{id}"));
            let principal = Principal::Node { cluster: CLUSTER.to_owned(), node: id };
            write_identity(&own, &authority.issue(&principal)?)?;
            // The leader is started last and told of the others.
            let others = if id == 1 { addresses.as_slice() } else { &[] };
            let arguments = [ROLE.into(), own.clone().into_os_string()].into_iter();
            let arguments =
                arguments.chain(others.iter().map(|it: &SocketAddr| it.to_string().into()));
            let mut child = Child::start(&std::env::current_exe()?, arguments, &own.join("log"))?;
            addresses.push(address(&own, &mut child)?);
            children.push(child);
        }
        children.reverse();
        let leader = addresses.pop().context("a leader")?;
        Ok(Self { authority, children, leader })
    }

    /// Where the leader listens.
    #[must_use]
    pub fn leader(&self) -> SocketAddr {
        self.leader
    }

    /// The process ids, the leader's first.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// An identity for a sensor.
    ///
    /// # Errors
    /// Only where the machine has no randomness.
    pub fn sensor(&self, sensor: SensorId) -> anyhow::Result<Identity> {
        let tenant = TenantId::default_tenant();
        let principal = Principal::Sensor { cluster: CLUSTER.to_owned(), tenant, sensor };
        Ok(self.authority.issue(&principal)?.identity())
    }

    /// Ends the processes.
    ///
    /// # Errors
    /// Where one cannot be waited for.
    pub fn stop(self) -> anyhow::Result<()> {
        Child::stop_all(self.children)
    }
}

/// The file in which a process says where it listens.
fn address_file(folder: &Path) -> PathBuf {
    folder.join("address")
}

fn address(folder: &Path, child: &mut Child) -> anyhow::Result<SocketAddr> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Ok(text) = std::fs::read_to_string(address_file(folder))
            && let Ok(address) = text.trim().parse()
        {
            return Ok(address);
        }
        child.check()?;
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("{} did not open its port", folder.display())
}
