//! How far this node must have applied before it may answer a reader.

use std::time::Duration;

use openraft::ReadPolicy;
use openraft::errors::{LinearizableReadError, RaftError};
use openraft::metrics::WaitError;
use tokio::time::Instant;
use wardmesh_common::fault::{Fault, planted};

use super::node::{LEADER_POLL, Node, Route, index};
use crate::raft::network::{CallError, Peer};
use crate::raft::rpc::{Failure, Reply, Request};

/// How long a reader waits in all: for a leader, its answer, and until this node has caught up.
const READ_PATIENCE: Duration = Duration::from_secs(5);

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// What this node has applied.
    #[default]
    Local,
    /// What the leader had committed when it was asked. Only with
    /// [`Settings::lease_reads`](super::Settings::lease_reads) its lease is trusted, and so the clocks
    /// of all machines; else it is confirmed by a quorum as well.
    Leader,
    /// The same after a quorum has confirmed the leader (ReadIndex; Raft dissertation, section 6.4).
    Linearizable,
}

/// Why there is no answer of that freshness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nobody leads with a quorum behind it; a local read is still possible.
    #[error("no leader could be asked within {0:?}; consistency=local answers without one")]
    NoLeader(Duration),
    /// This node has not applied that far in time.
    #[error("this node has applied up to {applied}, {needed} was needed within {waited:?}")]
    Behind {
        /// The last index that it has applied.
        applied: u64,
        /// The index that the leader named.
        needed: u64,
        /// How long was waited.
        waited: Duration,
    },
    /// This node is shutting down or was stopped by an error; another one may serve.
    #[error("this node has stopped: {0}")]
    Stopped(String),
}

impl Node {
    pub(super) async fn read_index(&self, consistency: Consistency) -> Result<u64, ReadError> {
        let linearizable = match consistency {
            Consistency::Local => return Ok(self.status().applied),
            _ if planted(Fault::LocalReadAsLinearizable) => return Ok(self.status().applied),
            Consistency::Leader => !self.settings.lease_reads,
            Consistency::Linearizable => true,
        };
        let deadline = Instant::now() + READ_PATIENCE;
        let needed = self.leaders_index(linearizable, deadline).await?;
        self.applied(needed, deadline).await
    }

    async fn leaders_index(&self, linearizable: bool, deadline: Instant) -> Result<u64, ReadError> {
        loop {
            let answer = match self.route() {
                Route::Own => self.own_read_index(linearizable).await,
                Route::Other(leader) => self.peers_read_index(&leader, linearizable).await,
                Route::Nobody => Err(Failure::NotLeader { leader: None }),
            };
            match answer {
                Ok(index) => return Ok(index),
                Err(Failure::Stopped(why)) => return Err(ReadError::Stopped(why)),
                Err(_) if Instant::now() >= deadline => {
                    return Err(ReadError::NoLeader(READ_PATIENCE));
                }
                Err(_) => tokio::time::sleep(LEADER_POLL).await,
            }
        }
    }

    /// The index that a reader needs, asked of the leader itself.
    pub(super) async fn own_read_index(&self, linearizable: bool) -> Result<u64, Failure> {
        // The leader's own setting holds: who asks may be set otherwise.
        let lease = !linearizable && self.settings.lease_reads;
        let policy = if lease { ReadPolicy::LeaseRead } else { ReadPolicy::ReadIndex };
        match self.raft.get_read_linearizer(policy).await {
            Ok(linearizer) => Ok(linearizer.read_log_id().index()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                Err(Failure::NotLeader { leader: forward.leader_id })
            }
            Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
                Err(Failure::NotLeader { leader: None })
            }
            Err(RaftError::Fatal(fatal)) => Err(Failure::Stopped(fatal.to_string())),
        }
    }

    async fn peers_read_index(&self, leader: &Peer, linearizable: bool) -> Result<u64, Failure> {
        let request = Request::ReadIndex { linearizable };
        let patience = self.settings.timing.election_max * 2;
        match self.peers.call(leader, &request, patience).await {
            Ok(Reply::ReadIndex(index)) => Ok(index),
            // That the leader has stopped does not stop this node.
            Ok(_) | Err(CallError::Unreachable { .. }) => Err(Failure::NotLeader { leader: None }),
            Err(cause) => {
                tracing::debug!(%cause, leader = %leader.address, "no read index");
                Err(Failure::NotLeader { leader: leader.node })
            }
        }
    }

    /// Waits until this node has applied an index.
    pub(super) async fn applied(&self, needed: u64, deadline: Instant) -> Result<u64, ReadError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = self.raft.wait(Some(left));
        match wait.applied_index_at_least(Some(needed), "read").await {
            Ok(metrics) => Ok(index(metrics.last_applied.as_ref())),
            Err(WaitError::Timeout(..)) => {
                let applied = self.status().applied;
                Err(ReadError::Behind { applied, needed, waited: READ_PATIENCE })
            }
            Err(WaitError::ShuttingDown) => {
                Err(ReadError::Stopped("consensus is shutting down".to_owned()))
            }
        }
    }
}
