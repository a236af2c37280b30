//! How a node's consensus comes up: its volume, endpoint, log and snapshots, then openraft.

use std::io;
use std::io::Read;
use std::sync::Arc;

use openraft::ConfigError;
use wardmesh_common::id::NodeId;
use wardmesh_common::tls::{NotAPrincipal, Principal, TlsError};

use super::node::Node;
use super::settings::Settings;
use super::volume::{self, VolumeError};
use super::{Consensus, room, upkeep};
use crate::raft::log_store::{LogStore, end_process};
use crate::raft::network::{Network, Peers};
use crate::raft::proposer::gate::StampClock;
use crate::raft::proposer::{self, Queue};
use crate::raft::server::{self, BindError};
use crate::raft::snapshot::Snapshots;
use crate::raft::state_machine::{Frozen, Machine, StateMachine};
use crate::raft::types::Raft;
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
        let config = Arc::new(settings.config(&cluster)?);
        let (log, snapshots) = open(&settings).await?;
        let endpoint = server::bind(settings.raft_listen, &settings.identity)?;
        let peers = Peers::new(settings.node_id, cluster.clone(), &settings.identity)?;
        let peers = Arc::new(peers);
        let clock = Arc::new(StampClock::new());
        let machine = Arc::new(Observed { machine, clock: Arc::clone(&clock) });
        let state_machine =
            StateMachine::new(machine, Arc::clone(&snapshots)).or_end(end_process());
        let network = Network::new(Arc::clone(&peers));
        let raft = Raft::new(settings.node_id, config, network, log.clone(), state_machine).await;
        let raft = raft.map_err(|cause| StartError::Consensus(cause.to_string()))?;
        let (queue, waiting) = Queue::new();
        let node = Arc::new(Node::new(settings, raft, peers, clock, queue, snapshots));
        let tasks = vec![
            tokio::spawn(server::run(endpoint.clone(), cluster, Arc::clone(&node))),
            tokio::spawn(proposer::run(Arc::clone(&node), waiting)),
            tokio::spawn(upkeep::tick(Arc::clone(&node))),
            tokio::spawn(upkeep::compact(Arc::clone(&node))),
            tokio::spawn(room::watch(Arc::clone(&node))),
        ];
        Ok(Arc::new(Self { node, endpoint, log, tasks }))
    }
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

async fn open(settings: &Settings) -> Result<(LogStore, Arc<Snapshots>), StartError> {
    let settings = settings.clone();
    let opening = tokio::task::spawn_blocking(move || open_blocking(&settings));
    let ended = |cause| StartError::Storage { what: "log", cause: io::Error::other(cause) };
    opening.await.unwrap_or_else(|cause| Err(ended(cause)))
}

fn open_blocking(settings: &Settings) -> Result<(LogStore, Arc<Snapshots>), StartError> {
    let Settings { data, node_id, space, .. } = settings;
    volume::claim(data, *node_id)?;
    let failed = |what| move |cause| StartError::Storage { what, cause };
    let log = LogStore::open(&data.join("raft/log"), end_process()).map_err(failed("log"))?;
    let log = log.on(Arc::clone(space));
    let snapshots = Snapshots::open(&data.join("raft/snapshots")).map_err(failed("snapshots"))?;
    Ok((log, Arc::new(snapshots)))
}

/// A machine whose commands tell the clock what was stamped before, also in an earlier life.
struct Observed {
    machine: Arc<dyn Machine>,
    clock: Arc<StampClock>,
}

impl Machine for Observed {
    fn apply(&self, index: u64, command: Option<&Command>) -> Receipt {
        if let Some(command) = command {
            self.clock.observe(command.at);
        }
        self.machine.apply(index, command)
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        self.machine.freeze()
    }

    fn restore(&self, index: u64, reader: &mut dyn Read) -> io::Result<()> {
        self.machine.restore(index, reader)
    }
}
