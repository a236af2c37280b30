//! Three nodes of one cluster, and the machine that remembers.

use std::collections::BTreeMap;
use std::io;
use std::net::UdpSocket;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tempfile::TempDir;
use wardmesh_common::id::{ClusterId, NodeId, SensorId};
use wardmesh_common::map::HashKey;
use wardmesh_common::space::{Limits, Room, Space};
use wardmesh_common::time::Timestamp;
use wardmesh_common::tls::{Identity, Principal, authority::Authority};

use crate::raft::consensus::{Compaction, Consensus, Settings, StartError, Timing};
use crate::raft::state_machine::{Frozen, Machine};
use crate::raft::types::Member;
use crate::state::command::{Action, Command, ReportNode, Submission};
use crate::state::receipt::{BatchReceipt, Receipt};

pub(super) fn submission(sensor: u8, number: u64) -> Submission {
    let frame = Bytes::copy_from_slice(&number.to_le_bytes());
    Submission { sensor: SensorId([sensor; 16]), clock_offset: 0, frame }
}

pub(super) fn found() -> Action {
    Action::Found { cluster: ClusterId([1; 16]), key: HashKey([2; 16]), admin_token: [3; 32] }
}

/// Remembers (sensor, number) of each batch in its order. Like the real one it takes a sensor's
/// batches in order only, so that what is sent again after a failure does no harm.
#[derive(Default)]
pub(super) struct Tally {
    batches: Mutex<Vec<(u8, u64)>>,
    commands: AtomicUsize,
    reports: Mutex<Vec<ReportNode>>,
    restored: AtomicUsize,
    last: Mutex<Timestamp>,
    retired: Mutex<Vec<(NodeId, Timestamp)>>,
}

impl Tally {
    pub(super) fn batches(&self) -> Vec<(u8, u64)> {
        self.batches.lock().clone()
    }

    pub(super) fn of(&self, sensor: u8) -> Vec<u64> {
        self.batches().iter().filter(|(of, _)| *of == sensor).map(|(_, number)| *number).collect()
    }

    pub(super) fn last(&self) -> Timestamp {
        *self.last.lock()
    }

    pub(super) fn commands(&self) -> usize {
        self.commands.load(Ordering::Relaxed)
    }

    pub(super) fn reports(&self) -> Vec<ReportNode> {
        self.reports.lock().clone()
    }

    pub(super) fn restored(&self) -> usize {
        self.restored.load(Ordering::Relaxed)
    }

    fn take(&self, submission: &Submission) -> BatchReceipt {
        let number = u64::from_le_bytes(submission.frame[..8].try_into().unwrap());
        let sensor = submission.sensor.0[0];
        let expected = self.of(sensor).len() as u64;
        match number.cmp(&expected) {
            std::cmp::Ordering::Less => BatchReceipt::Duplicate { watermark: expected - 1 },
            std::cmp::Ordering::Greater => BatchReceipt::Gap { expected },
            std::cmp::Ordering::Equal => {
                self.batches.lock().push((sensor, number));
                BatchReceipt::Applied
            }
        }
    }
}

impl Machine for Tally {
    fn apply(&self, _index: u64, command: Option<&Command>) -> Receipt {
        let Some(command) = command else { return Receipt::Done };
        let mut last = self.last.lock();
        assert!(*last <= command.at, "the commands' clock went back");
        *last = command.at;
        self.commands.fetch_add(1, Ordering::Relaxed);
        match &command.action {
            Action::Found { cluster, .. } => Receipt::Founded(*cluster),
            Action::Ingest(submissions) => {
                Receipt::Ingested(submissions.iter().map(|one| self.take(one)).collect())
            }
            Action::Tick => Receipt::Done,
            Action::ReportNode(report) => {
                self.reports.lock().push(report.clone());
                Receipt::Done
            }
            _ => Receipt::Accepted,
        }
    }

    fn reconfigure(&self, _index: u64, gone: &[NodeId]) -> Receipt {
        let at = *self.last.lock();
        self.retired.lock().extend(gone.iter().map(|node| (*node, at)));
        Receipt::Done
    }

    fn retired(&self) -> Vec<(NodeId, Timestamp)> {
        self.retired.lock().clone()
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        Box::new(Written(self.batches()))
    }

