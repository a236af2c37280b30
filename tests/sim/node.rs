//! A node of the simulation: the product's consensus, state and ingest on simulated edges.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, OnceLock};

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::mpsc;
use wardmesh_aggregator::ingest::{Ingest, Live, Registry, session};
use wardmesh_aggregator::metrics::Metrics;
use wardmesh_aggregator::raft::consensus::{Compaction, Consensus, Parts, Settings, Timing};
use wardmesh_aggregator::raft::log_store::{LogStore, end_process};
use wardmesh_aggregator::raft::network::Peers;
use wardmesh_aggregator::raft::snapshot::Snapshots;
use wardmesh_aggregator::raft::state_machine::{Frozen, Machine};
use wardmesh_aggregator::raft::types::Member;
use wardmesh_aggregator::replica::{Replica, Rows};
use wardmesh_aggregator::state::command::{Action, Command};
use wardmesh_aggregator::state::effects::AppliedBatch;
use wardmesh_aggregator::state::receipt::{BatchReceipt, Receipt};
use wardmesh_common::id::{NodeId, TenantId};
use wardmesh_common::space::{Limits, Room, Space};
use wardmesh_common::time::Timestamp;
use wardmesh_common::tls::authority::Authority;
use wardmesh_common::tls::{Identity, Principal};

use crate::client;
use crate::dice::Dice;
use crate::judge::{Alert, Applied, Fact, Judge};
use crate::log::{LogDisk, SimLog};
use crate::network::{Door, Inbound, Shared, Wire};
use crate::plant::Plant;
use crate::trace::digest;

/// The cluster's name.
pub(crate) const CLUSTER: &str = "sim";

/// What a run of a node is made of.
pub(crate) struct Start {
    pub(crate) id: NodeId,
    pub(crate) disk: LogDisk,
    pub(crate) data: PathBuf,
    pub(crate) dice: Dice,
    pub(crate) network: Shared,
    pub(crate) judge: Arc<Mutex<Judge>>,
    pub(crate) compaction: Compaction,
    pub(crate) plant: Option<Plant>,
}

/// A node that has started.
pub(crate) struct Up {
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) replica: Arc<Replica<NoRows>>,
    /// Why it stopped, once it has.
    pub(crate) stopped: Arc<OnceLock<String>>,
}

impl Up {
    /// The findings of its state.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        let state = self.replica.state();
        state.findings(&TenantId::default_tenant(), None).map(Alert::from).collect()
    }
}

/// A running node, once it has started.
pub(crate) type Running = Arc<OnceLock<Up>>;

/// The state without a store: the witness keeps what is to be known.
#[derive(Default)]
pub(crate) struct NoRows;

impl Rows for NoRows {
    fn commit(&self, _index: u64, _batches: Vec<AppliedBatch>) {}

    fn flush(&self) {}
}

/// A digest of what something says of itself.
fn digest_said(what: &impl Debug) -> u64 {
    digest(format!("{what:?}").as_bytes())
}

/// A digest of an entry's payload.
pub(crate) fn digest_of(payload: &wardmesh_aggregator::raft::types::Payload) -> u64 {
    match payload {
        openraft::EntryPayload::Normal(command) => digest_command(command),
        other => digest_said(other),
    }
}

fn digest_command(command: &Command) -> u64 {
    command.encode().map_or(0, |bytes| digest(&bytes))
}

/// A replica whose every step is put before the judge.
struct Witness {
    node: NodeId,
    replica: Arc<Replica<NoRows>>,
    disk: LogDisk,
    judge: Arc<Mutex<Judge>>,
}

impl Witness {
    fn saw(&self, index: u64, command: Option<&Command>, receipt: &Receipt) {
        let held = self.disk.lock().current.entries.get(&index).map(|entry| entry.log_id);
        let Some(log_id) = held else { return };
        let what = digest_said(&(command.map(digest_command), receipt));
        let applied = Applied { log_id, what, state: self.replica.state().digest() };
        let skipped = match (command.map(|command| &command.action), receipt) {
            (Some(Action::Skip(skip)), Receipt::Accepted) => {
                Some((skip.sensor.0[0].into(), (skip.lane, skip.epoch, skip.seq)))
            }
            _ => None,
        };
        let frames = taken(command, receipt);
        let mut judge = self.judge.lock();
        judge.applied(self.node, &applied, frames, skipped);
        if let Some(number) = command.and_then(|command| client::number(&command.action)) {
            judge.tell(&Fact::CarriedOut { number, index });
        }
    }
}

impl Machine for Witness {
    fn apply(&self, index: u64, command: Option<&Command>) -> Receipt {
        let receipt = self.replica.apply(index, command);
        self.saw(index, command, &receipt);
        receipt
    }

    fn reconfigure(&self, index: u64, gone: &[NodeId]) -> Receipt {
        let receipt = self.replica.reconfigure(index, gone);
        self.saw(index, None, &receipt);
        receipt
    }

    fn retired(&self) -> Vec<(NodeId, Timestamp)> {
        self.replica.retired()
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        self.replica.freeze()
    }

    fn restore(&self, index: u64, reader: &mut dyn Read) -> io::Result<()> {
        self.replica.restore(index, reader)?;
        let state = self.replica.state().digest();
        let mut judge = self.judge.lock();
        judge.count("restored");
        judge.note(format_args!("restore {} {index} {state:?}", self.node));
        judge.tell(&Fact::Restored { node: self.node, index, state });
        Ok(())
    }
}

