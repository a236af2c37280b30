//! How a node's consensus comes up: its volume, endpoint, log and snapshots, then openraft.

use std::io;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use openraft::ConfigError;
use openraft::storage::RaftLogStorage;
use wardmesh_common::id::NodeId;
use wardmesh_common::offload;
use wardmesh_common::time::Timestamp;
use wardmesh_common::tls::{NotAPrincipal, Principal, TlsError};

use super::node::Node;
use super::settings::Settings;
use super::volume::{self, VolumeError};
use super::{Consensus, room, upkeep, watch};
use crate::raft::REPLACE;
use crate::raft::codec::Malformed;
use crate::raft::log_store::{LogStore, end_process};
use crate::raft::network::{Network, Peers};
use crate::raft::proposer::gate::StampClock;
use crate::raft::proposer::{self, Queue};
use crate::raft::server::{self, BindError};
use crate::raft::snapshot::Snapshots;
use crate::raft::standing::Standing;
use crate::raft::state_machine::{Frozen, Machine, StateMachine};
use crate::raft::types::{Raft, TypeConfig};
use crate::state::command::Command;
use crate::state::receipt::Receipt;

/// Why consensus does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificate names nobody, or another.
    #[error("the certificate does not fit node {configured}: {why}")]
    Certificate {
        /// The node that is configured.
        configured: NodeId,
        /// What is wrong.
        why: String,
    },
    /// The volume is another node's, or cannot be written.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The volume's node was removed from its cluster: the way out.
    #[error("{0}")]
    Removed(String),
    /// The log of an admitted volume is gone, or the mark of a volume with a log: the way out.
    #[error("{0}")]
    Lost(String),
    /// The endpoint.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The identity.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The log or the snapshots cannot be opened.
    #[error("the {what} cannot be opened: {cause}")]
    Storage {
        /// Which of them.
        what: &'static str,
        /// Why not.
        cause: io::Error,
    },
    /// The timings contradict each other.
    #[error("the Raft timings do not fit together: {0}")]
    Timing(#[from] ConfigError),
    /// Openraft could not begin with what is stored.
    #[error("consensus cannot begin with what is stored: {0}")]
    Consensus(String),
}

impl Consensus {
    /// Opens endpoint, log and snapshots and starts. A node without a cluster answers probes and
    /// waits for [`initialise`](Self::initialise) on one of the members.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        settings: Settings,
        machine: Arc<dyn Machine>,
    ) -> Result<Arc<Self>, StartError> {
        let cluster = cluster(&settings)?;
        let (standing, log, snapshots) = open(&settings).await?;
        machine.attach(log.clone());
        let endpoint = server::bind(settings.raft_listen, &settings.identity)?;
        let peers = Peers::new(settings.node_id, cluster.clone(), &settings.identity)?;
        let parts = Parts { storage: log.clone(), log, snapshots, peers };
        let mut consensus = Self::begin(settings, standing, parts, machine).await?;
        let serving = server::run(endpoint.clone(), cluster, Arc::clone(&consensus.node));
        consensus.tasks.push(tokio::spawn(serving));
        consensus.endpoint = Some(endpoint);
        Ok(Arc::new(consensus))
    }

    /// Starts on these parts, without an endpoint: the others' calls come in by
    /// [`answer`](Self::answer).
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn over<L: RaftLogStorage<TypeConfig>>(
        settings: Settings,
        parts: Parts<L>,
        machine: Arc<dyn Machine>,
    ) -> Result<Self, StartError> {
        let (data, node_id) = (settings.data.clone(), settings.node_id);
        let standing = offload::run(move || stand(&data, node_id)).await;
        let failed = |cause| StartError::Storage { what: "marks", cause };
        Self::begin(settings, standing.map_err(failed)??, parts, machine).await
    }

    async fn begin<L: RaftLogStorage<TypeConfig>>(
        settings: Settings,
        standing: Standing,
        parts: Parts<L>,
        machine: Arc<dyn Machine>,
    ) -> Result<Self, StartError> {
        let Parts { storage, log, snapshots, peers } = parts;
        let config = Arc::new(settings.config(&cluster(&settings)?)?);
        let standing = Arc::new(standing);
        let peers = Arc::new(peers.standing(Arc::clone(&standing)));
        let clock = Arc::new(StampClock::new());
        let observed = Observed { machine, clock: Arc::clone(&clock), standing };
        let (standing, machine) = (Arc::clone(&observed.standing), Arc::new(observed));
        let state_machine =
            StateMachine::new(machine, Arc::clone(&snapshots)).or_end(end_process());
        let network = Network::new(Arc::clone(&peers));
        let raft = Raft::new(settings.node_id, config, network, storage, state_machine).await;
        let raft = raft.map_err(|cause| StartError::Consensus(cause.to_string()))?;
        let begun = raft.is_initialized().await;
        if begun.map_err(|cause| StartError::Consensus(cause.to_string()))? {
            standing.holds_a_log();
        }
        let (queue, waiting) = Queue::new();
        let node = Node::new(settings, raft, peers, clock, queue, snapshots, standing);
        let node = Arc::new(node);
        let tasks = vec![
            tokio::spawn(proposer::run(Arc::clone(&node), waiting)),
            tokio::spawn(upkeep::tick(Arc::clone(&node))),
            tokio::spawn(upkeep::compact(Arc::clone(&node), log.clone())),
            tokio::spawn(watch::run(Arc::clone(&node))),
            tokio::spawn(room::watch(Arc::clone(&node))),
            #[cfg(feature = "runtime-stats")]
            tokio::spawn(super::stages::report(Arc::clone(&node))),
        ];
        Ok(Self { node, endpoint: None, log, tasks })
    }

    /// Answers the bytes of another node's call, its length left out, and of a snapshot's file that
    /// follows it, with those of the reply.
    ///
    /// # Errors
    /// [`Malformed::Encode`]: none of today's replies can fail.
    pub async fn answer(
        &self,
        from: NodeId,
        request: Bytes,
        file: &[u8],
    ) -> Result<Bytes, Malformed> {
        self.node.serve_carried(from, request, file).await.encode()
    }
}

