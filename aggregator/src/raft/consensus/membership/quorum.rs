//! Whether those that would vote could agree: a majority of them must have been heard lately.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;
use wardmesh_common::id::NodeId;

use crate::raft::consensus::node::Node;
use crate::raft::rpc::ChangeError;

/// A voter that acknowledged nothing for so long is not counted on: some twenty heartbeats.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

impl Node {
    /// Refuses a set of voters that could not agree on anything; `new` has just been heard.
    pub(super) fn check_quorum(
        &self,
        voters: &BTreeSet<NodeId>,
        new: Option<NodeId>,
    ) -> Result<(), ChangeError> {
        let heard = voters.iter().filter(|id| new == Some(**id) || self.hears(**id)).count();
        if heard * 2 > voters.len() {
            return Ok(());
        }
        Err(ChangeError::QuorumAtRisk { voters: voters.len() as u64, heard: heard as u64 })
    }

    /// Refuses a cluster without voters.
    pub(super) fn check_some(
        &self,
        voters: &BTreeSet<NodeId>,
        last: NodeId,
    ) -> Result<(), ChangeError> {
        if voters.is_empty() {
            let why = format!("node {last} is the only voter: without it there is no cluster");
            return Err(ChangeError::Refused(why));
        }
        Ok(())
    }

    /// Whether this leader has heard a member lately; itself it always has.
    pub(in crate::raft::consensus) fn hears(&self, node: NodeId) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let acknowledged = metrics.heartbeat.as_ref().and_then(|all| *all.get(&node)?);
        node == self.id || acknowledged.is_some_and(|at| at.into_inner().elapsed() <= HEARD_WITHIN)
    }
}