/// The frames that a command brought anew.
fn taken<'a>(
    command: Option<&'a Command>,
    receipt: &'a Receipt,
) -> Box<dyn Iterator<Item = (u64, &'a [u8])> + 'a> {
    match (command.map(|command| &command.action), receipt) {
        (Some(Action::Ingest(submissions)), Receipt::Ingested(receipts)) => {
            let new = submissions.iter().zip(receipts);
            let new = new.filter(|(_, receipt)| **receipt == BatchReceipt::Applied);
            Box::new(new.map(|(one, _)| (one.sensor.0[0].into(), one.frame.as_ref())))
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// Ids that nodes may have in a run.
pub(crate) const IDS: NodeId = 9;

/// A folder for the files of a run: in memory where there is such a volume that may be written to.
pub(crate) fn files() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// A log that nobody writes: what a housekeeping would archive, if there were one here. Its files are
/// gone as soon as they are open.
static UNUSED: LazyLock<LogStore> = LazyLock::new(|| {
    let folder = files();
    LogStore::open(folder.path(), end_process()).expect("a log")
});

/// Certificates cost more than a run's minute: one a node and process.
static IDENTITIES: LazyLock<Mutex<(Authority, BTreeMap<NodeId, Identity>)>> =
    LazyLock::new(|| Mutex::new((Authority::new(CLUSTER).expect("an authority"), BTreeMap::new())));

fn identity(node: NodeId) -> Identity {
    let mut known = IDENTITIES.lock();
    if let Some(identity) = known.1.get(&node) {
        return identity.clone();
    }
    let principal = Principal::Node { cluster: CLUSTER.to_owned(), node };
    let identity = known.0.issue(&principal).expect("a certificate").identity();
    known.1.insert(node, identity.clone());
    identity
}

/// Makes what all runs of a process share, before its clock is the simulation's.
pub(crate) fn warm_up() {
    LazyLock::force(&UNUSED);
    (1..=IDS).for_each(|node| drop(identity(node)));
}

pub(crate) fn member(node: NodeId) -> Member {
    Member {
        name: format!("node-{node}"),
        raft_address: format!("node-{node}:4434"),
        ingest_address: format!("node-{node}:4433"),
        http_address: format!("node-{node}:8443"),
    }
}

fn settings(start: &Start) -> Settings {
    // Nodes tell each other the folder's name: it must be the same in every run.
    let folder = PathBuf::from(format!("/sim/node-{}", start.id));
    let limits = Limits { low: 2, reserve: 1 };
    Settings {
        node_id: start.id,
        member: member(start.id),
        data: start.data.clone(),
        raft_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        identity: identity(start.id),
        timing: Timing::default(),
        lease_reads: false,
        compaction: start.compaction,
        archived_through: Arc::new(|| u64::MAX),
        unarchived_bytes: Arc::new(|| 0),
        space: Arc::new(Space::told_by(folder, limits, Box::new(|_| Some(Room::UNKNOWN)))),
    }
}

/// Runs a node until its runtime is dropped.
pub(crate) async fn run(start: Start, running: Running, door: impl FnOnce(Door)) {
    let (calls, inbound) = mpsc::unbounded_channel();
    let (links, mut dialled) = mpsc::unbounded_channel();
    door(Door { calls, links });
    let settings = settings(&start);
    let Start { id, disk, data, dice, network, judge, plant, .. } = start;
    let storage = SimLog::open(id, Arc::clone(&disk), dice, Arc::clone(&judge), plant);
    let peers = Peers::new(id, CLUSTER.to_owned(), &settings.identity).expect("peers");
    let wire = Wire { from: id, network: Arc::clone(&network) };
    let snapshots = Snapshots::open(&data.join("raft/snapshots")).expect("snapshots");
    let snapshots = Arc::new(snapshots);
    let parts =
        Parts { storage, log: UNUSED.clone(), snapshots, peers: peers.carried(Arc::new(wire)) };
    let replica = Arc::new(Replica::new(Arc::new(NoRows)));
    let machine = Witness { node: id, replica: Arc::clone(&replica), disk, judge };
    let started = Consensus::over(settings, parts, Arc::new(machine)).await;
    // A volume that was marked as a removed node's is not served any more.
    let Ok(consensus) = started.map(Arc::new) else { return };
    let ingest = Arc::new(Ingest {
        consensus: Arc::clone(&consensus),
        registry: Arc::clone(&replica) as Arc<dyn Registry>,
        metrics: Arc::new(Metrics::new()),
        cluster: CLUSTER.to_owned(),
        live: Live::default(),
    });
    let stopped = Arc::new(OnceLock::new());
    let (stopping, until) = (Arc::clone(&stopped), Arc::clone(&consensus));
    tokio::spawn(async move { stopping.set(until.stopped().await) });
    let _ = running.set(Up { consensus: Arc::clone(&consensus), replica, stopped });
    tokio::spawn(answer(id, inbound, network, consensus));
    while let Some(link) = dialled.recv().await {
        tokio::spawn(session::serve(Arc::clone(&ingest), link));
    }
}

/// Answers the other nodes' calls.
async fn answer(
    id: NodeId,
    mut inbound: mpsc::UnboundedReceiver<Inbound>,
    network: Shared,
    consensus: Arc<Consensus>,
) {
    while let Some(Inbound { from, bytes, file, answer }) = inbound.recv().await {
        let (network, consensus) = (Arc::clone(&network), Arc::clone(&consensus));
        tokio::spawn(async move {
            let reply = consensus.answer(from, bytes, &file).await.expect("a reply");
            if let Some(answer) = answer {
                network.lock().answer((id, from), reply, answer);
            }
        });
    }
}
