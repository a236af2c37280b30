//! The nodes of a rig: killed, started, put to sleep, asked. A fault claims a node first, so that two
//! faults do not fight over one.

use std::process::ExitStatus;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use super::{NODES, PATIENCE, Rig};
use crate::door::Door;
use crate::shell::run;

/// How old a node's word may be to count.
const FRESH: Duration = Duration::from_secs(2);

/// One node's place.
#[derive(Debug)]
pub struct Seat {
    /// Its API.
    pub door: Door,
    /// What it said last of itself.
    pub view: Mutex<Option<View>>,
    /// The id of the node that sits here now.
    pub id: AtomicU64,
    claimed: AtomicBool,
    /// Whether it should run.
    up: AtomicBool,
}

/// What a node says of itself.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// When it was asked.
    pub at: Instant,
    /// The id of the node that it follows.
    pub leader: Option<u64>,
    /// Its term.
    pub term: u64,
    /// What it has applied.
    pub applied: u64,
}

impl View {
    /// Reads `/api/v1/cluster`.
    #[must_use]
    pub fn read(at: Instant, cluster: &Value) -> Option<Self> {
        Some(Self {
            at,
            leader: cluster["leader"].as_u64(),
            term: cluster["term"].as_u64()?,
            applied: cluster["applied"].as_u64()?,
        })
    }
}

/// A node or sensor that one fault has for itself.
#[derive(Debug)]
pub struct Claim<'a> {
    flag: &'a AtomicBool,
    /// Its place.
    pub place: usize,
}

impl<'a> Claim<'a> {
    pub(super) fn of(flag: &'a AtomicBool, place: usize) -> Option<Self> {
        // Not `then_some`: one that is made in vain would give the place free when it is dropped.
        (!flag.swap(true, Ordering::AcqRel)).then(|| Self { flag, place })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.flag.store(false, Ordering::Release);
    }
}

impl Seat {
    pub(super) fn new(id: u64, door: Door) -> Self {
        Self {
            door,
            view: Mutex::new(None),
            id: AtomicU64::new(id),
            claimed: AtomicBool::new(false),
            up: AtomicBool::new(true),
        }
    }

    /// Whether it should run.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// Asks it where it stands, and keeps the answer.
    pub fn look(&self) -> Option<View> {
        let at = Instant::now();
        let cluster = self.door.patient(Duration::from_secs(1)).json("/api/v1/cluster")?;
        let view = View::read(at, &cluster)?;
        *self.view.lock().unwrap() = Some(view);
        Some(view)
    }

    fn fresh(&self) -> Option<View> {
        self.view.lock().unwrap().filter(|view| self.is_up() && view.at.elapsed() < FRESH)
    }
}

