//! One replica's consensus as the rest of the node sees it: submit, propose, read, stand, stop.
//!
//! It ties openraft to the log, the peers and the proposer; nobody outside `raft/` needs more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use quinn::Endpoint;
use tokio::task::JoinHandle;
use wardmesh_common::id::NodeId;
use wardmesh_common::time::Timestamp;

use super::log_store::LogStore;
use super::proposer::{Answer, Unavailable};
use super::rpc::{NodeStatus, Reply, Request};
use super::types::Member;
use crate::state::command::{Action, Submission};
use crate::state::receipt::Receipt;

mod change;
mod hand_over;
mod history;
mod init;
mod membership;
pub(super) mod node;
mod probe;
mod propose;
mod read;
mod room;
mod service;
mod settings;
#[cfg(feature = "runtime-stats")]
mod stages;
mod start;
#[cfg(test)]
mod tests;
mod upkeep;
mod volume;
mod watch;

pub use crate::raft::rpc::{Change, ChangeError, Changed, Role};
pub use history::{History, HistoryError};
pub use init::InitError;
pub use read::{Consistency, ReadError};
pub use settings::{Compaction, Settings, Timing};
pub use start::{Parts, StartError};

use node::Node;

/// How long a member may take to say how it stands.
const STATUS_PATIENCE: Duration = Duration::from_millis(500);

/// How long closed connections may linger so that the peers learn of it.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);

/// How a node stands in its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Its id.
    pub node_id: NodeId,
    /// Whom it follows, itself included.
    pub leader: Option<(NodeId, Member)>,
    /// Its term.
    pub term: u64,
    /// The last index that it knows to be committed; 0 before the first.
    pub committed: u64,
    /// The last index that it has applied; 0 before the first.
    pub applied: u64,
    /// The last index in its newest snapshot; 0 before the first.
    pub snapshot: u64,
    /// How long ago it heard of its leader; as leader, of a quorum. `None` if never.
    pub last_leader_contact: Option<Duration>,
    /// The members that vote.
    pub voters: Vec<NodeId>,
    /// All members; empty before the cluster's init.
    pub members: BTreeMap<NodeId, Member>,
}

/// How a member stands, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its id.
    pub node_id: NodeId,
    /// How it is reached.
    pub member: Member,
    /// Whether it votes.
    pub voter: bool,
    /// What it said, or why it said nothing.
    pub status: Result<NodeStatus, String>,
}

/// What consensus counts, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of batches that wait or are on their way.
    pub queued_bytes: usize,
    /// Batches that found no room in the queue.
    pub overloads: u64,
    /// Connections to the Raft endpoint that were turned away.
    pub refused_connections: u64,
    /// Calls to it that were unreadable, or in another's name.
    pub refused_calls: u64,
    /// Stamps that were held back because the wall clock had stepped ahead.
    pub clock_steps_ahead: u64,
    /// Stamps that repeat the last because the wall clock had stepped back.
    pub clock_steps_back: u64,
}

/// One replica's running consensus.
pub struct Consensus {
    node: Arc<Node>,
    /// `None` where something else than QUIC carries the calls.
    endpoint: Option<Endpoint>,
    log: LogStore,
    tasks: Vec<JoinHandle<()>>,
}

impl Consensus {
    /// Takes in one batch, on any node: it stands at the queue's end now, and the future gives its
    /// receipt, or [`Unavailable`], once the leader has applied it. The order is that of the calls.
    pub fn enqueue(&self, submission: Submission) -> impl Future<Output = Answer> + use<> {
        let queued = self.node.queue.put(submission);
        async move {
            let stopped = Unavailable::Stopped("consensus is shutting down".to_owned());
            queued?.await.unwrap_or(Err(stopped))
        }
    }

