//! Whether a learner has what the leader has: it votes only then, since a voter that is far behind
//! makes the others wait (Raft dissertation, section 4.2.1).

use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use tokio::time::Instant;
use wardmesh_common::id::NodeId;

use crate::raft::consensus::node::{Node, index};
use crate::raft::rpc::ChangeError;

/// How long it is waited for in one request; beyond it the promotion is asked for again.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(10);

impl Node {
    /// Waits until the learner has all that the leader had at the begin of a round that took less
    /// than an election; `false` where that takes too long.
    pub(super) async fn catches_up(&self, learner: NodeId) -> Result<bool, ChangeError> {
        let deadline = Instant::now() + CATCH_UP_PATIENCE;
        loop {
            let begun = Instant::now();
            let target = self.raft.metrics().borrow_watched().last_log_index.unwrap_or(0);
            if !self.has(learner, target, deadline).await? {
                return Ok(false);
            }
            if begun.elapsed() < self.settings.timing.election_min {
                return Ok(true);
            }
        }
    }

    /// Waits until a member has the entry at an index.
    async fn has(
        &self,
        member: NodeId,
        needed: u64,
        deadline: Instant,
    ) -> Result<bool, ChangeError> {
        let mut metrics = self.raft.metrics();
        loop {
            let matched = {
                let metrics = metrics.borrow_watched();
                // Only a leader knows.
                let known = metrics.replication.as_ref().ok_or(ChangeError::NoLeader)?;
                known.get(&member).and_then(Option::as_ref).map(|id| index(Some(id)))
            };
            if matched >= Some(needed) {
                return Ok(true);
            }
            match tokio::time::timeout_at(deadline, metrics.changed()).await {
                Err(_) => return Ok(false),
                Ok(changed) => changed.map_err(|_| ChangeError::NoLeader)?,
            }
        }
    }
}
