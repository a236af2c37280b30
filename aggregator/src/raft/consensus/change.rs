//! A change of the membership on any node: carried out here where this node leads, else by a call.

use std::time::Duration;

use tokio::time::Instant;

use super::Consensus;
use super::node::{LEADER_POLL, Node, Route};
use crate::raft::network::{CallError, Peer};
use crate::raft::rpc::{Change, ChangeError, Changed, Failure, Reply, Request};

/// How long a change waits for somebody to lead; a leader that is to go hands over meanwhile.
const LEADER_PATIENCE: Duration = Duration::from_secs(5);

/// How long a change may take in all, below the time limit of an HTTP request: a probe, the catching
/// up, and two entries. What is begun by then is finished by whoever leads.
const CHANGE_PATIENCE: Duration = Duration::from_secs(25);

impl Consensus {
    /// Changes the membership, or who leads, on any node. A learner that has not caught up in time
    /// stays one: the promotion is asked for again.
    ///
    /// # Errors
    /// [`ChangeError`]: on [`ChangeError::Unknown`] it may have been done; it can be repeated.
    pub async fn change(&self, change: Change) -> Result<Changed, ChangeError> {
        let changing = tokio::time::timeout(CHANGE_PATIENCE, self.node.change(change));
        let late = || Err(ChangeError::Unknown(format!("nothing after {CHANGE_PATIENCE:?}")));
        changing.await.unwrap_or_else(|_| late())
    }

    /// What keeps this node from its work, and the way out: its volume was wiped under a member's id.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.node.standing.fault()
    }
}

impl Node {
    async fn change(&self, change: Change) -> Result<Changed, ChangeError> {
        let deadline = Instant::now() + LEADER_PATIENCE;
        loop {
            let outcome = match self.route() {
                Route::Own => self.change_here(&change).await,
                Route::Other(leader) => self.change_there(&leader, change.clone()).await,
                Route::Nobody => Err(ChangeError::NoLeader),
            };
            match outcome {
                Err(ChangeError::NoLeader) if Instant::now() < deadline => {
                    tokio::time::sleep(LEADER_POLL).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn change_there(&self, leader: &Peer, change: Change) -> Result<Changed, ChangeError> {
        let request = Request::Change(change);
        match self.peers.call(leader, &request, CHANGE_PATIENCE).await {
            Ok(Reply::Changed(outcome)) => outcome,
            Ok(Reply::Failed(Failure::NotLeader { .. } | Failure::Stopped(_)))
            | Err(CallError::Unreachable { .. }) => Err(ChangeError::NoLeader),
            Ok(other) => Err(ChangeError::Unknown(format!("the leader answered: {other:?}"))),
            Err(cause) => Err(ChangeError::Unknown(cause.to_string())),
        }
    }
}