    fn restore(&self, _index: u64, reader: &mut dyn io::Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let read = |chunk: &[u8]| (chunk[0], u64::from_le_bytes(chunk[1..9].try_into().unwrap()));
        *self.batches.lock() = bytes.chunks(9).map(read).collect();
        self.restored.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

struct Written(Vec<(u8, u64)>);

impl Frozen for Written {
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for (sensor, number) in &self.0 {
            out.write_all(&[*sensor])?;
            out.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    }
}

/// Where the volumes' levels begin.
pub(super) const LIMITS: Limits = Limits { low: 64 << 20, reserve: 16 << 20 };

/// A node of a [`Trio`]: its settings outlive its runs.
struct Seat {
    settings: Settings,
    free: Arc<AtomicU64>,
    running: Option<(Arc<Consensus>, Arc<Tally>)>,
}

/// Three nodes of one cluster, numbered from 1.
pub(super) struct Trio {
    pub(super) authority: Authority,
    nodes: BTreeMap<NodeId, Seat>,
    folder: TempDir,
    unarchived: Arc<AtomicU64>,
}

pub(super) fn identity(authority: &Authority, node: NodeId) -> Identity {
    let principal = Principal::Node { cluster: "test".into(), node };
    authority.issue(&principal).unwrap().identity()
}

/// An address that nobody listens at; the socket that found it is closed again.
fn free_address() -> std::net::SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn settings(
    folder: &TempDir,
    authority: &Authority,
    unarchived: &Arc<AtomicU64>,
    node_id: NodeId,
) -> (Settings, Arc<AtomicU64>) {
    let address = free_address();
    let member = Member {
        name: format!("node-{node_id}"),
        raft_address: address.to_string(),
        ..Member::default()
    };
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let told = Arc::clone(&free);
    let probe = move |_: &Path| {
        Some(Room { free: told.load(Ordering::Relaxed), total: u64::MAX, files: true })
    };
    let unarchived = Arc::clone(unarchived);
    let settings = Settings {
        node_id,
        member,
        data: folder.path().join(node_id.to_string()),
        raft_listen: address,
        identity: identity(authority, node_id),
        timing: Timing::default(),
        lease_reads: false,
        compaction: Compaction { keep_entries: 0, laggard_entries: 0, ..Compaction::default() },
        archived_through: Arc::new(|| u64::MAX),
        unarchived_bytes: Arc::new(move || unarchived.load(Ordering::Relaxed)),
        space: Arc::new(Space::told_by(folder.path().to_owned(), LIMITS, Box::new(probe))),
    };
    (settings, free)
}

impl Trio {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("test").unwrap();
        let (mut nodes, unarchived) = (BTreeMap::new(), Arc::default());
        for node_id in 1..=3 {
            let (settings, free) = settings(&folder, &authority, &unarchived, node_id);
            nodes.insert(node_id, Seat { settings, free, running: None });
        }
        let mut trio = Self { authority, nodes, folder, unarchived };
        for node_id in 1..=3 {
            trio.restart(node_id).await;
        }
        trio
    }

    pub(super) fn seeds(&self) -> Vec<String> {
        self.nodes.values().map(|node| node.settings.member.raft_address.clone()).collect()
    }

    pub(super) async fn initialise(&self, on: NodeId) {
        let founded = self.node(on).initialise(3, &self.seeds(), found()).await.unwrap();
        assert_eq!(founded.0, Receipt::Founded(ClusterId([1; 16])));
    }

    pub(super) async fn restart(&mut self, node_id: NodeId) {
        let node = self.nodes.get_mut(&node_id).unwrap();
        let begun = std::time::Instant::now();
        loop {
            let machine = Arc::new(Tally::default());
            let started = Consensus::start(node.settings.clone(), Arc::clone(&machine) as _).await;
            match started {
                // Somebody's client had the port for a moment.
                Err(StartError::Bind(_)) if begun.elapsed() < Duration::from_secs(5) => {
                    pause().await;
                }
                started => return node.running = Some((started.unwrap(), machine)),
            }
        }
    }

    /// Starts one more node, empty and no member.
    pub(super) async fn start_empty(&mut self, node_id: NodeId) {
        let (settings, free) = settings(&self.folder, &self.authority, &self.unarchived, node_id);
        self.nodes.insert(node_id, Seat { settings, free, running: None });
        self.restart(node_id).await;
    }

    /// Why a node that does not run does not start again.
    pub(super) async fn refused_start(&self, node_id: NodeId) -> String {
        let settings = self.nodes[&node_id].settings.clone();
        let started = Consensus::start(settings, Arc::new(Tally::default())).await;
        started.err().expect("it has started").to_string()
    }

    /// Throws away what a node that does not run has on its disk.
    pub(super) fn wipe(&self, node_id: NodeId) {
        std::fs::remove_dir_all(&self.nodes[&node_id].settings.data).unwrap();
    }

    /// A node's volume.
    pub(super) fn data(&self, node_id: NodeId) -> &std::path::Path {
        &self.nodes[&node_id].settings.data
    }

    /// Where a node is, for the others.
    pub(super) fn address(&self, node_id: NodeId) -> String {
        self.nodes[&node_id].settings.member.raft_address.clone()
    }

    /// Gives a node that does not run another address.
    pub(super) fn relocate(&mut self, node_id: NodeId) {
        let address = free_address();
        let settings = &mut self.nodes.get_mut(&node_id).unwrap().settings;
        (settings.raft_listen, settings.member.raft_address) = (address, address.to_string());
    }

    /// Takes a node out of the trio, still running.
    pub(super) fn take(&mut self, node_id: NodeId) -> Arc<Consensus> {
        self.nodes.get_mut(&node_id).unwrap().running.take().unwrap().0
    }

    pub(super) async fn halt(&mut self, node_id: NodeId) {
        self.take(node_id).halt().await;
    }

    pub(super) async fn leave(&mut self, node_id: NodeId) {
        self.take(node_id).shutdown().await;
    }

    pub(super) async fn shutdown(mut self) {
        for node in self.nodes.values_mut() {
            if let Some((consensus, _)) = node.running.take() {
                consensus.halt().await;
            }
        }
    }

    pub(super) fn node(&self, node_id: NodeId) -> &Consensus {
        &self.nodes[&node_id].running.as_ref().unwrap().0
    }

    /// Has a node's volume told to have so many bytes left.
    pub(super) fn leave_room(&self, node_id: NodeId, free: u64) {
        self.nodes[&node_id].free.store(free, Ordering::Relaxed);
    }

    /// Has all nodes told that so many bytes are not archived yet.
    pub(super) fn unarchived(&self, bytes: u64) {
        self.unarchived.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn machine(&self, node_id: NodeId) -> &Tally {
        &self.nodes[&node_id].running.as_ref().unwrap().1
    }

    fn running(&self) -> impl Iterator<Item = (NodeId, &Consensus, &Tally)> {
        self.nodes.iter().filter_map(|(id, node)| {
            node.running.as_ref().map(|(consensus, machine)| (*id, &**consensus, &**machine))
        })
    }

    /// The node that leads, once all running nodes say so and it is running.
    pub(super) async fn leader(&self) -> NodeId {
        loop {
            let said: Vec<_> =
                self.running().map(|(_, node, _)| node.status().leader.map(|(id, _)| id)).collect();
            if let Some(Some(leader)) = said.first()
                && said.iter().all(|other| *other == Some(*leader))
                && self.nodes[leader].running.is_some()
            {
                return *leader;
            }
            pause().await;
        }
    }

    /// A running node that is not this one.
    pub(super) fn other_than(&self, node_id: NodeId) -> NodeId {
        self.running().map(|(id, ..)| id).find(|id| *id != node_id).unwrap()
    }

    /// Submits as a session does: all at once in their order, and again from the first that was not
    /// taken.
    pub(super) async fn submit_all(&self, on: NodeId, sensor: u8, numbers: Range<u64>) {
        let mut next = numbers.start;
        while next < numbers.end {
            let sent = (next..numbers.end).map(|n| self.node(on).enqueue(submission(sensor, n)));
            for answer in futures::future::join_all(sent).await {
                match answer {
                    Ok((BatchReceipt::Applied | BatchReceipt::Duplicate { .. }, _)) => next += 1,
                    _ => break,
                }
            }
            pause().await;
        }
    }

    /// Waits until all running nodes have so many batches, the same in the same order.
    pub(super) async fn agree(&self, count: usize) {
        loop {
            let batches: Vec<_> = self.running().map(|(_, _, machine)| machine.batches()).collect();
            if batches.iter().all(|one| one.len() == count) {
                assert!(batches.iter().all(|one| *one == batches[0]));
                return;
            }
            pause().await;
        }
    }

    /// Snapshots and purges until the log is gone.
    pub(super) async fn purge(&self, on: NodeId) {
        let applied = self.node(on).status().applied;
        while self.node(on).log().kept().start < applied {
            self.node(on).snapshot_and_purge().await.unwrap();
            pause().await;
        }
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
