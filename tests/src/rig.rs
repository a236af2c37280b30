//! A mesh of real processes that can be hurt: three nodes and some sensors, on hosts of their own
//! where that is allowed, each node on a file system of its own.
//!
//! Nothing of it outlives this value. It judges nothing; what it cannot do is an error.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use wardmesh_cli::local::Mesh;

use crate::breach::Breaches;
use crate::door::Door;
use crate::ground::{Ground, Need};
use crate::network::Network;
use crate::player::Player;
use crate::volume::Volume;

mod node;
mod raise;
mod sensor;

pub use node::{Claim, Seat, View};
pub use sensor::Post;

/// Nodes of every rig.
pub const NODES: usize = 3;

/// How long anything may take that should take a moment.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at.
pub const POLL: Duration = Duration::from_millis(20);

/// What a rig is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The executable that knows every role.
    pub program: PathBuf,
    /// What of the machine is used.
    pub ground: Ground,
    /// Sensors, spread over the sites `a`, `b` and `c` in turn.
    pub sensors: usize,
    /// Events a second of each sensor, about.
    pub events_per_second: u64,
    /// Log entries between two snapshots.
    pub snapshot_entries: u64,
    /// `NAME=value` for every process.
    pub variables: Vec<OsString>,
    /// What decides the traffic.
    pub seed: u64,
}

/// A running mesh. The order of the fields is the order in which they are taken down.
pub struct Rig {
    mesh: Mutex<Mesh>,
    /// The nodes, by place.
    pub nodes: Vec<Seat>,
    /// The sensors.
    pub sensors: Vec<Post>,
    /// Sensors that the test plays itself.
    pub players: Mutex<Vec<Arc<Player>>>,
    volumes: Vec<Volume>,
    /// The network, where there is one: nodes are its first hosts.
    pub network: Option<Network>,
    /// What was found to be broken.
    pub breaches: Breaches,
    /// Turns true when everything is to end.
    pub stopped: Arc<AtomicBool>,
    /// What the machine allows.
    pub ground: Ground,
    /// The highest id that any node ever had, once one was replaced.
    highest_id: AtomicU64,
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Rig {
    /// Where everything lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The executable that knows every role.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Whether faults may have all of this here.
    #[must_use]
    pub fn allows(&self, needs: &[Need]) -> bool {
        needs.iter().all(|need| self.ground.has(*need))
    }

    /// The mesh, for what sites and sensors need.
    pub fn with_mesh<T>(&self, act: impl FnOnce(&mut Mesh) -> T) -> T {
        act(&mut self.mesh.lock().unwrap())
    }

    /// Sleeps.
    ///
    /// # Errors
    /// Where everything is to end.
    pub fn rest(&self, span: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < span {
            anyhow::ensure!(!self.stopped.load(Ordering::Acquire), "stopped");
            std::thread::sleep(POLL.min(span.saturating_sub(begun.elapsed())));
        }
        Ok(())
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// Where it is not so in time, or everything is to end.
    pub fn until(
        &self,
        what: &str,
        patience: Duration,
        mut is: impl FnMut() -> bool,
    ) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        while !is() {
            anyhow::ensure!(begun.elapsed() < patience, "not within {patience:?}: {what}");
            self.rest(POLL)?;
        }
        Ok(begun.elapsed())
    }

    /// A volume of a node, where it has one.
    ///
    /// # Errors
    /// Where loop devices are not allowed here.
    pub fn volume(&self, node: usize) -> anyhow::Result<&Volume> {
        self.volumes.get(node).context("this node has no file system of its own")
    }

    /// The network.
    ///
    /// # Errors
    /// Where there is none here.
    pub fn network(&self) -> anyhow::Result<&Network> {
        self.network.as_ref().context("all processes are on one host")
    }

    /// A door to a node with the usual patience.
    #[must_use]
    pub fn door(&self, node: usize) -> &Door {
        &self.nodes[node].door
    }
}
