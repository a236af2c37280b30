//! Single commands: proposed here where this node leads, else by a call to who does.

use std::time::Duration;

use tokio::time::Instant;

use super::node::{LEADER_POLL, Node, Route};
use crate::raft::network::Peer;
use crate::raft::proposer::Unavailable;
use crate::raft::proposer::forward::{lost, unavailable};
use crate::raft::rpc::{Reply, Request};
use crate::state::command::Action;
use crate::state::receipt::Receipt;

/// How long a command waits for somebody to lead who has room for it: two elections.
const LEADER_PATIENCE: Duration = Duration::from_secs(3);

/// How long an old leader may still answer for what it had taken once another one leads: it learns of
/// that within a heartbeat, and the outcome of a command should not be unknown without need.
const GRACE: Duration = Duration::from_millis(500);

impl Node {
    /// Tries again while it is certain that nothing was written.
    pub(super) async fn propose(&self, action: Action) -> Result<(Receipt, u64), Unavailable> {
        let deadline = Instant::now() + LEADER_PATIENCE;
        loop {
            let outcome = match self.route() {
                Route::Own => self.propose_here(action.clone()).await,
                Route::Other(leader) => self.propose_there(&leader, action.clone()).await,
                Route::Nobody => Err(Unavailable::no_leader()),
            };
            match outcome {
                // A leader whose volume is full hands over where it can.
                Err(Unavailable::NoLeader { .. } | Unavailable::DiskFull { .. })
                    if Instant::now() < deadline =>
                {
                    tokio::time::sleep(LEADER_POLL).await;
                }
                outcome => return outcome,
            }
        }
    }

    pub(super) async fn propose_here(&self, action: Action) -> Result<(Receipt, u64), Unavailable> {
        self.gate.propose(action).await?.outcome().await
    }

    async fn propose_there(
        &self,
        leader: &Peer,
        action: Action,
    ) -> Result<(Receipt, u64), Unavailable> {
        let request = Request::Propose(action);
        match self.call_leader(leader, &request, GRACE).await {
            Ok(Reply::Proposed { receipt, index }) => Ok((receipt, index)),
            Ok(reply) => Err(unavailable(reply)),
            Err(cause) => Err(lost(&cause)),
        }
    }
}
