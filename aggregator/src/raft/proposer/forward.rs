//! A follower's way to the leader: joined batches as `Submit` calls.
//!
//! A sensor always uses the same forwarder, and a forwarder has one call under way: so a sensor's
//! order holds although the calls have streams of their own.

use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use siphasher::sip::SipHasher13;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::hold::Hold;
use super::join::{join, propose, refuse, submissions};
use super::{RETRY_AFTER_CHANGE, Unavailable, Waiting};
use crate::raft::consensus::node::{Node, Route};
use crate::raft::network::{CallError, Peer};
use crate::raft::rpc::{Failure, Reply, Request, Submitted};

/// Calls to the leader at once: enough that a round trip does not bound the throughput of a few
/// dozen sensors.
const FORWARDERS: usize = 8;

/// Commands of a forwarder under way where its node has become leader itself.
const OWN_MAX: usize = 4;

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
    let own = Arc::new(Semaphore::new(OWN_MAX));
    let mut hold = Hold::default();
    while let Some(first) = queue.recv().await {
        let mut left = join(first, &mut queue, Duration::ZERO).await;
        let begun = Instant::now();
        while !left.is_empty() {
            let refused = match hold.route(&node).await {
                Route::Other(leader) => forward(&node, &leader, &mut left).await,
                // It became leader itself in the meantime.
                Route::Own => {
                    let Ok(place) = Arc::clone(&own).acquire_owned().await else { return };
                    propose(&node, std::mem::take(&mut left), place).await;
                    continue;
                }
                Route::Nobody => Err(Unavailable::no_leader()),
            };
            if let Err(cause) = refused
                && (!is_passing(&cause) || !Hold::again(begun).await)
            {
                refuse(std::mem::take(&mut left), &cause);
            }
        }
    }
}

/// Whether another attempt may end otherwise within moments: batches may be sent twice.
fn is_passing(cause: &Unavailable) -> bool {
    match cause {
        Unavailable::NoLeader { retry_after } => *retry_after <= RETRY_AFTER_CHANGE,
        Unavailable::Unknown(_) => true,
        _ => false,
    }
}

/// Forwards what is left and answers it, up to the first batch that the leader did not take: that one
/// and all behind it stay left, so that the order holds when they are forwarded again. What the leader
/// had taken all the same, it will know as a duplicate.
async fn forward(node: &Node, leader: &Peer, left: &mut Vec<Waiting>) -> Result<(), Unavailable> {
    let request = Request::Submit(submissions(left));
    let answers = match node.call_leader(leader, &request, Duration::ZERO).await {
        Ok(Reply::Submitted(answers)) if answers.len() == left.len() => answers,
        Ok(reply) => return Err(unavailable(reply)),
        Err(cause) => return Err(lost(&cause)),
    };
    let taken = answers.iter().take_while(|answer| matches!(answer, Submitted::Applied(..)));
    let waiting: Vec<_> = left.drain(..taken.count()).collect();
    let mut waiting = waiting.into_iter();
    for answer in answers {
        match (answer, waiting.next()) {
            (Submitted::Applied(receipt, index), Some(waiting)) => {
                waiting.answer(Ok((receipt, index)));
            }
            (Submitted::Unavailable(retry_after), _) => return Err(refused(retry_after)),
            (Submitted::Applied(..), None) => {}
        }
    }
    Ok(())
}

/// Why the leader did not take a batch, by its milliseconds.
fn refused(retry_after: u32) -> Unavailable {
    match Duration::from_millis(retry_after.into()) {
        moment if moment <= RETRY_AFTER_CHANGE => Unavailable::succeeded(),
        retry_after => Unavailable::Overloaded { retry_after },
    }
}

/// What a call's failure means for whoever asked.
pub(in crate::raft) fn lost(cause: &CallError) -> Unavailable {
    match cause {
        // It may have died a moment ago, and another is elected.
        CallError::Unreachable { .. } => Unavailable::succeeded(),
        other => Unavailable::Unknown(other.to_string()),
    }
}

/// What another answer than the one that was asked for means.
pub(in crate::raft) fn unavailable(reply: Reply) -> Unavailable {
    match reply {
        Reply::Failed(Failure::Overloaded { retry_after }) => {
            Unavailable::Overloaded { retry_after: Duration::from_millis(retry_after.into()) }
        }
        Reply::Failed(Failure::NotLeader { .. } | Failure::Stopped(_)) => Unavailable::succeeded(),
        other => Unavailable::Unknown(format!("the leader answered: {other:?}")),
    }
}