    /// The best guess at the time: the wall clock, unless the cluster's agreed time shows it wrong.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.node.clock.now()
    }

    /// Proposes any other command, on any node, and waits until the leader has applied it.
    ///
    /// # Errors
    /// [`Unavailable`]: on [`Unavailable::Unknown`] it may have been applied.
    pub async fn propose(&self, action: Action) -> Result<(Receipt, u64), Unavailable> {
        self.node.propose(action).await
    }

    /// The index up to which this node has applied, once that satisfies `consistency`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_index(&self, consistency: Consistency) -> Result<u64, ReadError> {
        self.node.read_index(consistency).await
    }

    /// How this node stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.node.status()
    }

    /// How every member stands: each is asked, at once and with little patience.
    pub async fn members(&self) -> Vec<MemberStatus> {
        let Status { voters, members, .. } = self.node.status();
        let asking = members.into_iter().map(|(node_id, member)| {
            let voter = voters.contains(&node_id);
            async move {
                let status = self.node_status(node_id, &member).await;
                MemberStatus { node_id, member, voter, status }
            }
        });
        futures::future::join_all(asking).await
    }

    async fn node_status(&self, node_id: NodeId, member: &Member) -> Result<NodeStatus, String> {
        if node_id == self.node.id {
            return Ok(self.node.node_status());
        }
        let peer = node::peer(node_id, member);
        match self.node.peers.call(&peer, &Request::Status, STATUS_PATIENCE).await {
            Ok(Reply::Status(status)) => Ok(status),
            Ok(other) => Err(format!("it answered: {other:?}")),
            Err(cause) => Err(cause.to_string()),
        }
    }

    /// Builds a snapshot now and purges the log as far as the settings allow.
    ///
    /// # Errors
    /// [`Unavailable::DiskFull`] where there is no room for one; the log is purged all the same.
    pub async fn snapshot_and_purge(&self) -> Result<(), Unavailable> {
        upkeep::snapshot_and_purge(&self.node, &self.log).await
    }

    /// Has the next life of this node report that its volume ran full, since this one has to end first.
    /// Blocking.
    pub fn remember_shortage(&self) {
        self.node.remember_shortage();
    }

    /// Stops this node with a reason: what is on its disk is not what it wrote.
    pub fn stop(&self, why: String) {
        self.node.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(why);
            first
        });
    }

    /// The log, for whoever archives it.
    #[must_use]
    pub fn log(&self) -> LogStore {
        self.log.clone()
    }

    /// What consensus counts.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let clock = self.node.clock.read();
        Counts {
            queued_bytes: self.node.queue.filled(),
            overloads: self.node.queue.refused(),
            refused_connections: self.node.refused_connections.load(Ordering::Relaxed),
            refused_calls: self.node.refused_calls.load(Ordering::Relaxed),
            clock_steps_ahead: clock.bounded(),
            clock_steps_back: clock.held(),
        }
    }

    /// Resolves when consensus has stopped by itself, with the reason: a storage error, or an entry
    /// of the log that this build cannot decode. The process has to end then.
    pub async fn stopped(&self) -> String {
        let mut metrics = self.node.raft.metrics();
        let mut stop = self.node.stop.subscribe();
        loop {
            if let Some(why) = stop.borrow_and_update().clone() {
                return why;
            }
            if let Err(fatal) = &metrics.borrow_watched().running_state {
                return fatal.to_string();
            }
            let ended = tokio::select! {
                biased;
                changed = metrics.changed() => changed.is_err(),
                _ = stop.changed() => false,
            };
            if ended {
                return "consensus has ended".to_owned();
            }
        }
    }

    /// Hands leadership over if this node leads, answers what it had taken, then stops.
    pub async fn shutdown(&self) {
        self.yield_leadership().await;
        self.settle().await;
        self.halt().await;
    }

    /// Stops without handing over.
    async fn halt(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.close(b"shutting down");
        if let Err(cause) = self.node.raft.shutdown().await {
            tracing::warn!(%cause, "consensus did not end in order");
        }
        self.node.peers.close().await;
        if let Some(endpoint) = &self.endpoint {
            let _ = tokio::time::timeout(GOODBYE_PATIENCE, endpoint.wait_idle()).await;
        }
    }

    fn close(&self, why: &[u8]) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.close(0_u32.into(), why);
        }
    }
}

impl Drop for Consensus {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.close(b"dropped");
    }
}