impl Rig {
    /// Claims a node, if no other fault has it.
    #[must_use]
    pub fn claim(&self, node: usize) -> Option<Claim<'_>> {
        Claim::of(&self.nodes.get(node)?.claimed, node)
    }

    /// How many nodes are claimed.
    #[must_use]
    pub fn claimed(&self) -> usize {
        self.nodes.iter().filter(|seat| seat.claimed.load(Ordering::Acquire)).count()
    }

    /// Claims the node that a majority follows, when there is one.
    #[must_use]
    pub fn claim_leader(&self) -> Option<Claim<'_>> {
        self.leader().and_then(|leader| self.claim(leader))
    }

    /// Claims a node that does not lead, but only while the others are free: else a majority would be
    /// gone.
    #[must_use]
    pub fn claim_follower(&self, turn: usize) -> Option<Claim<'_>> {
        let leader = self.leader()?;
        let follower = (0..NODES).map(|at| (at + turn) % NODES).find(|at| *at != leader)?;
        (self.claimed() == 0).then(|| self.claim(follower)).flatten()
    }

    /// Claims all nodes, or none.
    #[must_use]
    pub fn claim_all(&self) -> Option<Vec<Claim<'_>>> {
        (0..NODES).map(|node| self.claim(node)).collect()
    }

    /// The nodes beside one.
    #[must_use]
    pub fn others(&self, node: usize) -> Vec<usize> {
        (0..NODES).filter(|other| *other != node).collect()
    }

    /// The node that a majority says it follows, by the watch's last looks.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let named: Vec<_> =
            self.nodes.iter().filter_map(Seat::fresh).filter_map(|view| view.leader).collect();
        let follow = |id: u64| named.iter().filter(|named| **named == id).count();
        (0..NODES)
            .filter(|node| self.nodes[*node].is_up())
            .find(|node| follow(self.nodes[*node].id.load(Ordering::Acquire)) * 2 > NODES)
    }

    /// Waits for such a leader, looking itself.
    ///
    /// # Errors
    /// Where there is none in time.
    pub fn await_leader(&self) -> anyhow::Result<usize> {
        let mut leader = None;
        self.until("a leader that a majority follows", PATIENCE, || {
            for seat in self.nodes.iter().filter(|seat| seat.is_up()) {
                seat.look();
            }
            leader = self.leader();
            leader.is_some()
        })?;
        leader.context("a leader")
    }

    /// Kills a node with SIGKILL.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub fn kill(&self, node: usize) -> anyhow::Result<()> {
        self.with_mesh(|mesh| {
            self.nodes[node].up.store(false, Ordering::Release);
            let killed = mesh.kill_node(node);
            // What it said of a leader holds no more once it is back.
            *self.nodes[node].view.lock().unwrap() = None;
            killed
        })
    }

    /// From now on the end of this node is no surprise.
    pub fn expect_end(&self, node: usize) {
        self.with_mesh(|_| self.nodes[node].up.store(false, Ordering::Release));
    }

    /// From now on it is one again.
    pub fn expect_life(&self, node: usize) {
        self.with_mesh(|_| self.nodes[node].up.store(true, Ordering::Release));
    }

    /// How a node has ended by itself, if it has.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn ended(&self, node: usize) -> anyhow::Result<Option<ExitStatus>> {
        self.with_mesh(|mesh| mesh.node_end(node))
    }

    /// The same of a node that should run: then it is a surprise.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn ended_by_itself(&self, node: usize) -> anyhow::Result<Option<ExitStatus>> {
        self.with_mesh(|mesh| match self.nodes[node].is_up() {
            true => mesh.node_end(node),
            false => Ok(None),
        })
    }

    /// Starts a node.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(&self, node: usize) -> anyhow::Result<()> {
        self.with_mesh(|mesh| {
            mesh.start_node(node)?;
            self.nodes[node].up.store(true, Ordering::Release);
            Ok(())
        })
    }

    /// Waits until a node answers and has heard a leader.
    ///
    /// # Errors
    /// Where it does not in time.
    pub fn await_ready(&self, node: usize) -> anyhow::Result<Duration> {
        let door = self.door(node).patient(Duration::from_secs(2));
        let ready = || door.read("/readyz").is_ok_and(|answer| answer.is_good());
        self.until(&format!("node {} is ready", node + 1), PATIENCE, ready)
    }

    /// Starts a node and waits until it is ready.
    ///
    /// # Errors
    /// As for both.
    pub fn restart(&self, node: usize) -> anyhow::Result<()> {
        self.start(node)?;
        self.await_ready(node).map(drop)
    }

    /// Wipes the disk of a node that does not run, and puts a new node with another id in its place,
    /// which does not run yet and is no member; returns the ids of both and the new one's address.
    ///
    /// # Errors
    /// Where its files cannot be changed.
    pub fn renew(&self, node: usize) -> anyhow::Result<(u64, u64, String)> {
        let new = self.highest_id.fetch_add(1, Ordering::AcqRel) + 1;
        let old = self.nodes[node].id.swap(new, Ordering::AcqRel);
        self.with_mesh(|mesh| {
            // The folder itself may be where a file system is mounted.
            for entry in std::fs::read_dir(&mesh.nodes()[node].data)?.flatten() {
                let path = entry.path();
                let removed = match path.is_dir() {
                    true => std::fs::remove_dir_all(&path),
                    false => std::fs::remove_file(&path),
                };
                // What belongs to the file system itself stays.
                removed.or_else(
                    |cause| if path.ends_with("lost+found") { Ok(()) } else { Err(cause) },
                )?;
            }
            mesh.renew_node(node, new)?;
            Ok((old, new, mesh.nodes()[node].raft_address.clone()))
        })
    }

    /// The process of a node that runs.
    #[must_use]
    pub fn pid(&self, node: usize) -> Option<u32> {
        self.with_mesh(|mesh| mesh.nodes()[node].child().map(wardmesh_cli::local::Child::id))
    }

    /// Sends a node's process a signal, such as `STOP`.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn signal(&self, node: usize, name: &str) -> anyhow::Result<()> {
        let pid = self.pid(node).context("the node does not run")?;
        run(&["kill", "-s", name, &pid.to_string()]).map(drop)
    }
}
