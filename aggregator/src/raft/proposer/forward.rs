//! A follower's way to the leader: joined batches as `Submit` calls.
//!
//! A sensor always uses the same forwarder, and a forwarder has one call under way: so a sensor's
//! order holds although the calls have streams of their own.

use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use siphasher::sip::SipHasher13;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::join::{join, refuse, settle, submissions};
use super::{LEADERLESS_PATIENCE, LEADERLESS_POLL, Unavailable, Waiting};
use crate::raft::consensus::node::{Node, Route};
use crate::raft::network::{CallError, Peer};
use crate::raft::rpc::{Failure, Reply, Request, Submitted};
use crate::state::command::Action;

/// Calls to the leader at once: enough that a round trip does not bound the throughput of a few
/// dozen sensors.
const FORWARDERS: usize = 8;

/// All forwarders of a node.
pub(super) struct Forwarders {
    queues: Vec<mpsc::UnboundedSender<Waiting>>,
}

impl Forwarders {
    /// Starts them; they end with their queues.
    pub(super) fn start(node: &Arc<Node>) -> Self {
        let start = |_| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(run(Arc::clone(node), receiver));
            sender
        };
        Self { queues: (0..FORWARDERS).map(start).collect() }
    }

    /// Gives a batch to its sensor's forwarder.
    pub(super) fn put(&self, waiting: Waiting) {
        let mut hasher = SipHasher13::new();
        hasher.write(&waiting.submission.sensor.0);
        let at = (hasher.finish() % FORWARDERS as u64) as usize;
        let Some(queue) = self.queues.get(at) else { return };
        if let Err(mpsc::error::SendError(waiting)) = queue.send(waiting) {
            waiting.answer(Err(Unavailable::Stopped("the forwarder has ended".to_owned())));
        }
    }
}

async fn run(node: Arc<Node>, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    while let Some(first) = queue.recv().await {
        let joined = join(first, &mut queue, Duration::ZERO).await;
        deliver(&node, joined).await;
    }
}

/// Brings batches to whoever leads. Where it is certain that nothing was proposed, as after a change
/// of leader, it is tried again for a while: their order holds, since nothing overtakes them here.
async fn deliver(node: &Node, mut joined: Vec<Waiting>) {
    let deadline = Instant::now() + LEADERLESS_PATIENCE;
    loop {
        joined = match node.route() {
            Route::Other(leader) => match forward(node, &leader, joined).await {
                None => return,
                Some(joined) => joined,
            },
            // It became leader itself in the meantime.
            Route::Own => return propose(node, joined).await,
            Route::Nobody => joined,
        };
        if Instant::now() >= deadline {
            return refuse(joined, &Unavailable::no_leader());
        }
        tokio::time::sleep(LEADERLESS_POLL).await;
    }
}

async fn propose(node: &Node, joined: Vec<Waiting>) {
    match node.gate.propose(Action::Ingest(submissions(&joined))).await {
        Ok(pending) => settle(joined, pending).await,
        Err(unavailable) => refuse(joined, &unavailable),
    }
}

/// Gives the batches back where they are certain not to have been proposed.
async fn forward(node: &Node, leader: &Peer, joined: Vec<Waiting>) -> Option<Vec<Waiting>> {
    let request = Request::Submit(submissions(&joined));
    match node.call_leader(leader, &request).await {
        Ok(Reply::Submitted(answers)) if answers.len() == joined.len() => {
            for (waiting, answer) in joined.into_iter().zip(answers) {
                waiting.answer(match answer {
                    Submitted::Applied(receipt, index) => Ok((receipt, index)),
                    Submitted::Unavailable(retry_after) => Err(Unavailable::Overloaded {
                        retry_after: Duration::from_millis(retry_after.into()),
                    }),
                });
            }
            None
        }
        Ok(Reply::Failed(Failure::NotLeader { .. } | Failure::Stopped(_)))
        | Err(CallError::Unreachable { .. }) => Some(joined),
        Ok(reply) => {
            refuse(joined, &unavailable(reply));
            None
        }
        Err(cause) => {
            refuse(joined, &lost(&cause));
            None
        }
    }
}

/// What a call's failure means for whoever asked.
pub(in crate::raft) fn lost(cause: &CallError) -> Unavailable {
    match cause {
        CallError::Unreachable { .. } => Unavailable::no_leader(),
        other => Unavailable::Unknown(other.to_string()),
    }
}

/// What another answer than the one that was asked for means.
pub(in crate::raft) fn unavailable(reply: Reply) -> Unavailable {
    match reply {
        Reply::Failed(Failure::Overloaded { retry_after }) => {
            Unavailable::Overloaded { retry_after: Duration::from_millis(retry_after.into()) }
        }
        Reply::Failed(Failure::NotLeader { .. } | Failure::Stopped(_)) => Unavailable::no_leader(),
        other => Unavailable::Unknown(format!("the leader answered: {other:?}")),
    }
}
