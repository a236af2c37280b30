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
use super::{
    Answer, LEADERLESS_PATIENCE, LEADERLESS_POLL, RETRY_AFTER_CHANGE, Unavailable, Waiting,
};
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

/// Brings batches to whoever leads. After a change of leader it is tried again for a while: their
/// order holds, since nothing overtakes them here.
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

/// Gives back what the leader did not take, or may not have taken because it is lost: sent once more,
/// it is a duplicate at worst. From the first such batch on all is given back, whatever became of it,
/// so that the order holds.
async fn forward(node: &Node, leader: &Peer, mut joined: Vec<Waiting>) -> Option<Vec<Waiting>> {
    let request = Request::Submit(submissions(&joined));
    match node.call_leader(leader, &request, Duration::ZERO).await {
        Ok(Reply::Submitted(answers)) if answers.len() == joined.len() => {
            let passing = |answer: &Submitted| match answer {
                Submitted::Applied(..) => false,
                Submitted::Unavailable(retry_after) => is_passing(*retry_after),
            };
            let taken = answers.iter().position(passing).unwrap_or(joined.len());
            let left = joined.split_off(taken);
            joined.into_iter().zip(answers).for_each(|(waiting, answer)| {
                waiting.answer(answered(answer));
            });
            (!left.is_empty()).then_some(left)
        }
        Ok(Reply::Failed(Failure::NotLeader { .. } | Failure::Stopped(_))) | Err(_) => Some(joined),
        Ok(reply) => {
            refuse(joined, &unavailable(reply));
            None
        }
    }
}

/// Whether a batch that was refused for so many milliseconds was refused by a leader that is one no
/// more.
fn is_passing(retry_after: u32) -> bool {
    Duration::from_millis(retry_after.into()) <= RETRY_AFTER_CHANGE
}

fn answered(answer: Submitted) -> Answer {
    match answer {
        Submitted::Applied(receipt, index) => Ok((receipt, index)),
        Submitted::Unavailable(retry_after) => {
            Err(Unavailable::Overloaded { retry_after: Duration::from_millis(retry_after.into()) })
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
        Reply::Failed(Failure::DiskFull(why)) => Unavailable::disk_full(why),
        Reply::Failed(Failure::NotLeader { .. } | Failure::Stopped(_)) => Unavailable::no_leader(),
        other => Unavailable::Unknown(format!("the leader answered: {other:?}")),
    }
}