/// What consensus stands on.
pub struct Parts<L> {
    /// Where openraft keeps log and vote.
    pub storage: L,
    /// The log for whoever archives it; `storage` itself, but in a simulation.
    pub log: LogStore,
    /// The snapshots.
    pub snapshots: Arc<Snapshots>,
    /// The way to the other nodes.
    pub peers: Peers,
}

/// The cluster's name, from the certificate, which must be this node's.
fn cluster(settings: &Settings) -> Result<String, StartError> {
    let configured = settings.node_id;
    let wrong = |why: String| StartError::Certificate { configured, why };
    match settings.identity.principal() {
        Ok(Principal::Node { cluster, node }) if node == configured => Ok(cluster),
        Ok(other) => Err(wrong(format!("it is {other}'s"))),
        Err(cause @ NotAPrincipal::NoCertificate) => Err(wrong(cause.to_string())),
        Err(cause) => Err(wrong(cause.to_string())),
    }
}

/// To which cluster the volume was admitted. Blocking.
fn stand(data: &Path, node_id: NodeId) -> Result<Standing, StartError> {
    let failed = |cause| StartError::Storage { what: "marks", cause };
    Standing::open(data, node_id).map_err(failed)?.map_err(StartError::Removed)
}

/// What a volume holds.
type Opened = (Standing, LogStore, Arc<Snapshots>);

async fn open(settings: &Settings) -> Result<Opened, StartError> {
    let settings = settings.clone();
    let opening = tokio::task::spawn_blocking(move || open_blocking(&settings));
    let ended = |cause| StartError::Storage { what: "log", cause: io::Error::other(cause) };
    opening.await.unwrap_or_else(|cause| Err(ended(cause)))
}

fn open_blocking(settings: &Settings) -> Result<Opened, StartError> {
    let Settings { data, node_id, space, .. } = settings;
    volume::claim(data, *node_id)?;
    let failed = |what| move |cause| StartError::Storage { what, cause };
    // Who was removed opens and binds nothing.
    let standing = stand(data, *node_id)?;
    let folder = data.join("raft/log");
    let refused = |why: Option<String>| why.map_or(Ok(()), |why| Err(StartError::Lost(why)));
    refused(standing.lost_log(&folder).map_err(failed("log"))?)?;
    let log = LogStore::open(&folder, end_process()).map_err(failed("log"))?;
    refused(standing.lost_mark(&log))?;
    let log = log.on(Arc::clone(space));
    let folder = data.join("raft/snapshots");
    let snapshots = Snapshots::open(&folder).map_err(failed("snapshots"))?;
    refused(lost_snapshot(&log, &snapshots, &folder))?;
    Ok((standing, log, Arc::new(snapshots)))
}

/// Why a log must not be gone on with whose beginning was purged for a snapshot that is not here: the
/// state would begin from nothing in the middle of the log.
fn lost_snapshot(log: &LogStore, snapshots: &Snapshots, folder: &Path) -> Option<String> {
    let last = snapshots.current().and_then(|current| current.meta.last_log_id);
    let (next, first) = (last.map_or(0, |last| last.index.saturating_add(1)), log.kept().start);
    (first > next).then(|| {
        format!(
            "the Raft log begins at entry {first}, and no snapshot in {} reaches as far: it was \
             removed. Put it back if you have it; else {REPLACE}: it needs a new node id",
            folder.display()
        )
    })
}

/// A machine whose commands tell the clock what was stamped before, also in an earlier life, and whose
/// memberships tell who is out.
struct Observed {
    machine: Arc<dyn Machine>,
    clock: Arc<StampClock>,
    standing: Arc<Standing>,
}

impl Machine for Observed {
    fn apply(&self, index: u64, command: Option<&Command>) -> Receipt {
        if let Some(command) = command {
            self.clock.observe(command.at);
        }
        self.machine.apply(index, command)
    }

    fn reconfigure(&self, index: u64, gone: &[NodeId]) -> Receipt {
        let receipt = self.machine.reconfigure(index, gone);
        self.standing.learn(self.machine.retired());
        receipt
    }

    fn retired(&self) -> Vec<(NodeId, Timestamp)> {
        self.machine.retired()
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        self.machine.freeze()
    }

    fn restore(&self, index: u64, reader: &mut dyn Read) -> io::Result<()> {
        self.machine.restore(index, reader)?;
        self.standing.learn(self.machine.retired());
        Ok(())
    }
}
