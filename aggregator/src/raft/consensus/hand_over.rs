//! Leadership goes to another node, by request or because this one stops (Raft dissertation, section
//! 3.10). What was proposed before stays: the successor has it in its log and commits it.
//!
//! What comes meanwhile waits in the queue and goes to the successor; nothing is refused.

use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use tokio::time::Instant;
use wardmesh_common::id::NodeId;

use super::Consensus;
use super::node::{Counted, Node};

/// How long a leader waits for its successor: an election after a transfer takes two round trips and
/// two fsyncs.
const HAND_OVER_PATIENCE: Duration = Duration::from_secs(2);

/// How long a node that stops waits for the receipts of what it had taken: the successor commits it
/// with its first entry.
const SETTLE_PATIENCE: Duration = Duration::from_millis(500);

/// Between two looks at what is unsettled.
const SETTLE_POLL: Duration = Duration::from_millis(5);

impl Consensus {
    /// Hands leadership to a named voter, or to the one that has most of the log; nothing happens
    /// where this node does not lead. Waits until another leads, at most two seconds; `false` where
    /// none does by then.
    pub async fn transfer_leader(&self, to: Option<NodeId>) -> bool {
        self.node.hand_over(to).await.is_some()
    }

    /// Hands leadership over if this node leads: what remains to be done before it may stop.
    pub async fn yield_leadership(&self) {
        if self.node.leads() && !self.transfer_leader(None).await {
            tracing::warn!("stopping as leader: no other node took over in time");
        }
    }

    /// Waits until what this node had taken is answered, for a moment.
    pub(super) async fn settle(&self) {
        let deadline = Instant::now() + SETTLE_PATIENCE;
        let unsettled =
            || self.node.queue.filled() > 0 || self.node.answering.load(Ordering::Acquire) > 0;
        while unsettled() && Instant::now() < deadline {
            tokio::time::sleep(SETTLE_POLL).await;
        }
    }
}

impl Node {
    /// Who leads then; `None` where this node does not lead, or nobody took over in time.
    pub(super) async fn hand_over(&self, to: Option<NodeId>) -> Option<NodeId> {
        let next = to.or_else(|| self.successor()).filter(|next| *next != self.id)?;
        let begun = Instant::now();
        // It ends also where whoever asked for it is gone by then.
        let _under_way = {
            // Nothing is proposed behind the request, where it would be refused.
            let _order = self.gate.hold().await;
            let under_way = Counted::new(&self.handing_over);
            self.raft.trigger().transfer_leader(next).await.ok()?;
            under_way
        };
        let own = self.id;
        let wait = self.raft.wait(Some(HAND_OVER_PATIENCE));
        let other = |leader: &NodeId| *leader != own;
        let led = wait.metrics(
            move |metrics| metrics.current_leader.as_ref().is_some_and(other),
            "another node leads",
        );
        let leader = led.await.ok()?.current_leader?;
        tracing::info!(leader, took = ?begun.elapsed(), "handed leadership over");
        Some(leader)
    }

    /// The other voter that has most of the log, as far as this leader knows; one that has room and was
    /// heard lately before one of which neither is known.
    fn successor(&self) -> Option<NodeId> {
        let metrics = self.raft.metrics();
        let (voters, replication) = {
            let metrics = metrics.borrow_watched();
            let membership = metrics.membership_config.membership();
            let voters = membership.get_joint_config().last().cloned().unwrap_or_default();
            (voters, metrics.replication.clone()?)
        };
        let matched = |id: &NodeId| replication.get(id).cloned().flatten().map(|id| id.index);
        let others = voters.into_iter().filter(|id| *id != self.id);
        let full = self.peers.full();
        others.max_by_key(|id| (!full.contains(id) && self.hears(*id), matched(id)))
    }
}
